"""Several small integers in one register, part by part in Python integers' width."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.table import Form, Lanes, Operation, Step, UnmatchedForm, instruction, unsupported
from teachkit.emulator.oracle.values import Array
from teachkit.emulator.ptx.model import Instruction, Operand, Part

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

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

    def run(machine: Machine, item: Instruction, mask: Array) -> None:
        target, *sources = item.operands
        if len(sources) != 3:
            raise unsupported(item, f"{len(item.operands)} operands")
        words = [np.broadcast_to(machine.read(_whole(x), "b32"), mask.shape) for x in sources]
        columns = []
        for number, (operand, signed) in enumerate(zip(sources[:2], (of_a, of_b), strict=True)):
            both = np.concatenate([_parts(word, n, signed) for word in words[:2]], axis=-1)
            places = _places(item, operand, n, range(number * n, number * n + n), 2 * n)
            if len(places) != n:
                raise unsupported(item, "a selector that does not name every part")
            columns.append(both[..., places])
        result = np.asarray(function(*columns)).astype(np.int64)
        if after == "sat":
            result = np.clip(result, limits.min, limits.max)
        cut = _parts(_join(result, n), n, to_signed)
        written = np.isin(np.arange(n), _places(item, target, n, range(n), n))
        if after == "add":
            word = words[2] + np.where(written, result, 0).sum(-1)
        else:
            word = _join(np.where(written, cut, _parts(words[2], n, False)), n)
        machine.write(_whole(target), word.astype(np.uint32), "b32", mask)

    return Step(run, {"int_ops": n})


def _whole(operand: Operand) -> Operand:
    return operand.register if isinstance(operand, Part) else operand


def _places(item: Instruction, operand: Operand, n: int, default: range, n_places: int) -> list[int]:
    """The parts that an operand names, the lowest first."""
    if not isinstance(operand, Part):
        return list(default)
    places = [int(digit) for digit in operand.which[:0:-1]]
    if operand.negated or operand.which[:1] != {2: "h", 4: "b"}[n] or max(places) >= n_places:
        raise unsupported(item, f"part .{operand.which}")
    return places


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
