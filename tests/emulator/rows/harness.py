"""One instruction as a kernel: every thread loads its operands, runs it once, stores the result.

A row is an opcode, its types, and cases: operand values and the result worked out by hand, by Python integers,
by ``struct`` or by fractions. Packed and untyped operands are given as their bits.
"""

import dataclasses
import math
import struct

import numpy as np

_FLOAT_FORMAT = {"f16": "<e", "f32": "<f", "f64": "<d"}


@dataclasses.dataclass(frozen=True)
class Row:
    """``cases`` are (operands..., result). An int among ``sources`` is an immediate, absent from the cases."""

    opcode: str
    result: str
    sources: tuple
    cases: tuple
    rtol: float = 0.0
    note: str = ""
    target: int = 90  # the least architecture that has the instruction; no row needs less than this one
    version: str = "8.7"  # of PTX
    operands: str = ""  # as they are spelled, "%z, %a.b1, -%b"; by their names alone where it is empty

    @property
    def loaded(self):
        """Types of the operands that come from memory."""
        return tuple(kind for kind in self.sources if isinstance(kind, str))

    def __str__(self):
        return f"{self.opcode}{'-' + self.note if self.note else ''}"


def width(kind):
    """Bits of a type as it is stored; predicates are stored as bytes."""
    if kind == "pred":
        return 8
    if kind.endswith("x2"):
        return 2 * width(kind[:-2])
    return int(kind.lstrip("bfsu"))


def pack(kind, value):
    """Bytes of a value."""
    if kind in _FLOAT_FORMAT and isinstance(value, float):
        try:
            return struct.pack(_FLOAT_FORMAT[kind], value)
        except OverflowError:
            return struct.pack(_FLOAT_FORMAT[kind], math.copysign(math.inf, value))
    if kind == "bf16" and isinstance(value, float):
        bits = struct.pack("<f", value)
        assert bits[:2] == b"\0\0" or value != value, f"{value} is not a bf16"
        return bits[2:]
    return (int(value) % (1 << width(kind))).to_bytes(width(kind) // 8, "little")


def unpack(kind, octets):
    """The value of bytes, as :func:`pack` takes it."""
    if kind in _FLOAT_FORMAT:
        return struct.unpack(_FLOAT_FORMAT[kind], octets)[0]
    if kind == "bf16":
        return struct.unpack("<f", b"\0\0" + octets)[0]
    return int.from_bytes(octets, "little", signed=kind[0] == "s")


def text(row):
    """PTX of the row's kernel: parameters are the result and one array for each operand."""
    names = ["z", *"abcd"[: len(row.loaded)]]
    kinds = [row.result, *row.loaded]
    lines = [f".version {row.version}", f".target sm_{row.target}", ".address_size 64", "", ".visible .entry row("]
    lines += [",\n".join(f"\t.param .u64 .ptr .global .align 8 p_{name}" for name in names), ")", "{"]
    lines += [
        "\t.reg .b32 %thread, %octet;",
        "\t.reg .b64 %at, %offset;",
        "\t.reg .pred %_unused;",
        "\tmov.u32 %thread, %tid.x;",
    ]
    for name, kind in zip(names, kinds, strict=True):
        register = "pred" if kind == "pred" else f"b{8 if kind == 'b8' else max(width(kind), 16)}"
        lines.append(f"\t.reg .{register} %{name};")
    for name, kind in list(zip(names, kinds, strict=True))[1:]:
        lines += _address(name, kind)
        if kind == "pred":
            lines += ["\tld.global.u8 %octet, [%at];", f"\tsetp.ne.u32 %{name}, %octet, 0;"]
        else:
            lines.append(f"\tld.global.{'s8' if kind == 's8' else f'b{width(kind)}'} %{name}, [%at];")
    given = iter(names[1:])
    sources = [f"%{next(given)}" if isinstance(kind, str) else str(kind) for kind in row.sources]
    operands = row.operands or ", ".join(["%z", *sources])
    lines += [f"\t{row.opcode} {operands};", *_address("z", row.result)]
    if row.result == "pred":
        lines += ["\tselp.b32 %octet, 1, 0, %z;", "\tst.global.b8 [%at], %octet;"]
    else:
        lines.append(f"\tst.global.b{width(row.result)} [%at], %z;")
    return "\n".join([*lines, "\tret;", "}", ""])


def _address(name, kind):
    return [
        f"\tld.param.b64 %at, [p_{name}];",
        f"\tmul.wide.u32 %offset, %thread, {width(kind) // 8};",
        "\tadd.s64 %at, %at, %offset;",
    ]


def aligned(octets):
    """A uint8 array at an address that is a multiple of 64."""
    room = np.zeros(len(octets) + 64, np.uint8)
    start = -room.__array_interface__["data"][0] % 64
    room[start : start + len(octets)] = np.frombuffer(bytes(octets), np.uint8)
    return room[start : start + len(octets)]


def check(row, execute):
    """Run the row with ``execute(text, n_threads, arrays)`` and compare every case; returns what it returned."""
    columns = list(zip(*row.cases, strict=True))
    sources = [
        aligned(b"".join(pack(kind, value) for value in column))
        for kind, column in zip(row.loaded, columns[:-1], strict=True)
    ]
    size = width(row.result) // 8
    result = aligned(bytes(size * len(row.cases)))
    returned = execute(text(row), len(row.cases), [result, *sources])
    for number, case in enumerate(row.cases):
        got = unpack(row.result, result[number * size : (number + 1) * size].tobytes())
        expected = unpack(row.result, pack(row.result, case[-1]))
        assert same(got, expected, row.rtol), f"{row.opcode} {case[:-1]}: expected {expected!r}, got {got!r}"
    return returned


def same(a, b, rtol):
    """Equal, with the sign of zero, or both NaN, or close."""
    if isinstance(a, float) and isinstance(b, float):
        if a != a or b != b:
            return a != a and b != b
        if rtol and a != b:
            return math.isclose(a, b, rel_tol=rtol, abs_tol=2.0**-149)
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b
