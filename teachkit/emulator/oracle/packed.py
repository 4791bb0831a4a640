"""Several small integers in one register, part by part in Python integers' width."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from teachkit.emulator.oracle.table import Form, Lanes, Operation, UnmatchedForm, instruction
from teachkit.emulator.oracle.values import Array

_COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_VIDEO = ("vadd", "vsub", "vavrg", "vmin", "vmax", "vabsdiff", "vset")


def _parts(word: Array, n: int, signed: bool) -> Array:
    """[..., n] whole numbers, the lowest part first."""
    dtype = f"{'i' if signed else 'u'}{4 // n}"
    return np.ascontiguousarray(word, np.uint32).view(dtype).reshape(*word.shape, n).astype(np.int64)


def _join(parts: Array, n: int) -> Array:
    return np.ascontiguousarray(parts.astype(f"u{4 // n}")).view(np.uint32)[..., 0]


@instruction("add", "sub", "min", "max")
def pair(form: Form) -> Operation:
    kind = form.one("u16x2", "s16x2")
    relu = form.flag("relu")
    function = {"add": np.add, "sub": np.subtract, "min": np.minimum, "max": np.maximum}[form.base]

    def compute(a: Array, b: Array) -> Array:
        result = function(*(_parts(x, 2, kind[0] == "s") for x in (a, b)))
        return _join(np.maximum(result, 0) if relu else result, 2)

    return Lanes("b32", ("b32", "b32"), compute, {"int_ops": 2})


@instruction(*(f"{name}{n}" for name in _VIDEO for n in (2, 4)))
def video(form: Form) -> Operation:
    name, n = form.base[:-1], int(form.base[-1])
    is_set = name == "vset"
    kinds = []
    for _ in range(2 if is_set else 3):
        kinds.append(form.one("u32", "s32"))
    to_signed = not is_set and kinds[0] == "s32"
    of_a, of_b = (kind == "s32" for kind in kinds[-2:])
    functions: dict[str, Callable[[Array, Array], Array]] = {
        "vadd": np.add,
        "vsub": np.subtract,
        "vavrg": lambda a, b: (a + b + (a + b >= 0)) >> 1,
        "vmin": np.minimum,
        "vmax": np.maximum,
        "vabsdiff": lambda a, b: np.abs(a - b),
    }
    function = _COMPARE[form.one(*_COMPARE)] if is_set else functions[name]
    after = form.maybe("sat", "add")
    if is_set and after == "sat":
        raise UnmatchedForm("modifier .sat")
    limits = np.iinfo(f"{'i' if to_signed else 'u'}{4 // n}")

    def compute(a: Array, b: Array, c: Array) -> Array:
        a, b, c = np.broadcast_arrays(a, b, c)
        result = np.asarray(function(_parts(a, n, of_a), _parts(b, n, of_b))).astype(np.int64)
        if after == "sat":
            result = np.clip(result, limits.min, limits.max)
        word = _join(result, n)
        return (c + _parts(word, n, to_signed).sum(-1)).astype(np.uint32) if after == "add" else word

    return Lanes("b32", ("b32", "b32", "b32"), compute, {"int_ops": n})


@instruction("cvt")
def convert_and_pack(form: Form) -> Operation:
    """Two numbers, each the nearest of its size, as the lowest bits; the rest is the third source, moved up."""
    form.one("pack")
    form.one("sat")
    size = form.one("u2", "s2", "u4", "s4", "u8", "s8", "u16", "s16")
    form.one("s32")
    n_bits = int(size[1:])
    if n_bits < 16:
        form.one("b32")
    least = -(2 ** (n_bits - 1)) if size[0] == "s" else 0
    mask = np.int64(2**n_bits - 1)

    def compute(a: Array, b: Array, *c: Array) -> Array:
        high, low = (np.clip(x.astype(np.int64), least, least + mask) & mask for x in (a, b))
        rest = [x.astype(np.int64) << np.int64(2 * n_bits) for x in c]
        return np.asarray(sum(rest, low | high << np.int64(n_bits))).astype(np.uint32)

    return Lanes("b32", ("s32", "s32", *(["b32"] if n_bits < 16 else [])), compute)


@instruction("fns")
def find_nth_set(form: Form) -> Operation:
    form.one("b32")

    def one(mask: int, start: int, number: int) -> int:
        if number == 0:
            return start if mask >> start & 1 else 0xFFFFFFFF
        order = range(start, 32) if number > 0 else range(start, -1, -1)
        found = [position for position in order if mask >> position & 1]
        return found[abs(number) - 1] if len(found) >= abs(number) else 0xFFFFFFFF

    def compute(mask: Array, start: Array, number: Array) -> Array:
        rows = zip(*(x.tolist() for x in np.broadcast_arrays(mask, start & np.uint32(31), number)), strict=True)
        return np.array([one(*row) for row in rows], np.uint32)

    return Lanes("b32", ("b32", "u32", "s32"), compute, {"int_ops": 1})
