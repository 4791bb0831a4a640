"""Floating-point instructions; expected values come from ``struct``, ``math`` and exact fractions."""

import itertools
import math
import struct
import sys
from fractions import Fraction

INF, NAN = math.inf, math.nan
TINY = 2.0**-149  # the smallest subnormal float32
SMALL = 2.0**-126  # the smallest normal one
BIG = float(2**128 - 2**104)  # the largest
EPS = 2.0**-23


def f32(value):
    """Nearest float32."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(INF, value)


def neighbours(value, kind):
    """The largest value of the type not above, and the smallest not below, a fraction."""
    bits, low = {"f16": (11, -24), "bf16": (8, -133), "f32": (24, -149), "f64": (53, -1074)}[kind]
    if value == 0:
        return Fraction(0), Fraction(0)
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent += (1 if size >= Fraction(2) ** (exponent + 1) else 0) - (1 if size < Fraction(2) ** exponent else 0)
    unit = Fraction(2) ** max(exponent - bits + 1, low)
    down = value // unit * unit
    return down, down if down == value else down + unit


def rounded(value, kind, mode="rn"):
    """A fraction rounded to a type, from the definition of each direction."""
    largest = {"f16": 65504.0, "bf16": float(255 * 2**120), "f32": BIG, "f64": sys.float_info.max}[kind]
    result = _in_range(value, kind, mode)
    if abs(result) > largest:
        stays = mode == "rz" or (mode == "rm" and value > 0) or (mode == "rp" and value < 0)
        result = largest if stays else INF
    return math.copysign(result, value)


def _in_range(value, kind, mode):
    down, up = neighbours(value, kind)
    if mode == "rm" or (mode == "rz" and value > 0):
        return float(down)
    if mode == "rp" or mode == "rz":
        return float(up)
    if value - down != up - value:
        return float(down if value - down < up - value else up)
    unit = up - down or 1
    return float(down if (down / unit) % 2 == 0 else up)


def rows(Row):
    """All rows, built with the harness's ``Row``."""
    made = []
    special = [0.0, -0.0, 1.0, -2.5, INF, -INF, NAN, BIG, TINY, SMALL, 3e38, 1e-38, f32(0.1)]
    special = [f32(value) for value in special]

    def add(a, b):
        if a != a or b != b or (math.isinf(a) and math.isinf(b) and a != b):
            return NAN
        return f32(a + b)

    def mul(a, b):
        return f32(a * b)

    pairs = list(itertools.product(special, special))
    made.append(Row("add.f32", "f32", ("f32", "f32"), tuple((a, b, add(a, b)) for a, b in pairs)))
    made.append(Row("sub.rn.f32", "f32", ("f32", "f32"), tuple((a, b, add(a, -b)) for a, b in pairs)))
    made.append(Row("mul.f32", "f32", ("f32", "f32"), tuple((a, b, mul(a, b)) for a, b in pairs)))

    numbers = [f32(v) for v in (0.1, -0.3, 1.0, 1 + EPS, 3.0, -7.7, 1e-20, 1e20, SMALL, TINY * 3)]
    for mode in ("rn", "rz", "rm", "rp"):
        for name, function in (("add", lambda a, b: a + b), ("sub", lambda a, b: a - b), ("mul", lambda a, b: a * b)):
            cases = [(a, b, function(Fraction(a), Fraction(b))) for a, b in itertools.product(numbers, numbers)]
            exact = tuple((a, b, rounded(r, "f32", mode)) for a, b, r in cases if r)
            made.append(Row(f"{name}.{mode}.f32", "f32", ("f32", "f32"), exact, note="directed"))
        quotients = tuple(
            (a, b, rounded(Fraction(a) / Fraction(b), "f32", mode)) for a, b in itertools.product(numbers[:7], repeat=2)
        )
        made.append(Row(f"div.{mode}.f32", "f32", ("f32", "f32"), quotients))
        made.append(
            Row(
                f"rcp.{mode}.f32",
                "f32",
                ("f32",),
                tuple((a, rounded(1 / Fraction(a), "f32", mode)) for a in numbers[:8]),
            )
        )
        roots = []
        for a in (2.0, 3.0, 0.1, 4.0, 1e10):
            a = f32(a)
            root = Fraction(math.isqrt(int(Fraction(a) * 2**200)), 2**100)
            if root * root != Fraction(a):
                root += Fraction(1, 2**101)  # anything strictly between the two neighbours rounds alike
            roots.append((a, rounded(root, "f32", mode)))
        made.append(Row(f"sqrt.{mode}.f32", "f32", ("f32",), tuple(roots)))
        halfway = [
            (1.0, EPS / 2, 1.0),
            (1 + EPS, 1 + EPS, -1.0),
            (0.1, 0.1, 1e-30),
            (1e20, 1e20, -1e30),
            (3.0, 1 / 3, -1.0),
            (1 + EPS, EPS / 2 * (1 - EPS), 1.0),
            (2.0**-100, 2.0**-40, 1.0),
            (-(2.0**-100), 2.0**-40, 1.0),
        ]
        cases = []
        for triple in halfway:
            a, b, c = map(f32, triple)
            exact = Fraction(a) * Fraction(b) + Fraction(c)
            if exact:
                cases.append((a, b, c, rounded(exact, "f32", mode)))
        made.append(Row(f"fma.{mode}.f32", "f32", ("f32", "f32", "f32"), tuple(cases)))
        doubles = [
            (0.1, 0.1, -0.01),
            (1e300, 1e-300, -1.0),
            (1 + 2**-52, 1 + 2**-52, -1.0),
            (3.3, 1 / 3.3, -1.0),
            (1e-200, 1e-200, 1e-320),
            (1e200, 1e100, -1e300),
            (2.0**-537, 2.0**-537, 2.0**-1074),
        ]
        cases = tuple((a, b, c, rounded(Fraction(a) * Fraction(b) + Fraction(c), "f64", mode)) for a, b, c in doubles)
        made.append(Row(f"fma.{mode}.f64", "f64", ("f64", "f64", "f64"), cases))
        cases = tuple(
            (a, b, rounded(Fraction(a) + Fraction(b), "f64", mode)) for a, b in ((0.1, 0.2), (1e300, -1.0), (1e16, 1.5))
        )
        made.append(Row(f"add.{mode}.f64", "f64", ("f64", "f64"), cases))

    made.append(
        Row(
            "fma.rn.ftz.f32",
            "f32",
            ("f32", "f32", "f32"),
            ((TINY, 1.0, 0.0, 0.0), (-SMALL, 0.5, 0.0, -0.0), (1.0, 1.0, TINY, 1.0)),
        )
    )
    made.append(
        Row("add.ftz.f32", "f32", ("f32", "f32"), ((TINY, TINY, 0.0), (SMALL * 1.5, -SMALL, 0.0), (-TINY, -TINY, -0.0)))
    )
    made.append(
        Row(
            "mul.sat.f32", "f32", ("f32", "f32"), ((2.0, 2.0, 1.0), (-1.0, 2.0, 0.0), (0.5, 0.5, 0.25), (INF, 0.0, 0.0))
        )
    )
    made.append(Row("fma.rn.sat.f32", "f32", ("f32", "f32", "f32"), ((NAN, 1.0, 1.0, 0.0), (1.0, 1.0, 1.0, 1.0))))

    for kind in ("f32", "f64"):
        for name, pick in (("min", min), ("max", max)):
            cases = [
                (1.0, 2.0, pick(1.0, 2.0)),
                (NAN, 1.0, 1.0),
                (1.0, NAN, 1.0),
                (NAN, NAN, NAN),
                (INF, -INF, pick(INF, -INF)),
            ]
            zero = -0.0 if name == "min" else 0.0
            cases += [(0.0, -0.0, zero), (-0.0, 0.0, zero), (-3.0, -2.0, pick(-3.0, -2.0))]
            made.append(Row(f"{name}.{kind}", kind, (kind, kind), tuple(cases)))
            if kind == "f32":
                strict = tuple((a, b, NAN if a != a or b != b else c) for a, b, c in cases)
                made.append(Row(f"{name}.NaN.{kind}", kind, (kind, kind), strict))
        made.append(Row(f"neg.{kind}", kind, (kind,), ((1.0, -1.0), (0.0, -0.0), (-INF, INF))))
        made.append(Row(f"abs.{kind}", kind, (kind,), ((-1.0, 1.0), (-0.0, 0.0), (-INF, INF))))
        made.append(
            Row(f"copysign.{kind}", kind, (kind, kind), ((-1.0, 3.0, -3.0), (0.0, -3.0, 3.0), (-0.0, INF, -INF)))
        )
        made.append(Row(f"testp.finite.{kind}", "pred", (kind,), ((1.0, 1), (INF, 0), (NAN, 0))))
        # Zeros are normal to PTX: ptxas compares with zero, too.
        least = 2.0 ** (-126 if kind == "f32" else -1022)
        cases = ((1.0, 1), (0.0, 1), (-0.0, 1), (-INF, 0), (NAN, 0), (least, 1), (-least / 2, 0))
        made.append(Row(f"testp.normal.{kind}", "pred", (kind,), cases))
        made.append(Row(f"testp.notanumber.{kind}", "pred", (kind,), ((1.0, 0), (INF, 0), (NAN, 1))))
        made.append(
            Row(
                f"testp.subnormal.{kind}", "pred", (kind,), ((1.0, 0), (0.0, 0), (TINY if kind == "f32" else 5e-324, 1))
            )
        )
    made.append(
        Row("min.xorsign.abs.f32", "f32", ("f32", "f32"), ((-1.0, 2.0, -1.0), (-1.0, -2.0, 1.0), (3.0, 2.0, 2.0)))
    )

    halves = [1.0, -2.5, 0.000061, 65504.0, 6e-8, 3.140625]
    halves = [struct.unpack("<e", struct.pack("<e", value))[0] for value in halves]
    for name, function in (("add", lambda a, b: a + b), ("sub", lambda a, b: a - b), ("mul", lambda a, b: a * b)):
        cases = [(a, b, function(Fraction(a), Fraction(b))) for a, b in itertools.product(halves, halves)]
        half = tuple((a, b, rounded(r, "f16")) for a, b, r in cases if r and abs(r) < 65520)
        made.append(Row(f"{name}.f16", "f16", ("f16", "f16"), half))
    cases = tuple(
        (a, b, c, Fraction(a) * Fraction(b) + Fraction(c)) for a, b, c in itertools.product(halves, halves, halves[::2])
    )
    made.append(
        Row(
            "fma.rn.f16",
            "f16",
            ("f16",) * 3,
            tuple((a, b, c, rounded(r, "f16")) for a, b, c, r in cases if r and abs(r) < 65520),
        )
    )
    brains = [1.0, 1.0078125, -2.5, 3e38, 2.0**-130, 0.10009765625]
    cases = tuple(
        (a, b, c, Fraction(a) * Fraction(b) + Fraction(c))
        for a, b, c in itertools.product(brains[:3] + brains[5:], brains[:3], brains[1::2])
        if (Fraction(c) * 2**133).denominator == 1 and c < 1e38
    )
    made.append(
        Row("fma.rn.bf16", "bf16", ("bf16",) * 3, tuple((a, b, c, rounded(r, "bf16")) for a, b, c, r in cases if r))
    )

    widths = {"f16": halves, "bf16": [value for value in brains if value < 1e38]}
    for kind, mode in itertools.product(widths, ("rn", "rz", "rm", "rp")):
        narrow, wide = widths[kind], [f32(value) for value in (0.1, -1e-7, 3.0, 1e10, TINY)]
        for name, sign in (("add", 1), ("sub", -1)):
            cases = [(a, b, Fraction(a) + sign * Fraction(b)) for a, b in itertools.product(narrow, wide)]
            cases = tuple((a, b, rounded(r, "f32", mode)) for a, b, r in cases if r)
            made.append(Row(f"{name}.{mode}.f32.{kind}", "f32", (kind, "f32"), cases, target=100))
        cases = [
            (a, b, c, Fraction(a) * Fraction(b) + Fraction(c))
            for a, b, c in itertools.product(narrow, narrow[:3], wide[:3])
        ]
        cases = tuple((a, b, c, rounded(r, "f32", mode)) for a, b, c, r in cases if r)
        made.append(Row(f"fma.{mode}.f32.{kind}", "f32", (kind, kind, "f32"), cases, target=100))
        cases = ((1.0, 3.0, 1.0), (-2.5, 1.0, 0.0), (INF, -INF, 0.0), (1.0, -0.75, 0.25))
        made.append(Row(f"add.{mode}.sat.f32.{kind}", "f32", (kind, "f32"), cases, target=100))

    long = [*halves, 1.00390625, 1.001953125, 0.0, -0.0, INF, NAN]
    short = [*brains[:3], 0.10009765625, 2.0**127, 65280.0, 2.0**-24 * 1.0078125, 2.0**-30, 0.0, -0.0, -INF, NAN]
    for to, of, values in (("bf16", "f16", long), ("f16", "bf16", short)):
        for mode in ("", "rn", "rz", "rm", "rp"):
            cases = ((v, rounded(Fraction(v), to, mode or "rn") if v and math.isfinite(v) else v) for v in values)
            made.append(Row(f"cvt.{mode}.{to}.{of}".replace("..", "."), to, (of,), tuple(cases)))

    def two(kind, low, high):
        form = "<e" if kind == "f16" else "<f"
        return [struct.unpack("<H", struct.pack(form, value)[-2:])[0] for value in (low, high)]

    def both(kind, low, high):
        first, second = two(kind, low, high)
        return second << 16 | first

    for kind in ("f16", "bf16"):
        made.append(
            Row(
                f"add.{kind}x2",
                "b32",
                ("b32", "b32"),
                ((both(kind, 1.0, -2.0), both(kind, 0.5, 7.0), both(kind, 1.5, 5.0)),),
            )
        )
        made.append(
            Row(
                f"fma.rn.{kind}x2",
                "b32",
                ("b32",) * 3,
                ((both(kind, 2.0, 3.0), both(kind, 4.0, 5.0), both(kind, 1.0, -1.0), both(kind, 9.0, 14.0)),),
            )
        )
        made.append(
            Row(
                f"max.{kind}x2",
                "b32",
                ("b32", "b32"),
                ((both(kind, 2.0, -3.0), both(kind, NAN, 5.0), both(kind, 2.0, 5.0)),),
            )
        )
        made.append(Row(f"cvt.rn.{kind}x2.f32", "b32", ("f32", "f32"), ((2.0, -1.0, both(kind, -1.0, 2.0)),)))
    made.append(
        Row("fma.rn.relu.f16", "f16", ("f16",) * 3, ((1.0, -2.0, 1.0, 0.0), (1.0, 2.0, 1.0, 3.0), (NAN, 1.0, 1.0, NAN)))
    )

    approximate = [f32(value) for value in (0.5, 1.0, 2.0, 3.7, 100.0, 1e-3)]
    for opcode, function, rtol in (
        ("ex2.approx.f32", lambda x: 2.0**x, 2e-7),
        ("lg2.approx.f32", math.log2, 2e-6),
        ("sin.approx.f32", math.sin, 2e-6),
        ("cos.approx.f32", math.cos, 2e-6),
        ("tanh.approx.f32", math.tanh, 6e-4),
        ("rcp.approx.f32", lambda x: 1 / x, 2e-7),
        ("sqrt.approx.f32", math.sqrt, 2e-7),
        ("rsqrt.approx.f32", lambda x: 1 / math.sqrt(x), 2e-7),
        ("rcp.approx.ftz.f64", lambda x: 1 / x, 2e-6),
        ("rsqrt.approx.ftz.f64", lambda x: 1 / math.sqrt(x), 2e-6),
    ):
        kind = opcode[-3:]
        arguments = [x for x in approximate if not (opcode[:2] in ("si", "co") and x > 50)]
        made.append(Row(opcode, kind, (kind,), tuple((x, function(x)) for x in arguments), rtol=rtol, note="values"))
    for opcode, cases in {
        "ex2.approx.ftz.f32": ((-INF, 0.0), (INF, INF), (-140.0, 0.0), (NAN, NAN), (TINY, 1.0)),
        "ex2.approx.f32": ((-140.0, 2.0**-140), (0.0, 1.0), (-INF, 0.0)),
        "lg2.approx.f32": ((0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF), (1.0, 0.0)),
        "rcp.approx.ftz.f32": ((0.0, INF), (-0.0, -INF), (INF, 0.0), (TINY, INF)),
        "rsqrt.approx.f32": ((0.0, INF), (-1.0, NAN), (INF, 0.0)),
        "sqrt.approx.ftz.f32": ((-0.0, -0.0), (-1.0, NAN), (INF, INF), (TINY, 0.0)),
    }.items():
        made.append(Row(opcode, "f32", ("f32",), cases, note="special"))
    for opcode in ("div.full.f32", "div.approx.f32"):
        made.append(
            Row(opcode, "f32", ("f32", "f32"), ((1.0, 3.0, 1 / 3), (-7.0, 2.0, -3.5), (1.0, 0.0, INF)), rtol=3e-7)
        )
    return made
