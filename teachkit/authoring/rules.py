"""What every lesson source must keep to, checked without running it.

Not modelled: whether the prose is any good, and whether a figure's colours can be told apart.
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
from collections.abc import Iterator

from nbformat import NotebookNode

MAX_CODE_LINES = 15
TAGS = frozenset({"setup", "solution", "gpu", "nbval-ignore-output", "raises-exception"})
_FORBIDDEN = (
    (re.compile(r"^\s*[!%]", re.MULTILINE), "a shell or magic command"),
    (re.compile(r"\bpip3? install\b|\bwget\b|\bcurl\b"), "a download or an installation"),
    (re.compile(r"\bsys\.path\b"), "sys.path"),
    (re.compile(r"from [\w.]+ import \*"), "import *"),
)
_LECTURE_SECTIONS = (
    ("objective", r"\*\*Objectives?[.:]?\*\*|^#+ Objectives?"),
    ("prerequisites", r"\*\*Prerequisites?[.:]?\*\*|^#+ Prerequisites?"),
    ("minutes", r"\*\*(?:Time|Minutes)[.:]?\*\*|\b\d+ minutes\b"),
    ("a question to answer before running (a line that starts with 'Predict')", r"^\W*Predict"),
    ("summary", r"^#+ Summary"),
    ("a link to the glossary", r"\]\((?:\./)?glossary/"),
)
_CLAIMS = ("the table of claims ('claimed' beside 'found here')", r"(?i)claimed.*\|.*found here")
_NO_ALT = re.compile(r"!\[\s*\]\(")


def broken_rules(notebook: NotebookNode) -> list[str]:
    """Rules for cells that the notebook breaks, as messages."""
    problems: list[str] = []
    bound_in: dict[str, int] = {}
    for index, cell in enumerate(notebook.cells):
        problems += [f"cell {index}: {message}" for message in _cell_problems(cell)]
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError as error:
            problems.append(f"cell {index}: no valid Python: {error.msg} (line {error.lineno})")
            continue
        for name in dict.fromkeys(bound_names(tree)):
            if name in bound_in:
                problems.append(f"cell {index}: binds {name!r}, which cell {bound_in[name]} binds already")
            bound_in.setdefault(name, index)
    return problems


def missing_sections(notebook: NotebookNode, slug: str, *, has_exercises: bool) -> list[str]:
    """Parts of a chapter that a lecture lacks, as messages."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    wanted = list(_LECTURE_SECTIONS)
    if has_exercises:
        wanted.append((f"a link to exercises/{slug}/{slug}.ipynb", rf"exercises/{slug}/{slug}\.ipynb"))
    if not slug.startswith("00"):
        wanted.append(_CLAIMS)
    return [f"lacks {what}" for what, pattern in wanted if not re.search(pattern, text, re.MULTILINE)]


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Names that a cell binds at its top level, loops and ``with`` included; ``_`` is free for all."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop(0)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
                continue
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
            case ast.ExceptHandler(name=str() as name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) if name != "_":
                yield name
        todo.extend(ast.iter_child_nodes(node))


def _cell_problems(cell: NotebookNode) -> Iterator[str]:
    if strange := set(cell.metadata.get("tags", [])) - TAGS:
        yield f"tags {sorted(strange)}; allowed are {', '.join(sorted(TAGS))}"
    if cell.cell_type == "markdown":
        if _NO_ALT.search(cell.source):
            yield "an image without a text alternative"
        return
    lines = [line for line in cell.source.split("\n") if line.strip() and not line.strip().startswith("#")]
    if len(lines) > MAX_CODE_LINES:
        yield f"{len(lines)} lines of code; at most {MAX_CODE_LINES}"
    if not lines:
        yield "a code cell without code"
    for pattern, what in _FORBIDDEN:
        if pattern.search(cell.source):
            yield f"{what} has no place in a lesson"
    if _ends_a_line_with_semicolon(cell.source):
        yield "a ';' at the end of a line, which fails under nbval, has no place in a lesson"


def _ends_a_line_with_semicolon(source: str) -> bool:
    """Whether Python code does; text of another language in a string may."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return False  # other rules say what is wrong with it
    ends = (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT)
    return any(a.type == tokenize.OP and a.string == ";" and b.type in ends for a, b in itertools.pairwise(tokens))
