"""Small faults in the text of a CUDA C++ kernel: every place where a pattern fits gives one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

# Pattern, what stands there instead, and what kind of fault that is; every match is a place.
_FAULTS: tuple[tuple[str, str, str], ...] = (
    (r"[ ]*__syncthreads\(\);\n?", "", "missing barrier"),
    (r"(?<![<]) < (?![<=])", " <= ", "comparison"),
    (r" > ", " >= ", "comparison"),
    (r" >= ", " > ", "comparison"),
    (r" == ", " != ", "comparison"),
    (r" \+ ", " - ", "arithmetic"),
    (r" - ", " + ", "arithmetic"),
    (r"(?<=[\w)\]]) \* ", " + ", "arithmetic"),
    (r" / ", " * ", "arithmetic"),
    (r" \+= ", " = ", "stale accumulator"),
    (r"\b1\b(?![.])", "2", "off by one"),
    (r"\b2\b(?![.])", "3", "off by one"),
    (r"\b(128|255|256)\b", "64", "wrong stride"),
    (r"\bthreadIdx\.x\b", "0", "wrong index"),
    (r"\bblockIdx\.x\b", "0", "wrong index"),
    (r"[ ]*if \([^;{}]*\) return;\n?", "", "dropped mask"),
    (r"\b0\.5f", "1.5f", "number"),
    (r"\b2\.0f", "3.0f", "number"),
    (r"\bfloat (?=\w+ =)", "int ", "wrong type"),
)


def faults_in_cpp(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, change in words and whole text of every fault."""
    for pattern, new, kind in _FAULTS:
        for match in re.finditer(pattern, text):
            line = text[text.rfind("\n", 0, match.end() - 1) + 1 :].split("\n")[0]
            change = f"in C++, {short(line)}: {match.group().strip()} -> {new.strip() or 'nothing'}"
            yield kind, change, text[: match.start()] + new + text[match.end() :]


def is_cpp(node: ast.AST) -> bool:
    """Whether a constant is the text of a kernel."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "__global__" in node.value


def short(text: str) -> str:
    """One line of at most 60 characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57] + "..."
