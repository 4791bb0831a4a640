"""Scalar video instructions, worked out from the bytes of their operands."""

import itertools

WORDS = (0x00000000, 0x7F80FF01, 0x80007FFF, 0xFFFFFFFF, 0x12345678)
FUNCTIONS = {
    "vadd": lambda a, b: a + b,
    "vsub": lambda a, b: a - b,
    "vabsdiff": lambda a, b: abs(a - b),
    "vmin": min,
    "vmax": max,
}
COMPARE = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def number(word, part, kind):
    """The number that a part of a word holds: ``part`` is a byte "b2", a half "h1" or "" for all of it."""
    octets = word.to_bytes(4, "little")
    at = int(part[1:] or 0)
    octets = {"b": octets[at : at + 1], "h": octets[2 * at : 2 * at + 2]}.get(part[:1], octets)
    return int.from_bytes(octets, "little", signed=kind == "s")


def as_kind(value, kind, n_bits=32):
    """The lowest bits of a number, read as signed or unsigned."""
    return int.from_bytes((value % (1 << n_bits)).to_bytes(n_bits // 8, "little"), "little", signed=kind == "s")


def clamp(value, kind, n_bits=32):
    """The nearest number that so many bits hold."""
    if kind == "s":
        return max(-(2 ** (n_bits - 1)), min(value, 2 ** (n_bits - 1) - 1))
    return max(0, min(value, 2**n_bits - 1))


def merged(value, part, third):
    """``third`` with one part replaced."""
    octets = bytearray(third.to_bytes(4, "little"))
    size = 1 if part[0] == "b" else 2
    at = size * int(part[1])
    octets[at : at + size] = (value % 256**size).to_bytes(size, "little")
    return int.from_bytes(octets, "little")


def rows(Row):
    """All rows, built with the harness's ``Row``."""
    return [*_arithmetic(Row), *_merging(Row), *_shifts(Row), *_comparisons(Row), *_products(Row), *_simd(Row)]


def _spelled(part_a, part_b, into="", third=False):
    names = (("%z", into), ("%a", part_a), ("%b", part_b))
    return ", ".join([*(".".join(filter(None, pair)) for pair in names), *(["%c"] if third else [])])


def _arithmetic(Row):
    kinds = list(itertools.product("us", repeat=3))
    parts = [("", ""), ("b0", "h1"), ("b3", ""), ("h0", "b1"), ("", "b2")]
    turns = itertools.cycle(parts)  # five, and eight kinds: each kind meets each part
    for sat, name, (to, of_a, of_b) in itertools.product(("", ".sat"), FUNCTIONS, kinds):
        part_a, part_b = next(turns)
        cases = []
        for a, b in itertools.product(WORDS, WORDS):
            result = FUNCTIONS[name](number(a, part_a, of_a), number(b, part_b, of_b))
            cases.append((a, b, (clamp(result, to) if sat else result) % 2**32))
        opcode = f"{name}.{to}32.{of_a}32.{of_b}32{sat}"
        spelled = _spelled(part_a, part_b)
        yield Row(opcode, "b32", ("b32", "b32"), tuple(cases), note=spelled, operands=spelled)
    for name, to, sat, second in itertools.product(("vadd", "vmin"), "us", ("", ".sat"), ("add", "min", "max")):
        combine = {"add": lambda x, c: x + c, "min": min, "max": max}[second]
        cases = []
        for a, b, c in itertools.product(WORDS[1:], WORDS[1:], WORDS):
            result = FUNCTIONS[name](number(a, "", "s"), number(b, "h1", "u"))
            result = clamp(result, to) if sat else as_kind(result, to)
            cases.append((a, b, c, combine(result, number(c, "", to)) % 2**32))
        spelled = _spelled("", "h1", third=True)
        opcode = f"{name}.{to}32.s32.u32{sat}.{second}"
        yield Row(opcode, "b32", ("b32", "b32", "b32"), tuple(cases), note=spelled, operands=spelled)


def _merging(Row):
    for to, sat, into in itertools.product("us", ("", ".sat"), ("b0", "b1", "b2", "b3", "h0", "h1")):
        cases = []
        for a, b, c in itertools.product(WORDS, WORDS, WORDS[3:]):
            result = number(a, "h0", "s") - number(b, "b3", "u")
            result = clamp(result, to, 8 if into[0] == "b" else 16) if sat else result
            cases.append((a, b, c, merged(result, into, c)))
        spelled = _spelled("h0", "b3", into, third=True)
        opcode = f"vsub.{to}32.s32.u32{sat}"
        yield Row(opcode, "b32", ("b32", "b32", "b32"), tuple(cases), note=spelled, operands=spelled)


def _shifts(Row):
    amounts = (0, 1, 7, 31, 32, 33, 0xFFFFFFFF)
    modes = itertools.cycle((".clamp", ".wrap", ".clamp.max"))
    for name, sat, to, of in itertools.product(("vshl", "vshr"), ("", ".sat"), "us", "us"):
        mode = next(modes)
        cases = []
        for a, b in itertools.product((*WORDS, 0x40000000, 5), amounts):
            n = b % 32 if mode == ".wrap" else min(b, 32)
            value = number(a, "", of)
            result = value * 2**n if name == "vshl" else value // 2**n
            result = (result + 2**33) % 2**34 - 2**33  # 34 bits with a sign
            result = clamp(result, to) if sat else as_kind(result, to)
            third = (17,) if "max" in mode else ()
            cases.append((a, b, *third, (max(result, 17) if third else result) % 2**32))
        n_sources = 3 if "max" in mode else 2
        yield Row(f"{name}.{to}32.{of}32.u32{sat}{mode}", "b32", ("b32",) * n_sources, tuple(cases))
    spelled = "%z.h1, %a.b0, %b.b1, %c"
    case = (0x85, 0x0300, 0x11112222, 0xFC282222)
    yield Row("vshl.s32.s32.u32.clamp", "b32", ("b32",) * 3, (case,), note="parts", operands=spelled)


def _comparisons(Row):
    for turn, (test, of_a, of_b) in enumerate(itertools.product(COMPARE, "us", "us")):
        opcode = f"vset.{of_a}32.{of_b}32.{test}"
        pairs = list(itertools.product(WORDS, WORDS))
        truths = [int(COMPARE[test](number(a, "", of_a), number(b, "h1", of_b))) for a, b in pairs]
        if turn % 3 == 0:
            cases = tuple((*pair, truth) for pair, truth in zip(pairs, truths, strict=True))
            yield Row(opcode, "b32", ("b32", "b32"), cases, note="half", operands="%z, %a, %b.h1")
            continue
        if turn % 3 == 1:
            cases = tuple((*pair, 41, 41 + truth) for pair, truth in zip(pairs, truths, strict=True))
            yield Row(f"{opcode}.add", "b32", ("b32",) * 3, cases, note="half", operands="%z, %a, %b.h1, %c")
            continue
        cases = tuple((*pair, 0xABCDEF12, 0xABCD0012 | truth << 8) for pair, truth in zip(pairs, truths, strict=True))
        yield Row(opcode, "b32", ("b32",) * 3, cases, note="merged", operands="%z.b1, %a, %b.h1, %c")


def _products(Row):
    signs = ("", "-a", "-b", "-c", ".po")
    scales, places = itertools.cycle(("", ".shr7", ".shr15")), itertools.cycle((("", ""), ("", ""), ("h1", "b0")))
    for sat, sign, of_a, of_b in itertools.product(("", ".sat"), signs, "us", "us"):
        scale, (part_a, part_b) = next(scales), next(places)
        if of_b == "s":
            next(places)
        is_signed = "s" in (of_a, of_b) or sign.startswith("-")
        kind = "s" if is_signed else "u"
        cases = []
        for a, b, c in itertools.product(WORDS, WORDS, (0, 1, 0x7FFFFFFF, 0xFFFFFFFE)):
            product = number(a, part_a, of_a) * number(b, part_b, of_b)
            third = number(c, "", kind)
            if sign == "-c":
                third = number(c ^ 0xFFFFFFFF, "", "s") + 1
            total = (-product if sign in ("-a", "-b") else product) + third + (sign == ".po")
            total = as_kind(total >> int(scale[4:] or 0), kind, 64)
            cases.append((a, b, c, (clamp(total, kind) if sat else total) % 2**32))
        minus = {name: "-" if sign == f"-{name}" else "" for name in "abc"}
        part = {"a": part_a and f".{part_a}", "b": part_b and f".{part_b}", "c": ""}
        spelled = ", ".join(["%z", *(f"{minus[name]}%{name}{part[name]}" for name in "abc")])
        plus_one = sign if sign == ".po" else ""
        opcode = f"vmad.{kind}32.{of_a}32.{of_b}32{plus_one}{sat}{scale}"
        yield Row(opcode, "b32", ("b32",) * 3, tuple(cases), note=spelled, operands=spelled)


def _simd(Row):
    """Several parts at once, picked by selectors, and written where a mask says."""
    selected = {
        2: ((None, "h20", "h13"), ("h1", "h33", None), ("h0", None, None), ("h10", "h02", "h31")),
        4: ((None, "b7531", "b0246"), ("b20", None, "b7777"), ("b3", "b0123", None), ("b210", None, None)),
    }
    kinds = itertools.cycle(["uuu", "sss", "usu", "sus"])
    endings = itertools.cycle(["", ".add", ".sat"])
    for n, name in itertools.product(selected, ("vadd", "vsub", "vabsdiff", "vmax", "vset")):
        for into, pick_a, pick_b in selected[n]:
            (to, of_a, of_b), ending = next(kinds), next(endings)
            if name == "vset":
                to, ending = "u", ending.replace(".sat", "")
            size = 4 // n
            function = FUNCTIONS.get(name, lambda a, b: int(a < b))

            def parts(a, b, pick, default, kind, size=size):
                octets = (a | b << 32).to_bytes(8, "little")
                places = [int(digit) for digit in reversed(pick[1:])] if pick else default
                pieces = [octets[size * place : size * place + size] for place in places]
                return [int.from_bytes(piece, "little", signed=kind == "s") for piece in pieces]

            cases = []
            for a, b, c in itertools.product(WORDS, WORDS[1:], (0xA1B2C3D4, 9)):
                left = parts(a, b, pick_a, range(n), of_a)
                right = parts(a, b, pick_b, range(n, 2 * n), of_b)
                octets, total = bytearray(c.to_bytes(4, "little")), c
                for place, pair in enumerate(zip(left, right, strict=True)):
                    if into and str(place) not in into[1:]:
                        continue
                    result = function(*pair)
                    total += result  # of the whole result
                    result = clamp(result, to, 8 * size) if ending == ".sat" else as_kind(result, to, 8 * size)
                    octets[size * place : size * place + size] = (result % 256**size).to_bytes(size, "little")
                word = total % 2**32 if ending == ".add" else int.from_bytes(octets, "little")
                cases.append((a, b, c, word))
            types = f"{of_a}32.{of_b}32.lt" if name == "vset" else f"{to}32.{of_a}32.{of_b}32"
            names = (("%z", into), ("%a", pick_a), ("%b", pick_b))
            spelled = ", ".join([*(".".join(filter(None, pair)) for pair in names), "%c"])
            yield Row(f"{name}{n}.{types}{ending}", "b32", ("b32",) * 3, tuple(cases), note=spelled, operands=spelled)
