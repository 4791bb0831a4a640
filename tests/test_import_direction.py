"""Imports inside teachkit go one way: a package imports only those below it, even inside a function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import teachkit

ROOT = Path(teachkit.__file__).parent

# Bottom to top; each may import what stands before it. (DESIGN: grading, viz, stack -> model, measure -> emulator,
# frontends -> hardware -> errors; inside each group the order is fixed too, so that no two import each other.)
ORDER = (
    "errors",
    "hardware",
    "emulator",
    "frontends",
    "kernels",
    "measure",
    "model",
    "viz",
    "stack",
    "grading",
    "authoring",
    "doctor",
    "tour",
    "cli",
    "__main__",
)
# The only room that opens the lessons' folder: it builds them.
BUILDS_NOTEBOOKS = "authoring"


def imported_names(tree: ast.AST) -> list[tuple[int, str]]:
    """Return ``(line, dotted name)`` of every teachkit import, wherever it stands and however it is spelled."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [(node.lineno, f"{base}.{alias.name}" if base == "teachkit" else base) for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__"):
                found.append((node.lineno, str(node.args[0].value)))
    return [(line, name) for line, name in found if name.split(".")[0] in ("teachkit", "")]


def only_asks_the_version(tree: ast.AST) -> bool:
    """Say whether a module that writes ``import teachkit`` uses nothing of it but ``teachkit.__version__``."""
    nodes = list(ast.walk(tree))
    renamed = any(isinstance(n, ast.alias) and n.name == "teachkit" and n.asname for n in nodes)
    used = {n.attr for n in nodes if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "teachkit"}
    return not renamed and used <= {"__version__"}


def wrong_imports(package: str, source: str) -> list[str]:
    """Return one line for each import in ``source``, a module of ``package``, that goes against the order."""
    problems = []
    tree = ast.parse(source)
    for line, name in imported_names(tree):
        if name == "teachkit" and only_asks_the_version(tree):
            continue
        if name.startswith("."):
            problems.append(f"line {line}: relative import {name}")
            continue
        target = name.split(".")[1] if "." in name else ""
        if target not in ORDER:
            problems.append(f"line {line}: {package} imports {name}, which has no place in the order")
        elif package not in ORDER:
            problems.append(f"line {line}: {package} has no place in the order")
        elif ORDER.index(target) > ORDER.index(package):
            problems.append(f"line {line}: {package} imports {target}, which stands above it")
    return problems


def notebook_reads(source: str) -> list[str]:
    """Return one line for each path in ``source`` that leads into ``notebooks/``."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("open", "Path", "joinpath", "join", "glob", "rglob", "files", "read"):
                parts = list(node.args)
        for part in parts:
            if isinstance(part, ast.Constant) and str(part.value).split("/")[0] == "notebooks":
                problems.append(f"line {node.lineno}: opens {part.value!r}")
    return problems


def modules() -> list[Path]:
    found = sorted(ROOT.rglob("*.py"))
    assert len(found) > 10, "the test looks at the wrong folder"
    return found


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    package = package_of(path)
    if package == "__init__":  # the lazy table of public names, type checkers' imports included, may name any room
        return
    assert wrong_imports(package, path.read_text()) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_reads_the_notebooks(path: Path) -> None:
    if package_of(path) == BUILDS_NOTEBOOKS:
        return
    assert notebook_reads(path.read_text()) == []


def test_every_room_has_a_place_in_the_order() -> None:
    rooms = {package_of(path) for path in modules()} - {"__init__"}
    assert rooms <= set(ORDER)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("hardware", "import teachkit.model.predict"),
        ("hardware", "from teachkit.emulator.counters import Counters"),
        ("emulator", "from teachkit import grading"),
        ("emulator", "def late():\n    from teachkit.frontends import target"),
        ("model", "if TYPE_CHECKING:\n    from teachkit.viz import plot_roofline"),
        ("measure", "import importlib\nimportlib.import_module('teachkit.grading.checker')"),
        ("errors", "class A:\n    from teachkit.hardware import spec"),
        ("viz", "from teachkit import cli"),
        ("viz", "import teachkit as tk"),
        ("viz", "import teachkit\nteachkit.check"),
        ("viz", "from .. import model"),
        ("viz", "from teachkit.unheard_of import x"),
        ("unheard_of", "from teachkit.errors import TeachkitError"),
    ],
)
def test_a_wrong_import_is_found(package: str, source: str) -> None:
    assert len(wrong_imports(package, source)) == 1


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("hardware", "from teachkit.errors import TeachkitError"),
        ("model", "from teachkit.measure.profile import Profile, KernelReport\nimport numpy"),
        ("emulator", "from teachkit.emulator.ptx.model import Module"),
        ("frontends", "import teachkit\nkey = teachkit.__version__"),
        ("cli", "def tour():\n    from teachkit.authoring import build\n    import teachkit.grading.checker"),
        ("grading", "import teachkit_extras\nfrom importlib import import_module\nimport_module('torch')"),
    ],
)
def test_a_right_import_is_let_through(package: str, source: str) -> None:
    assert wrong_imports(package, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "open('notebooks/src/00_start_here.py')",
        "ROOT / 'notebooks' / name",
        "Path('notebooks').glob('*.ipynb')",
        "root.joinpath('notebooks', 'src')",
    ],
)
def test_reading_the_notebooks_is_found(source: str) -> None:
    assert notebook_reads(source)


def test_naming_the_notebooks_in_a_sentence_is_no_reading() -> None:
    assert notebook_reads("raise ValueError('edit notebooks/src, then run make notebooks')") == []
