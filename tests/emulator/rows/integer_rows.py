"""Integer instructions; every expected value is made by Python integers."""

import itertools


def rows(Row):
    """All rows, built with the harness's ``Row``."""
    made = []

    def signed(value, bits):
        value %= 1 << bits
        return value - (1 << bits) if value >> (bits - 1) else value

    def corner(kind):
        bits = int(kind[1:])
        if kind[0] == "s":
            return [0, 1, -1, 7, -13, (1 << (bits - 1)) - 1, -(1 << (bits - 1))]
        return [0, 1, 3, 13, 1 << (bits - 1), (1 << bits) - 1]

    def wrap(value, kind):
        bits = int(kind[1:])
        return signed(value, bits) if kind[0] == "s" else value % (1 << bits)

    def binary(opcode, kind, function, *, result=None, second=None, values=None):
        result = result or kind
        pairs = itertools.product(values or corner(kind), second or values or corner(kind))
        cases = tuple((a, b, wrap(function(a, b), result)) for a, b in pairs)
        made.append(Row(opcode, result, (kind, "u32" if second else kind), cases))

    def unary(opcode, kind, function, *, result=None):
        result = result or kind
        made.append(Row(opcode, result, (kind,), tuple((a, wrap(function(a), result)) for a in corner(kind))))

    def quotient(a, b):
        return -1 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)

    def remainder(a, b):
        return a if b == 0 else a - quotient(a, b) * b

    for kind in ("u16", "u32", "u64", "s16", "s32", "s64"):
        bits = int(kind[1:])
        binary(f"add.{kind}", kind, lambda a, b: a + b)
        binary(f"sub.{kind}", kind, lambda a, b: a - b)
        binary(f"mul.lo.{kind}", kind, lambda a, b: a * b)
        binary(f"mul.hi.{kind}", kind, lambda a, b, bits=bits: a * b >> bits)
        if bits < 64:
            binary(f"mul.wide.{kind}", kind, lambda a, b: a * b, result=f"{kind[0]}{2 * bits}")
        binary(f"div.{kind}", kind, quotient)
        binary(f"rem.{kind}", kind, remainder)
        binary(f"min.{kind}", kind, min)
        binary(f"max.{kind}", kind, max)
        amounts = [0, 1, bits - 1, bits, bits + 1, 64, 255, 1 << 31]
        binary(f"shr.{kind}", kind, lambda a, n: a >> n, second=amounts)
        if kind[0] == "s":
            unary(f"neg.{kind}", kind, lambda a: -a)
            unary(f"abs.{kind}", kind, abs)
        values = corner(kind)
        triples = tuple(
            (a, b, c, wrap(a * b + c, kind)) for a, b, c in itertools.product(values[:5], values[2:], values[::3])
        )
        made.append(Row(f"mad.lo.{kind}", kind, (kind, kind, kind), triples))
        high = tuple((a, b, c, wrap((a * b >> bits) + c, kind)) for a, b, c, _ in triples)
        made.append(Row(f"mad.hi.{kind}", kind, (kind, kind, kind), high))
        if bits < 64:
            wide = f"{kind[0]}{2 * bits}"
            cases = tuple((a, b, c, wrap(a * b + c, wide)) for a, b, c, _ in triples)
            made.append(Row(f"mad.wide.{kind}", wide, (kind, kind, wide), cases))
        sad = tuple((a, b, c, wrap(abs(a - b) + c, kind)) for a, b, c, _ in triples)
        made.append(Row(f"sad.{kind}", kind, (kind, kind, kind), sad))

    top = (1 << 31) - 1
    clamped = [(top, 1, top), (-top - 1, -1, -top - 1), (5, -9, -4)]
    made.append(Row("add.sat.s32", "s32", ("s32", "s32"), tuple(clamped)))
    made.append(Row("sub.sat.s32", "s32", ("s32", "s32"), ((-top - 1, 1, -top - 1), (top, -1, top), (5, 9, -4))))

    for bits in (16, 32, 64):
        kind = f"b{bits}"
        some = [0, 1, 0b1100, (1 << bits) - 1, 0xAAAAAAAAAAAAAAAA % (1 << bits)]
        binary(f"and.{kind}", kind, lambda a, b: a & b, values=some)
        binary(f"or.{kind}", kind, lambda a, b: a | b, values=some)
        binary(f"xor.{kind}", kind, lambda a, b: a ^ b, values=some)
        # Shifted by its width a register is empty; a Python integer shifted by 2^31 would take 256 MB first.
        amounts = [0, 1, bits - 1, bits, bits + 1, 1 << 31]
        binary(f"shl.{kind}", kind, lambda a, n, bits=bits: a << min(n, bits), values=some, second=amounts)
        made.append(Row(f"not.{kind}", kind, (kind,), tuple((a, a ^ ((1 << bits) - 1)) for a in some)))
        made.append(Row(f"cnot.{kind}", kind, (kind,), tuple((a, int(a == 0)) for a in some)))
        if bits > 16:
            made.append(Row(f"popc.{kind}", "u32", (kind,), tuple((a, a.bit_count()) for a in some)))
            made.append(Row(f"clz.{kind}", "u32", (kind,), tuple((a, bits - a.bit_length()) for a in some)))
            made.append(Row(f"brev.{kind}", kind, (kind,), tuple((a, int(f"{a:0{bits}b}"[::-1], 2)) for a in some)))
            fields = [
                (0b1011, start, length) for start in (0, 3, bits - 2, bits, 255) for length in (0, 1, 5, bits, 255)
            ]
            cases = []
            for value, start, length in fields:
                mask = (((1 << length) - 1) << start) % (1 << bits)
                cases += [(value, some[4], start, length, some[4] & ~mask | value << start & mask)]
            made.append(Row(f"bfi.{kind}", kind, (kind, kind, "u32", "u32"), tuple(cases)))
    for logic, function in (("and", lambda a, b: a and b), ("or", lambda a, b: a or b), ("xor", lambda a, b: a != b)):
        cases = tuple((a, b, int(function(a, b))) for a in (0, 1) for b in (0, 1))
        made.append(Row(f"{logic}.pred", "pred", ("pred", "pred"), cases))
    made.append(Row("not.pred", "pred", ("pred",), ((0, 1), (1, 0))))

    for kind in ("u32", "s32", "u64", "s64"):
        bits = int(kind[1:])
        cases = []
        for value in (0x12345678, -2 if kind[0] == "s" else 0xFEDCBA98, 1 << (bits - 2)):
            for start, length in itertools.product((0, 4, bits - 4, bits, 255), (0, 1, 8, bits, 255)):
                digits = f"{value % (1 << bits):0{bits}b}"[::-1]  # the lowest bit first
                fill = digits[-1] if kind[0] == "s" else "0"
                field = (digits + fill * 600)[start : start + length]
                sign = field[-1] if field and kind[0] == "s" else "0"
                cases.append((value, start, length, wrap(int((field + sign * bits)[:bits][::-1], 2), kind)))
        made.append(Row(f"bfe.{kind}", kind, (kind, "u32", "u32"), tuple(cases)))
        leading = []
        for value in corner(kind):
            size = (~value if value < 0 else value).bit_length()
            leading.append((value, size - 1 if size else 0xFFFFFFFF))
        made.append(Row(f"bfind.{kind}", "u32", (kind,), tuple(leading)))

    low, high = 0x89ABCDEF, 0x01234567
    both = high << 32 | low
    for mode in ("wrap", "clamp"):
        amounts = [(n, n % 32 if mode == "wrap" else min(n, 32)) for n in (0, 1, 31, 32, 33, 255)]
        kinds = ("b32", "b32", "u32")
        left = tuple((low, high, given, both << n >> 32 & 0xFFFFFFFF) for given, n in amounts)
        right = tuple((low, high, given, both >> n & 0xFFFFFFFF) for given, n in amounts)
        made += [Row(f"shf.l.{mode}.b32", "b32", kinds, left), Row(f"shf.r.{mode}.b32", "b32", kinds, right)]
        for way, cases in (("l", left), ("r", right)):
            for *_, given, result in cases:
                fixed = ("b32", "b32", given)
                made.append(Row(f"shf.{way}.{mode}.b32", "b32", fixed, ((low, high, result),), note=f"by-{given}"))
    made.append(
        Row(
            "prmt.b32",
            "b32",
            ("b32", "b32", "b32"),
            (
                (0x33221100, 0x77665544, 0x3210, 0x33221100),
                (0x33221100, 0x77665544, 0x7531, 0x77553311),
                (0x33221180, 0x77665544, 0x8888, 0xFFFFFFFF),
                (0x33221100, 0x77665584, 0xCF40, 0xFF008400),
            ),
        )
    )
    places = {  # of the byte for place i, where the selector is n
        "f4e": lambda i, n: n + i,
        "b4e": lambda i, n: (n - i) % 8,
        "rc8": lambda i, n: n,
        "ecl": max,
        "ecr": min,
        "rc16": lambda i, n: 2 * (n % 2) + i % 2,
    }
    low, high = 0xB3A29180, 0x77665584
    octets = low.to_bytes(4, "little") + high.to_bytes(4, "little")
    for mode, place in places.items():
        cases = []
        for selector in (0, 1, 2, 3, 0xFFFC, 0x7E):
            picked = bytes(octets[place(i, selector % 4)] for i in range(4))
            cases.append((low, high, selector, int.from_bytes(picked, "little")))
        made.append(Row(f"prmt.b32.{mode}", "b32", ("b32", "b32", "b32"), tuple(cases)))
    bytes_product = 1 * 2 - 1 * 3 + 127 * 4 - 128 * 5
    made.append(
        Row("dp4a.s32.s32", "s32", ("s32", "s32", "s32"), ((0x01FF7F80, 0x02030405, 100, bytes_product + 100),))
    )
    for half, total in (("lo", 3 * 5 - 2 * 7), ("hi", 3 * 11 - 2 * 13)):
        values = (0xFFFE0003, 0x0D0B0705, 100, total + 100)
        made.append(Row(f"dp2a.{half}.s32.u32", "s32", ("s32", "u32", "s32"), (values,)))
    made += packed(Row, signed)
    a, b, c = 0xF0F0F0F0, 0xCCCCCCCC, 0xAAAAAAAA
    for table in (0x80, 0xFE, 0x96, 0xE8, 0x1B):
        made.append(
            Row("lop3.b32", "b32", ("b32", "b32", "b32", table), ((a, b, c, table * 0x01010101),), note=f"{table:#x}")
        )
    return made


