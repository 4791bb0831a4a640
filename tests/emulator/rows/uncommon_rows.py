"""Instructions that inline assembly writes more often than compilers do: saturation, flushing, packing, predicates."""

import itertools
import struct

TOP = 2**31 - 1


def clamp(value, low, high):
    """The nearest number of a range."""
    return max(low, min(value, high))


def rows(Row):
    """All rows, built with the harness's ``Row``."""
    return [*_saturated(Row), *_packed(Row), *_logic(Row), *_flushed(Row)]


def _saturated(Row):
    words = (0, 1, -1, TOP, -TOP - 1, 0x7FFFFF, -0x800000, 123456789)

    def low_24(value):
        value %= 1 << 24
        return value - (1 << 24) if value >> 23 else value

    for opcode, product in (
        ("mad.hi.sat.s32", lambda a, b: a * b >> 32),
        ("mad24.hi.sat.s32", lambda a, b: low_24(a) * low_24(b) >> 16),
    ):
        cases = tuple(
            (a, b, c, clamp(product(a, b) + c, -TOP - 1, TOP))
            for a, b, c in itertools.product(words, words, (0, TOP, -TOP - 1))
        )
        yield Row(opcode, "s32", ("s32",) * 3, cases)


def _packed(Row):
    numbers = (0, 1, -1, 5, 127, 128, 255, 256, -128, -129, 32767, 32768, 65536, -32769, TOP, -TOP - 1)
    for kind, size in itertools.product("us", (2, 4, 8, 16)):
        low, high = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if kind == "s" else (0, 2**size - 1)
        cases = []
        for a, b in itertools.product(numbers, numbers):
            digits = [f"{clamp(x, low, high) % 2**size:0{size}b}" for x in (a, b)]
            third = 0xC1A5E37B
            text = f"{third:032b}" + "".join(digits)
            cases.append((a, b, *([third] if size < 16 else []), int(text[-32:], 2)))
        sources = ("s32", "s32", *(["b32"] if size < 16 else []))
        opcode = f"cvt.pack.sat.{kind}{size}.s32" + (".b32" if size < 16 else "")
        yield Row(opcode, "b32", sources, tuple(cases))


def _logic(Row):
    a, b, c = 0xF0F0F0F0, 0xCCCCCCCC, 0xAAAAAAAA
    kinds = ("b32", "b32", "b32", "pred")
    for join, table in itertools.product(("or", "and"), (0x00, 0x80, 0x96)):
        result = table * 0x01010101
        spelled = f"%a, %b, %c, {table}, %d"
        cases = tuple((a, b, c, q, result) for q in (0, 1))
        yield Row(f"lop3.{join}.b32", "b32", kinds, cases, note=f"{table:#x}", operands=f"%z|%_unused, {spelled}")
        truths = [(q, int(any((result, q)) if join == "or" else all((result, q)))) for q in (0, 1)]
        cases = tuple((a, b, c, q, truth) for q, truth in truths)
        yield Row(f"lop3.{join}.b32", "pred", kinds, cases, note=f"p-{table:#x}", operands=f"_|%z, {spelled}")


def _flushed(Row):
    """Of halves with ``.ftz``: numbers under 2^-14 are zeros of their sign, before and after."""
    values = (0.0, -0.0, 2.0**-24, -(2.0**-15), 1023 * 2.0**-24, 2.0**-14, -1.5 * 2.0**-14, 0.25, -3.0, 2.0**-12)

    def flush(x):
        return x * 0.0 if abs(x) < 2.0**-14 else x

    def half(x):
        return struct.unpack("<e", struct.pack("<e", x))[0]

    def smaller(a, b):
        return min(a, b, key=lambda x: (x, str(x)[0] != "-"))

    def larger(a, b):
        return max(a, b, key=lambda x: (x, str(x)[0] != "-"))

    functions = {
        "add.ftz.f16": lambda a, b: a + b,
        "sub.rn.ftz.f16": lambda a, b: a - b,
        "mul.ftz.f16": lambda a, b: a * b,
        "min.ftz.f16": smaller,
        "max.ftz.NaN.f16": larger,
    }
    for opcode, function in functions.items():
        pairs = list(itertools.product(values, values))
        results = [flush(half(function(flush(a), flush(b)))) for a, b in pairs]
        cases = tuple((*pair, result) for pair, result in zip(pairs, results, strict=True))
        yield Row(opcode, "f16", ("f16", "f16"), cases)
        bits = [[struct.unpack("<H", struct.pack("<e", x))[0] for x in case] for case in cases]
        both = tuple(
            tuple(low | high << 16 for low, high in zip(*two, strict=True))
            for two in zip(bits, reversed(bits), strict=True)
        )
        yield Row(opcode + "x2", "b32", ("b32", "b32"), both)
    for opcode, function in (("neg.ftz.f16", lambda a: -a), ("abs.ftz.f16", abs)):
        yield Row(opcode, "f16", ("f16",), tuple((a, function(flush(a))) for a in values))
    cases = tuple(
        (a, b, c, flush(half(flush(a) * flush(b) + flush(c)))) for a, b, c in itertools.product(values, values, values)
    )
    yield Row("fma.rn.ftz.f16", "f16", ("f16",) * 3, cases)
    relu = tuple((*case[:3], max(case[3], 0.0) + 0.0) for case in cases)
    yield Row("fma.rn.ftz.relu.f16", "f16", ("f16",) * 3, relu)
