"""One instruction on random and special operands: the engine's bits are the oracle's, NaNs aside."""

import itertools

import numpy as np
import pytest

from teachkit.emulator import load_ptx
from teachkit.emulator.oracle import run
from teachkit.emulator.ptx import parse

_SPECIAL = {
    "f16": [0, 0x8000, 0x3C00, 0xBC00, 0x7C00, 0xFC00, 0x7E00, 1, 0x8001, 0x7BFF, 0x0400, 0xFBFF],
    "bf16": [0, 0x8000, 0x3F80, 0xBF80, 0x7F80, 0xFF80, 0x7FC0, 1, 0x8001, 0x7F7F, 0x0080],
    "f32": [
        0,
        1 << 31,
        0x3F800000,
        0xBF800000,
        0x7F800000,
        0xFF800000,
        0x7FC00000,
        1,
        0x80000001,
        0x7F7FFFFF,
        0x00800000,
        0x43E00000,
        0x43E80000,
        0x47600000,
        0x477FE000,
        0x477FF000,
        0x33000000,
        0x3A800000,
        0xFF7FFFFF,
    ],
    "f64": [
        0,
        1 << 63,
        0x3FF0000000000000,
        0x7FF0000000000000,
        0xFFF0000000000000,
        0x7FF8000000000000,
        1,
        0x7FEFFFFFFFFFFFFF,
        0x47EFFFFFF0000000,
        0xC7EFFFFFF0000001,
        0x36A0000000000000,
        0xB690000000000000,
    ],
}
_NAN = {"f16": (0x7C00, 0x7FFF), "bf16": (0x7F80, 0x7FFF), "f32": (0x7F800000, 0x7FFFFFFF)}
_NAN["f64"] = (0x7FF0000000000000, 0x7FFFFFFFFFFFFFFF)

OPCODES = {
    **{f"{op}.{mode}{ftz}.f32": ("f32", ("f32", "f32")) for op in ("add", "sub", "mul", "div")
       for mode in ("rn", "rz", "rm", "rp") for ftz in ("", ".ftz")},
    **{f"{op}.{mode}.f64": ("f64", ("f64", "f64")) for op in ("add", "sub", "mul", "div")
       for mode in ("rz", "rm", "rp")},
    **{f"fma.{mode}.{kind}": (kind, (kind,) * 3) for kind in ("f32", "f64") for mode in ("rn", "rz", "rm", "rp")},
    **{f"{op}.{mode}.{kind}": (kind, (kind,)) for op in ("rcp", "sqrt") for kind in ("f32", "f64")
       for mode in ("rz", "rm", "rp")},
    **{f"{op}{nan}.xorsign.abs.f32": ("f32", ("f32", "f32")) for op in ("min", "max") for nan in ("", ".NaN")},
    **{f"cvt.{mode}.{to}.{of}": (to, (of,)) for mode in ("rn", "rz", "rm", "rp") for to in ("f32", "f64")
       for of in ("s32", "u32", "s64", "u64", "u16", "s8")},
    **{f"cvt.rn.{to}.{of}": (to, (of,)) for to in ("f16",) for of in ("s64", "u64", "s32")},
    **{f"cvt.{mode}.f32.f64": ("f32", ("f64",)) for mode in ("rn", "rz", "rm", "rp")},
    **{f"cvt.{mode}.f16.f32": ("f16", ("f32",)) for mode in ("rn", "rz")},
    **{f"cvt.{mode}.bf16.f32": ("bf16", ("f32",)) for mode in ("rn", "rz")},
    **{f"cvt.{mode}.tf32.f32": ("b32", ("b32",)) for mode in ("rna", "rn", "rz", "rn.relu", "rz.relu")},
    **{f"cvt.rn.satfinite{relu}.{to}x2.f32": ("b16", ("f32", "f32")) for to in ("e4m3", "e5m2")
       for relu in ("", ".relu")},
    **{f"cvt.rn.satfinite.{to}x2.f16x2": ("b16", ("f16x2",)) for to in ("e4m3", "e5m2")},
    **{f"cvt.rn.f16x2.{of}x2": ("f16x2", ("b16",)) for of in ("e4m3", "e5m2")},
    **{f"{op}24.{part}.{kind}": (kind, (kind,) * n) for op, n in (("mul", 2), ("mad", 3)) for part in ("lo", "hi")
       for kind in ("u32", "s32")},
    **{f"bmsk.{mode}.b32": ("b32", ("u32", "u32")) for mode in ("clamp", "wrap")},
    **{f"szext.{mode}.{kind}": (kind, (kind, "u32")) for mode in ("clamp", "wrap") for kind in ("u32", "s32")},
    **{f"fma.rn{relu}.{kind}{pair}": (f"{kind}{pair}", (f"{kind}{pair}",) * 3) for relu in ("", ".relu")
       for kind in ("f16", "bf16") for pair in ("", "x2")},
    **{f"cvt.{mode}.relu.{to}.f32": (to, ("f32",)) for mode in ("rn", "rz") for to in ("f16", "bf16")},
    **{f"cvt.{mode}.relu.{to}x2.f32": (f"{to}x2", ("f32", "f32")) for mode in ("rn", "rz") for to in ("f16", "bf16")},
    **{f"{op}.relu.s32": ("s32", ("s32", "s32")) for op in ("min", "max")},
    **{f"set.{test}.{combine}.{to}.{kind}": (to, (kind, kind, "pred")) for test in ("lt", "ne") for combine in
       ("and", "or", "xor") for to in ("u32", "f32") for kind in ("s32", "f32")},
    **{f"dp4a.{a}.{b}": ("u32", ("u32", "u32", "u32")) for a, b in itertools.product(("u32", "s32"), repeat=2)},
    **{f"dp2a.{half}.{a}.{b}": ("u32", ("u32", "u32", "u32")) for half in ("lo", "hi") for a, b in
       itertools.product(("u32", "s32"), repeat=2)},
    **{f"slct.{kind}.{sign}": (f"b{kind[1:]}", (f"b{kind[1:]}",) * 2 + (sign,)) for kind in ("u16", "s32", "f64")
       for sign in ("s32", "f32")},
    **{f"set.{test}.f16x2.f16x2": ("b32", ("f16x2", "f16x2")) for test in ("lt", "geu", "num", "ne")},
    **{f"set.{test}.u32.bf16x2": ("b32", ("bf16x2", "bf16x2")) for test in ("gt", "equ")},
}  # fmt: skip