def packed(Row, signed):
    """Two or four numbers in a register, by Python integers."""
    made = []
    words = (0x00000000, 0x7F80FF01, 0x80007FFF, 0xFFFE0102, 0x12345678)

    def parts(word, n, is_signed):
        bits = 32 // n
        found = [word >> bits * i & (1 << bits) - 1 for i in range(n)]
        return [signed(x, bits) for x in found] if is_signed else found

    def join(numbers):
        bits = 32 // len(numbers)
        return sum((x & (1 << bits) - 1) << bits * i for i, x in enumerate(numbers))

    functions = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "min": min,
        "max": max,
        "avrg": lambda a, b: (a + b + (a + b >= 0)) >> 1,
        "absdiff": lambda a, b: abs(a - b),
    }
    for name, kind in itertools.product(("add", "sub", "min", "max"), ("u16x2", "s16x2")):
        for relu in ("", ".relu") if name in ("min", "max") else ("",):
            cases = []
            for a, b in itertools.product(words, words):
                rows = zip(parts(a, 2, kind[0] == "s"), parts(b, 2, kind[0] == "s"), strict=True)
                found = [functions[name](*row) for row in rows]
                cases.append((a, b, join([max(x, 0) for x in found] if relu else found)))
            made.append(Row(f"{name}.{kind}{relu}", "b32", ("b32", "b32"), tuple(cases)))
    which = (("u", "u", ""), ("s", "s", ""), ("u", "u", ".add"), ("s", "u", ".sat"), ("u", "s", ".sat"))
    for name, n, (to, of, after) in itertools.product(functions, (2, 4), which):
        bits = 32 // n
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if to == "s" else (0, (1 << bits) - 1)
        cases = []
        for a, b in itertools.product(words, words):
            found = [functions[name](*row) for row in zip(parts(a, n, of == "s"), parts(b, n, of == "s"), strict=True)]
            if after == ".sat":
                found = [min(max(x, low), high) for x in found]
            cut = [signed(x, bits) if to == "s" else x % (1 << bits) for x in found]
            cases.append((a, b, 7, (7 + sum(found)) % (1 << 32) if after == ".add" else join(cut)))
        kinds = f"{to}32.{of}32.{of}32"
        made.append(Row(f"v{name}{n}.{kinds}{after}", "b32", ("b32", "b32", "b32"), tuple(cases)))
    for n, of in itertools.product((2, 4), "us"):
        cases = tuple(
            (a, b, 0, join([int(x < y) for x, y in zip(parts(a, n, of == "s"), parts(b, n, of == "s"), strict=True)]))
            for a, b in itertools.product(words, words)
        )
        made.append(Row(f"vset{n}.{of}32.{of}32.lt", "b32", ("b32", "b32", "b32"), cases))
    cases = []
    for mask, start, number in itertools.product((0, 0x80000001, 0xF0F0), (0, 5, 15, 31), (-9, -2, -1, 0, 1, 2, 9)):
        order = [start] if number == 0 else range(start, 32) if number > 0 else range(start, -1, -1)
        found = [i for i in order if mask >> i & 1]
        wanted = max(abs(number), 1)
        cases.append((mask, start, number, found[wanted - 1] if len(found) >= wanted else 0xFFFFFFFF))
    made.append(Row("fns.b32", "b32", ("b32", "u32", "s32"), tuple(cases)))
    made += [Row(f"{name}.s32.relu", "s32", ("s32", "s32"), ((-3, 5, max(f(-3, 5), 0)), (-3, -5, 0), (7, 2, f(7, 2))))
             for name, f in (("min", min), ("max", max))]  # fmt: skip
    return made
