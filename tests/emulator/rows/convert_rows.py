"""Conversions, comparisons and selections."""

import math
import operator
import struct

INF, NAN = math.inf, math.nan


def rows(Row):
    """All rows, built with the harness's ``Row``."""
    made = []

    def wrap(value, kind):
        bits = int(kind[1:])
        value %= 1 << bits
        return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value

    def limits(kind):
        bits = int(kind[1:])
        return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind[0] == "s" else (0, (1 << bits) - 1)

    integers = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64")
    for to in integers:
        for source in integers:
            low, high = limits(source)
            values = sorted({low, high, 0, 1, 100, high // 2, low // 2})
            made.append(Row(f"cvt.{to}.{source}", to, (source,), tuple((v, wrap(v, to)) for v in values)))
            smallest, largest = limits(to)
            clamped = tuple((v, min(max(v, smallest), largest)) for v in values)
            if to != source:
                made.append(Row(f"cvt.sat.{to}.{source}", to, (source,), clamped))

    whole = {"rni": round, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}
    for to in integers:
        low, high = limits(to)
        for mode, function in whole.items():
            values = [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 99.9, -99.9]
            cases = [(v, min(max(function(v), low), high)) for v in values] + [
                (1e30, high),
                (-1e30, low),
                (INF, high),
                (-INF, low),
            ]
            for source in ("f32", "f64"):
                exact = (
                    [(struct.unpack("<f", struct.pack("<f", v))[0], r) for v, r in cases] if source == "f32" else cases
                )
                if source == "f32" and to[1:] != "64":
                    exact = [*exact, (NAN, 0)]
                made.append(Row(f"cvt.{mode}.{to}.{source}", to, (source,), tuple(exact)))
    made.append(Row("cvt.rzi.s64.f32", "s64", ("f32",), ((NAN, -(1 << 63)),), note="NaN"))
    made.append(Row("cvt.rzi.s32.f64", "s32", ("f64",), ((NAN, -(1 << 31)),), note="NaN"))

    for kind in integers:
        low, high = limits(kind)
        values = (0, 1, low, high, high // 3)
        for to in ("f32", "f64"):
            made.append(Row(f"cvt.rn.{to}.{kind}", to, (kind,), tuple((v, nearest(v, to)) for v in values)))
    made.append(Row("cvt.rn.f32.s32", "f32", ("s32",), ((16777217, 16777216.0), (16777219, 16777220.0)), note="ties"))
    made.append(Row("cvt.rz.f32.s32", "f32", ("s32",), ((16777219, 16777218.0), (-16777219, -16777218.0))))
    made.append(Row("cvt.rp.f32.u32", "f32", ("u32",), ((16777217, 16777218.0), (5, 5.0))))
    made.append(Row("cvt.rn.f16.s32", "f16", ("s32",), ((2049, 2048.0), (2051, 2052.0), (70000, INF))))

    made.append(Row("cvt.f64.f32", "f64", ("f32",), ((0.5, 0.5), (INF, INF), (NAN, NAN), (-0.0, -0.0))))
    made.append(
        Row(
            "cvt.rn.f32.f64",
            "f32",
            ("f64",),
            ((0.1, struct.unpack("<f", struct.pack("<f", 0.1))[0]), (1e300, INF), (1e-300, 0.0)),
        )
    )
    made.append(Row("cvt.rz.f32.f64", "f32", ("f64",), ((1e300, float(2**128 - 2**104)), (1 + 2**-24 + 2**-25, 1.0))))
    made.append(
        Row(
            "cvt.rn.f16.f32",
            "f16",
            ("f32",),
            ((65519.0, 65504.0), (65520.0, INF), (1.00048828125, 1.0), (2.0**-25, 0.0)),
        )
    )
    made.append(Row("cvt.rz.f16.f32", "f16", ("f32",), ((65520.0, 65504.0), (1.75 * 2**-24, 2.0**-24))))
    made.append(
        Row("cvt.f32.f16", "f32", ("f16",), ((0.333251953125, 0.333251953125), (-INF, -INF), (2.0**-24, 2.0**-24)))
    )
    made.append(
        Row("cvt.rn.bf16.f32", "bf16", ("f32",), ((1.00390625, 1.0), (1.01171875, 1.015625), (3.4e38, INF), (NAN, NAN)))
    )
    made.append(Row("cvt.rz.bf16.f32", "bf16", ("f32",), ((1.0078, 1.0), (-1.0155, -1.0078125))))
    made.append(Row("cvt.f32.bf16", "f32", ("bf16",), ((1.0078125, 1.0078125), (-INF, -INF))))
    made.append(
        Row(
            "cvt.rna.tf32.f32",
            "b32",
            ("b32",),
            ((0x3F801000, 0x3F802000), (0x3F800FFF, 0x3F800000), (0x7F800000, 0x7F800000)),
        )
    )
    for mode in ("rn", "rz"):
        relu = ((0xBF800000, 0), (0x3F800000, 0x3F800000), (0xFFC00000, 0x7FFFFFFF), (0xFF800000, 0), (0x80000000, 0))
        made.append(Row(f"cvt.{mode}.relu.tf32.f32", "b32", ("b32",), relu))
    for mode, function in (
        ("rni", lambda v: float(round(v))),
        ("rzi", lambda v: float(math.trunc(v))),
        ("rmi", math.floor),
        ("rpi", math.ceil),
    ):
        cases = tuple((v, math.copysign(float(function(v)), v)) for v in (0.5, 1.5, 2.5, -0.5, -2.7, 3.0, 1e20))
        made.append(Row(f"cvt.{mode}.f32.f32", "f32", ("f32",), tuple((f32(a), f32(b)) for a, b in cases)))
        made.append(Row(f"cvt.{mode}.f64.f64", "f64", ("f64",), cases))
    for kind in ("f32", "f64", "f16"):
        made.append(
            Row(f"cvt.sat.f64.{kind}", "f64", (kind,), ((1.5, 1.0), (-0.5, 0.0), (NAN, 0.0), (0.25, 0.25), (INF, 1.0)))
        )
    made.append(Row("cvt.f64.f64", "f64", ("f64",), ((1.5, 1.5), (-0.0, -0.0), (NAN, NAN), (5e-324, 5e-324))))
    made.append(Row("cvt.sat.f32.f32", "f32", ("f32",), ((1.5, 1.0), (-0.5, 0.0), (NAN, 0.0), (0.25, 0.25))))
    made.append(
        Row(
            "cvt.rn.satfinite.e4m3x2.f32",
            "b16",
            ("f32", "f32"),
            ((1.0, -448.0, 0x38FE), (1e9, 0.0, 0x7E00), (1.0625, 1.1875, 0x383A)),
        )
    )
    made.append(Row("cvt.rn.satfinite.e5m2x2.f32", "b16", ("f32", "f32"), ((1.0, -2.0, 0x3CC0), (1e9, 1.125, 0x7B3C))))
    made.append(Row("cvt.rn.f16x2.e4m3x2", "b32", ("b16",), ((0x38FE, 0x3C00DF00),)))
    made.append(Row("cvt.rn.f16x2.e5m2x2", "b32", ("b16",), ((0x3CC0, 0x3C00C000),)))
    # The pairs of sm_100; numbers of 6 and 4 bits have no NaN, and what is none becomes the largest.
    narrow = {
        "e2m3": ((1.0, -7.5, 0x083F), (1e9, 0.0625, 0x1F00), (0.1875, -0.3125, 0x0222), (NAN, 6.2, 0x1F1C)),
        "e3m2": ((1.0, -28.0, 0x0C3F), (INF, 0.0625, 0x1F01), (0.09375, 1.125, 0x020C), (NAN, -0.2, 0x1F23)),
        "e2m1": ((1.0, -6.0, 0x2F), (1e9, 0.25, 0x70), (0.75, -5.0, 0x2E), (NAN, -0.3, 0x79), (2.5, 3.5, 0x46)),
    }
    for kind, cases in narrow.items():
        stored = "b8" if kind == "e2m1" else "b16"
        cases = tuple((f32(a), f32(b), code) for a, b, code in cases)
        made.append(Row(f"cvt.rn.satfinite.{kind}x2.f32", stored, ("f32", "f32"), cases, target=100))
    relu = ((-1.0, 4.0, 0x06), (3.0, -2.0, 0x50))
    made.append(Row("cvt.rn.satfinite.relu.e2m1x2.f32", "b8", ("f32", "f32"), relu, target=100))
    of_pairs = {"f16": ((0x3C00C600, 0x2F), (0x7C003400, 0x70)), "bf16": ((0x3F80C0C0, 0x2F), (0x7F803E80, 0x70))}
    for kind, cases in of_pairs.items():
        made.append(Row(f"cvt.rn.satfinite.e2m1x2.{kind}x2", "b8", ("b32",), cases, target=100, version="9.1"))
    made.append(Row("cvt.rn.f16x2.e2m1x2", "b32", ("b8",), ((0x2F, 0x3C00C600), (0x91, 0xB8003800)), target=100))
    made.append(Row("cvt.rn.f16x2.e2m3x2", "b32", ("b16",), ((0x083F, 0x3C00C780), (0x0122, 0x3000B400)), target=100))
    made.append(Row("cvt.rn.f16x2.e3m2x2", "b32", ("b16",), ((0x0C3F, 0x3C00CF00), (0x0123, 0x2C00B200)), target=100))
    # An octet of the last operand is added to the first eight of the dropped bits: 2.5 lies halfway from 2 to 3, 0.125
    # a quarter of the way from 0 to 0.5. The octets of {a, b, b, a} are the first, third, second and fourth.
    by_chance = (
        (2.5, -0.125, 0x80808080, 0x5885),
        (2.5, -0.125, 0x7FC07FBF, 0x4895),
        (5.9, 100.0, 0x00FFFFFF, 0x6777),
        (5.9, -INF, 0xFFFFFF00, 0x7FF6),
        (NAN, 0.9999, 0x00010000, 0x7127),
        (1.0, 0.0, 0xFFFFFFFF, 0x2002),
    )
    for relu, of_negative in (("", False), (".relu", True)):
        cases = tuple(
            (f32(a), f32(b), random, code & 0xF00F if of_negative and b < 0 else code)
            for a, b, random, code in by_chance
        )
        opcode, spelled = f"cvt.rs.satfinite{relu}.e2m1x4.f32", "%z, {%a, %b, %b, %a}, %c"
        made.append(Row(opcode, "b16", ("f32", "f32", "b32"), cases, target=100, operands=spelled))
    powers = [
        (1.0, 2.0**-127, 0x7F00, 0x7F00),
        (1.5, -8.0, 0x7F82, 0x8082),
        (2.0**-126 * 0.75, 0.0, 0x0000, 0x0100),
        (2.0**-149, -3.0, 0x0080, 0x0081),
        (INF, NAN, 0xFEFF, 0xFEFF),
        (3e38, 1e-3, 0xFE75, 0xFE76),
    ]
    for mode, at in (("rz", 2), ("rp", 3)):
        cases = tuple((f32(case[0]), f32(case[1]), case[at]) for case in powers)
        made.append(Row(f"cvt.{mode}.satfinite.ue8m0x2.f32", "b16", ("f32", "f32"), cases, target=100))
    made.append(Row("cvt.rp.ue8m0x2.f32", "b16", ("f32", "f32"), ((INF, f32(3e38), 0xFFFF),), target=100))
    made.append(Row("cvt.rz.ue8m0x2.bf16x2", "b16", ("b32",), ((0x3FC0C100, 0x7F82), (0x00807FC0, 0x01FF)), target=100))
    made.append(Row("cvt.rn.bf16x2.ue8m0x2", "b32", ("b16",), ((0x7F82, 0x3F804100), (0x00FF, 0x00407FFF)), target=100))

    comparisons = {
        "eq": operator.eq,
        "ne": operator.ne,
        "lt": operator.lt,
        "le": operator.le,
        "gt": operator.gt,
        "ge": operator.ge,
    }
    for kind in ("s16", "u16", "s32", "u32", "s64", "u64"):
        low, high = limits(kind)
        for name, function in comparisons.items():
            cases = tuple((a, b, int(function(a, b))) for a in (low, 1, high) for b in (low, 1, high))
            made.append(Row(f"setp.{name}.{kind}", "pred", (kind, kind), cases))
    for name, signless in (("lo", "lt"), ("ls", "le"), ("hi", "gt"), ("hs", "ge")):
        cases = tuple((a, b, int(comparisons[signless](a, b))) for a in (0, 5, 2**32 - 1) for b in (0, 5, 2**32 - 1))
        made.append(Row(f"setp.{name}.u32", "pred", ("u32", "u32"), cases))
    values = (0.0, -0.0, 1.0, INF, NAN)
    for kind in ("f16", "f32", "f64", "bf16"):
        for name, function in comparisons.items():

            def ordered(a, b, function=function):
                return int(function(a, b) and a == a and b == b)

            made.append(
                Row(
                    f"setp.{name}.{kind}",
                    "pred",
                    (kind, kind),
                    tuple((a, b, ordered(a, b)) for a in values for b in values),
                )
            )
            cases = tuple((a, b, int(ordered(a, b) or a != a or b != b)) for a in values for b in values)
            made.append(Row(f"setp.{name}u.{kind}", "pred", (kind, kind), cases))
        made.append(Row(f"setp.num.{kind}", "pred", (kind, kind), ((1.0, 2.0, 1), (NAN, 2.0, 0))))
        made.append(Row(f"setp.nan.{kind}", "pred", (kind, kind), ((1.0, 2.0, 0), (1.0, NAN, 1))))
    for combine, function in (("and", operator.and_), ("or", operator.or_), ("xor", operator.xor)):
        cases = tuple((a, 1, p, function(int(a < 1), p)) for a in (0, 2) for p in (0, 1))
        made.append(Row(f"setp.lt.{combine}.s32", "pred", ("s32", "s32", "pred"), cases))
    made.append(Row("setp.eq.ftz.f32", "pred", ("f32", "f32"), ((2.0**-149, 0.0, 1), (2.0**-126, 0.0, 0))))
    cases = ((2.0**-24, 2.0**-24), (-(2.0**-130), -0.0), (1.0, 1.0))  # .ftz is about single precision only
    made.append(Row("cvt.rn.ftz.f16.f32", "f16", ("f32",), cases))
    made.append(Row("set.lt.u32.s32", "u32", ("s32", "s32"), ((1, 2, 2**32 - 1), (2, 1, 0))))
    made.append(Row("set.gt.f32.f32", "f32", ("f32", "f32"), ((1.0, 2.0, 0.0), (2.0, 1.0, 1.0))))
    for kind in ("f16", "bf16"):
        cases = ((2.0, 2.0, 1.0), (2.0, 1.0, 0.0), (NAN, NAN, 0.0))
        made.append(Row(f"set.eq.{kind}.{kind}", kind, (kind, kind), cases))
    cases = ((1.0, 2.0, 2**16 - 1), (NAN, 1.0, 2**16 - 1), (2.0, 1.0, 0))
    made.append(Row("set.ltu.u16.f16", "u16", ("f16", "f16"), cases))
    made.append(Row("set.eq.f16x2.f16x2", "b32", ("b32", "b32"), ((0x3C004000, 0x3C003C00, 0x3C000000),)))
    made.append(Row("selp.b32", "b32", ("b32", "b32", "pred"), ((1, 2, 1, 1), (1, 2, 0, 2))))
    made.append(Row("selp.f64", "f64", ("f64", "f64", "pred"), ((1.0, 2.0, 1, 1.0), (1.0, NAN, 0, NAN))))
    made.append(Row("slct.u32.s32", "u32", ("u32", "u32", "s32"), ((1, 2, 0, 1), (1, 2, -1, 2))))
    for mode, up, down in (("rp", 1, 0), ("rm", 0, 1)):  # of a bf16, whose bits are the upper half of a float's
        cases = [(1.0, 0x3F80), (math.inf, 0x7F80), (0.0, 0), (-0.0, 0x8000)]
        cases += [(struct.unpack("<f", struct.pack("<I", 0x3F800001))[0], 0x3F80 + up)]
        cases += [(struct.unpack("<f", struct.pack("<I", 0xC1234FFF))[0], 0xC123 + down)]
        cases += [(2.0**-149, up), (-(2.0**-149), 0x8000 + down)]
        made.append(Row(f"cvt.{mode}.bf16.f32", "b16", ("f32",), tuple(cases)))
    for mode, results in {"rni": (2.0, -2.0, 0.0), "rzi": (2.0, -1.0, 0.0), "rmi": (2.0, -2.0, 0.0),
                          "rpi": (3.0, -1.0, 1.0)}.items():  # fmt: skip
        cases = tuple(zip((2.5, -1.5, 0.25), results, strict=True))
        made.append(Row(f"cvt.{mode}.bf16.bf16", "bf16", ("bf16",), cases))
    made.append(Row("mov.b32", "b32", ("b32",), ((0x7F800001, 0x7F800001),), note="NaN bits survive"))
    return made


def f32(value):
    """Nearest float32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def nearest(value, kind):
    """An integer as the nearest float, ties to even, in integer arithmetic."""
    bits = 24 if kind == "f32" else 53
    size = abs(value)
    drop = max(size.bit_length() - bits, 0)
    kept, rest = size >> drop, size & ((1 << drop) - 1)
    half = 1 << drop >> 1
    if drop and (rest > half or (rest == half and kept & 1)):
        kept += 1
    return math.copysign(float(kept << drop), value)
