"""The pins are exact, complete in what matters, and the check of them can fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pins", ROOT / "tools" / "pins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pins = load()


def test_every_requirement_is_pinned_exactly() -> None:
    pinned = pins.read_pins((ROOT / "constraints.txt").read_text())
    for requirement in pins.requirements(ROOT / "pyproject.toml"):
        name = pins.normal(requirement.split("[")[0].split(">")[0].split("=")[0].split(";")[0].strip())
        assert name in pinned, f"{requirement} has no pin"


def test_the_compilers_and_torch_share_one_toolkit() -> None:
    pinned = pins.read_pins((ROOT / "constraints.txt").read_text())
    assert pinned["torch"] == "2.13.0"
    assert pinned["triton"] == "3.7.1"
    assert pinned["cuda-toolkit"] == "13.0.3"
    for library in ("nvidia-nvvm", "nvidia-cuda-nvrtc", "nvidia-nvjitlink"):
        assert pinned[library] == "13.0.88"


@pytest.mark.parametrize("line", ["torch>=2.12", "torch", "torch==2.*", "-e .", "torch==2.13.0\ntorch==2.12.0"])
def test_anything_but_one_exact_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="pin"):
        pins.read_pins(line)


def test_what_is_not_pinned_or_pinned_otherwise_is_found() -> None:
    resolved = {"torch": "2.13.0", "numpy": "2.4.6", "cuda-toolkit": "13.0.3.0", "new": "1.0"}
    assert pins.problems({"torch": "2.13.0", "numpy": "2.4.5", "cuda-toolkit": "13.0.3"}, resolved) == [
        "new==1.0 is not pinned",
        "numpy is pinned to 2.4.5 but pip takes 2.4.6",
    ]
