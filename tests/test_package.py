"""`import teachkit` does nothing, and its public names are real."""

from __future__ import annotations

import subprocess
import sys

import pytest

import teachkit

HEAVY = ("torch", "numpy", "triton", "numba", "llvmlite", "matplotlib", "ipywidgets", "pandas", "rich", "typer")


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import sys, teachkit; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_listing_its_names_imports_nothing_either() -> None:
    code = "import sys, teachkit; dir(teachkit); print([m for m in sys.modules if m.startswith('teachkit.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", teachkit.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(teachkit, name) is not None
    assert name in dir(teachkit)


def test_the_table_and_the_list_of_names_agree() -> None:
    assert sorted(teachkit._HOME) == sorted(teachkit.__all__)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'profil'; it has check, compile, compile_cuda_c, cuda, "):
        _ = teachkit.profil