def operands(kind, n, seed):
    """``n`` bit patterns: specials, and random ones of every size."""
    if kind == "pred":
        return np.random.default_rng(seed).integers(0, 2, n).astype(np.uint8)
    generator = np.random.default_rng(seed)
    element = kind.removesuffix("x2")
    bits = int(element.lstrip("bfsu"))
    values = generator.integers(0, 1 << 64, n, dtype=np.uint64) >> np.uint64(64 - bits)
    if element[0] in "us":
        values >>= generator.integers(0, bits, n).astype(np.uint64)
    special = _SPECIAL.get(element, [0, 1, (1 << bits) - 1, 1 << bits - 1, (1 << bits - 1) - 1])
    chosen = generator.random(n) < 0.4
    values[chosen] = generator.choice(np.array(special, np.uint64), n)[chosen]
    if element[0] == "f" and bits >= 32:  # numbers of like size, whose sums round
        near = generator.random(n) < 0.3
        numbers = generator.normal(size=n) * 2.0 ** generator.integers(-4, 4, n)
        values[near] = numbers.astype(f"f{bits // 8}").view(f"u{bits // 8}").astype(np.uint64)[near]
    if kind.endswith("x2"):
        return (values | np.roll(values, 7) << np.uint64(bits)).astype(f"u{bits // 4}")
    return values.astype(f"u{bits // 8}")


def is_nan(bits, kind):
    if kind not in _NAN:
        return np.zeros(bits.shape, bool)
    least, mask = _NAN[kind]
    return (bits & bits.dtype.type(mask)) > least


@pytest.mark.parametrize("opcode", OPCODES)
def test_random_operands(opcode, rows):
    n = 512
    result, sources = OPCODES[opcode]
    row = rows.Row(opcode, result, sources, ())
    text = rows.text(row)
    seed = sum(opcode.encode())
    inputs = [rows.aligned(operands(kind, n, seed + i).tobytes()) for i, kind in enumerate(sources)]
    size = rows.width(result) // 8
    found = []
    for execute in (lambda *a: run(parse(text), "row", 1, n, a), lambda *a: load_ptx(text)["row"][1, n](*a)):
        out = rows.aligned(bytes(size * n))
        execute(out, *inputs)
        found.append(out.view(f"u{size}"))
    expected, got = found
    elements = result.removesuffix("x2")
    if elements != result:
        expected, got = (bits.view(f"u{size // 2}") for bits in found)
    same = (expected == got) | (is_nan(expected, elements) & is_nan(got, elements))
    wrong = np.flatnonzero(~same)
    shown = [[hex(a.view(f"u{a.size // n}")[i]) for a in inputs] for i in wrong[:3] // (expected.size // n)]
    assert not wrong.size, (
        f"{wrong.size} differ: {shown}, {list(map(hex, expected[wrong[:3]]))}, {list(map(hex, got[wrong[:3]]))}"
    )
