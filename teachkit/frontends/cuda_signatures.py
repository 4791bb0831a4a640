"""Kernels that a CUDA C++ source defines, as they stand there: their names, and what their parameters are called.

PTX knows a pointer as a number. What it points to stands in the source alone, so that is where a launch looks before it
hands over an array of other elements. Only plain cases are read: templates, type names that the program makes up and
parameters behind macros are left as they are.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from teachkit.emulator.arguments import memory_of, with_article
from teachkit.errors import LaunchError

_ATTRIBUTE = r"\s*(?:static|inline|extern|void|__global__|__\w+__\s*(?P<arguments>\()?|\[\[.*?\]\])"
_QUALIFIERS = {"const", "volatile", "__restrict__", "__restrict", "restrict", "struct"}
_FLOATS = {"float": 4, "double": 8, "half": 2, "__half": 2, "nv_bfloat16": 2, "__nv_bfloat16": 2}
_WORDS = {"unsigned", "signed", "int", "long", "short"}
_INTEGERS = {"uint": 4, "size_t": 8} | {f"{u}int{8 * n}_t": n for u in ("", "u") for n in (2, 4, 8)}


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. The numbers that it points to have ``n_bytes`` and a ``kind``: "f", "i", "" where that is open."""

    name: str
    text: str
    kind: str = ""
    n_bytes: int = 0


def kernels_in(source: str) -> dict[str, tuple[Parameter, ...]]:
    """Kernels in the source that are no templates; without parameters where one name stands there in several ways."""
    code = re.sub(r'//[^\n]*|/\*.*?\*/|"C"', " ", source, flags=re.DOTALL)
    attribute, name = re.compile(_ATTRIBUTE, re.DOTALL), re.compile(r"\s*(\w+)\s*\(")
    found: dict[str, tuple[Parameter, ...]] = {}
    for match in re.finditer(r"\b__global__\b", code):
        before = re.split(r"[;{}]", code[: match.start()])[-1]
        at, seen = match.end(), before
        while word := attribute.match(code, at):
            at = _after_parenthesis(code, word.end()) if word["arguments"] else word.end()
            seen += word[0]
        called = name.match(code, at)
        if called and re.search(r"\bvoid\b", seen) and not re.search(r"\btemplate\b", before):
            parameters = _parameters(code[called.end() : _after_parenthesis(code, called.end()) - 1])
            is_new = found.get(called[1], parameters) == parameters
            found[called[1]] = parameters if is_new else ()
    return found


def _after_parenthesis(code: str, at: int) -> int:
    """Where the parenthesis that was opened just before ``at`` is closed."""
    depth = 1
    while depth and at < len(code):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at


def _parameters(text: str) -> tuple[Parameter, ...]:
    if text.strip() in ("", "void") or "#" in text or re.search(r"[(){}<>]", text):
        return ()
    return tuple(_parameter(" ".join(each.split())) for each in text.split(","))


def _parameter(text: str) -> Parameter:
    pointer = re.fullmatch(
        r"([\w\s:]+?)\s*\*\s*(?:const |__restrict__ |__restrict )*(\w+)|([\w\s:]+?) (\w+) ?\[\d*\]", text
    )
    if pointer is None:
        return Parameter(re.findall(r"\w+", text)[-1] if re.search(r"\w", text) else "", text)
    words = [word.rpartition("::")[2] for word in (pointer[1] or pointer[3]).split()]
    kind, n_bytes = _element([word for word in words if word not in _QUALIFIERS])
    return Parameter(pointer[2] or pointer[4], text, kind, n_bytes)


def _element(words: list[str]) -> tuple[str, int]:
    """Kind and size of a number by the words for its type."""
    if len(words) == 1 and words[0] in _FLOATS:
        return "f", _FLOATS[words[0]]
    if len(words) == 1 and words[0] in _INTEGERS:
        return "i", _INTEGERS[words[0]]
    if words and _WORDS.issuperset(words):
        return "i", 2 if "short" in words else 8 if "long" in words else 4
    return "", 0


def check_arguments(kernel: str, parameters: Sequence[Parameter], args: Sequence[Any]) -> None:
    """Refuse a wrong number of arguments, and arrays of other numbers than the kernel's source says.

    Programs do pass the bytes of one type for another: bytes as anything, numbers of the same size, and several numbers
    for a larger one of another kind, two halves for an ``unsigned``.

    Raises
    ------
    LaunchError
        For arrays of numbers of the same kind and another size, or of another kind and larger.
    """
    if len(parameters) != len(args):
        raise LaunchError(
            f"Expected {len(parameters)} arguments for kernel {kernel!r}, got {len(args)}.",
            hint="it takes " + ", ".join(parameter.text for parameter in parameters) + ".",
        )
    for parameter, value in zip(parameters, args, strict=True):
        if parameter.kind and (given := _numbers_in(value)) is not None:
            kind, n_bytes = given
            is_same_kind = kind == parameter.kind
            if n_bytes not in (1, parameter.n_bytes) and (is_same_kind or n_bytes > parameter.n_bytes):
                raise _refused(kernel, parameter, value)


def _numbers_in(value: Any) -> tuple[str, int] | None:
    """Kind and size of the elements of an array or tensor; None of anything else."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return None
    if hasattr(dtype, "is_floating_point"):  # PyTorch's
        return None if dtype.is_complex else ("f" if dtype.is_floating_point else "i", dtype.itemsize)
    kind = {"f": "f", "i": "i", "u": "i"}.get(getattr(dtype, "kind", ""))
    return None if kind is None or not getattr(value, "shape", ()) else (kind, dtype.itemsize)


def _refused(kernel: str, parameter: Parameter, value: Any) -> LaunchError:
    wanted = f"{'float' if parameter.kind == 'f' else 'int'}{8 * parameter.n_bytes}"
    is_tensor = hasattr(value.dtype, "is_floating_point")
    bound = memory_of(parameter.name, value)
    shown = f"{value.dtype} numbers" if bound is None else with_article(bound.shown)
    how = f"{parameter.name}.to(torch.{wanted})" if is_tensor else f"{parameter.name}.astype(np.{wanted})"
    view = f"{parameter.name}.view({'torch' if is_tensor else 'np'}.uint8)"
    return LaunchError(
        f"Expected {with_article(wanted)} array for {parameter.text!r} of kernel {kernel!r}, got {shown}.",
        hint=f"convert it with {how}; to hand over its bytes as they are, pass {view}.",
    )
