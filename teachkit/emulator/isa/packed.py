"""Several small integers in one register: 16-bit pairs, and PTX's "video" instructions on two or four parts.

Source: PTX ISA, "add", "min", "max" (``u16x2``, ``s16x2``), and "SIMD Video Instructions". Sources of these name the
parts that they take of both registers, ``.b7021``, and the destination those that are written, ``.b31``.
"""

from __future__ import annotations

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, Value
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand, Part

_KIND = "(u32|s32)"
_VIDEO = "vadd{0}|vsub{0}|vavrg{0}|vmin{0}|vmax{0}|vabsdiff{0}"
_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def _parts(e: Emitter, value: Value, width: int, signed: bool) -> list[Value]:
    """Each part as an ``i32``, the lowest first."""
    b = e.builder
    found = []
    for at in range(0, 32, width):
        raised = b.shl(value, e.constant(value, 32 - width - at))
        found.append((b.ashr if signed else b.lshr)(raised, e.constant(raised, 32 - width)))
    return found


def _join(e: Emitter, parts: list[Value], width: int) -> Value:
    b = e.builder
    word = e.constant(parts[0], 0)
    for index, part in enumerate(parts):
        low = b.and_(part, e.constant(part, (1 << width) - 1))
        word = b.or_(word, b.shl(low, e.constant(low, index * width)))
    return word


@instruction("add.(u16x2|s16x2)", reads=("b32", "b32"), writes="b32")
@instruction("sub.(u16x2|s16x2)", reads=("b32", "b32"), writes="b32")
@instruction("min[.relu].(u16x2|s16x2)", reads=("b32", "b32"), writes="b32")
@instruction("max[.relu].(u16x2|s16x2)", reads=("b32", "b32"), writes="b32")
def pair(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """Both halves by themselves."""
    signed = form.is_signed
    rows = zip(_parts(e, a, 16, signed), _parts(e, b, 16, signed), strict=True)
    results = [_combined(e, form.base, signed, *row) for row in rows]
    if "relu" in form.optional:
        results = [e.intrinsic("llvm.smax", value, e.constant(value, 0)) for value in results]
    return _join(e, results, 16)


def _combined(e: Emitter, operation: str, signed: bool, a: Value, b: Value) -> Value:
    """Parts are small, so that no sum of two overflows 32 bits."""
    if operation in ("add", "sub"):
        result: Value = getattr(e.builder, operation)(a, b)
        return result
    return e.intrinsic(f"llvm.{'s' if signed else 'u'}{operation}", a, b)


def _video(n: int) -> list[str]:
    names = _VIDEO.format(n).split("|")
    return [f"{name}.{_KIND}.{_KIND}.{_KIND}[.sat|.add]" for name in names]


@instruction(*_video(2), *_video(4), reads=None)
def video(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, c: Operand) -> None:
    """The operation on each part, cut or clamped to its width; with ``.add`` the third source and the sum of all
    results, which are not cut."""
    to, of_a, of_b = (kind.startswith("s") for kind in form.required)
    width = 32 // int(form.base[-1])
    results = [_one(e, form.base[1:-1], x, y) for x, y in _rows(e, form, a, b, of_a, of_b)]
    if "sat" in form.optional:
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if to else (0, (1 << width) - 1)
        results = [e.intrinsic("llvm.smin", value, e.constant(value, high)) for value in results]
        results = [e.intrinsic("llvm.smax", value, e.constant(value, low)) for value in results]
    _merge(e, form, target, results, c)


def _rows(e: Emitter, form: Form, a: Operand, b: Operand, of_a: bool, of_b: bool) -> list[tuple[Value, Value]]:
    """Pairs of parts, the lowest first: by default each register's own."""
    n = int(form.base[-1])
    words = e.alike(*(e.read(x.register if isinstance(x, Part) else x, "b32") for x in (a, b)))
    columns = []
    for number, (operand, signed) in enumerate(((a, of_a), (b, of_b))):
        both = [part for word in words for part in _parts(e, word, 32 // n, signed)]
        chosen = list(range(number * n, number * n + n))
        if isinstance(operand, Part):
            chosen = _digits(e, form, operand)
            if len(chosen) != n or max(chosen) >= 2 * n:
                raise e.unsupported(f"operand {operand!r}")
        columns.append([both[place] for place in chosen])
    return list(zip(*columns, strict=True))


def _digits(e: Emitter, form: Form, operand: Part) -> list[int]:
    """The numbers that a selector or a mask names, the lowest part's first."""
    if operand.which[:1] != ("h" if form.base[-1] == "2" else "b") or operand.negated:
        raise e.unsupported(f"operand {operand!r}")
    return [int(digit) for digit in reversed(operand.which[1:])]


def _one(e: Emitter, operation: str, a: Value, b: Value) -> Value:
    """On numbers of either sign, which 32 bits hold with room to spare."""
    build = e.builder
    if operation == "absdiff":
        return e.intrinsic("llvm.smax", build.sub(a, b), build.sub(b, a))
    if operation == "avrg":  # halves are rounded up, those of negative sums towards zero as well
        total = build.add(a, b)
        up = e.cast("zext", build.icmp_signed(">=", total, e.constant(total, 0)), I32)
        return build.ashr(build.add(total, up), e.constant(total, 1))
    return _combined(e, operation, True, a, b)


def _merge(e: Emitter, form: Form, target: Operand, results: list[Value], c: Operand) -> None:
    """Write the parts that the mask names, the others from the third source; or add them to it."""
    b, n = e.builder, len(results)
    width = 32 // n
    mask = list(range(n))
    if isinstance(target, Part):
        mask = _digits(e, form, target)
        if mask != sorted(set(mask)) or mask[-1] >= n:
            raise e.unsupported(f"destination {target!r}")
    third, *results = e.alike(e.read(c, "b32"), *results)
    if "add" in form.optional:
        for place in mask:
            third = b.add(third, results[place])
    else:
        parts = [results[i] if i in mask else b.lshr(third, e.constant(third, width * i)) for i in range(n)]
        third = _join(e, parts, width)
    e.write(target.register if isinstance(target, Part) else target, third, "b32")


@instruction(
    *(f"vset{n}.{_KIND}.{_KIND}.({'|'.join(_COMPARISONS)})[.add]" for n in (2, 4)),
    reads=None,
)
def video_set(e: Emitter, form: Form, target: Operand, a: Operand, b: Operand, c: Operand) -> None:
    """1 in each part for which the comparison holds, else 0."""
    of_a, of_b = (kind.startswith("s") for kind in form.required[:2])
    how = _COMPARISONS[form.required[2]]
    rows = _rows(e, form, a, b, of_a, of_b)
    _merge(e, form, target, [e.cast("zext", e.builder.icmp_signed(how, x, y), I32) for x, y in rows], c)


@instruction("cvt.pack.sat.(u16|s16).s32", reads=("s32", "s32"), writes="b32")
def cvt_pack(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    """Two numbers, clamped, side by side; the first is the upper one."""
    return _join(e, [_narrowed(e, form.required[0], value) for value in (b, a)], 16)


@instruction("cvt.pack.sat.(u2|s2|u4|s4|u8|s8).s32.b32", reads=("s32", "s32", "b32"), writes="b32")
def cvt_pack_onto(e: Emitter, form: Form, a: Value, b: Value, c: Value) -> Value:
    """Two numbers, clamped, below what the third source has in its lower bits."""
    width = int(form.required[0][1:])
    low = _join(e, [_narrowed(e, form.required[0], value) for value in (b, a)], width)
    return e.builder.or_(low, e.builder.shl(c, e.constant(c, 2 * width)))


def _narrowed(e: Emitter, kind: str, value: Value) -> Value:
    width = int(kind[1:])
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if kind[0] == "s" else (0, (1 << width) - 1)
    value = e.intrinsic("llvm.smin", value, e.constant(value, high))
    return e.intrinsic("llvm.smax", value, e.constant(value, low))


@instruction("fns.b32", reads=("b32", "u32", "s32"), writes="b32")
def fns(e: Emitter, form: Form, mask: Value, start: Value, number: Value) -> Value:
    """Position of the ``number``-th set bit from ``start`` up, downwards where ``number`` is negative; with 0 the bit
    at ``start`` itself. All ones where there is none."""
    b = e.builder
    start = b.and_(start, e.constant(start, 31))
    is_down = b.icmp_signed("<", number, e.constant(number, 0))
    bits = e.select(is_down, e.intrinsic("llvm.bitreverse", mask), mask)
    first = e.select(is_down, b.sub(e.constant(start, 31), start), start)
    bits = b.and_(bits, b.shl(e.constant(bits, -1), first))
    left = e.select(is_down, b.neg(number), number)
    # With 0 only the starting bit counts, and it is the first.
    none = b.icmp_unsigned("==", left, e.constant(left, 0))
    bits = e.select(none, b.and_(bits, b.shl(e.constant(bits, 1), first)), bits)
    left = e.select(none, e.constant(left, 1), left)
    found = e.constant(left, -1)
    for position in range(32):
        is_set = b.and_(b.lshr(bits, e.constant(bits, position)), e.constant(bits, 1))
        left = b.sub(left, is_set)
        hit = b.and_(
            b.icmp_unsigned("!=", is_set, e.constant(is_set, 0)), b.icmp_unsigned("==", left, e.constant(left, 0))
        )
        found = e.select(hit, e.constant(found, position), found)
    mirrored = b.sub(e.constant(found, 31), found)
    is_found = b.icmp_signed(">=", found, e.constant(found, 0))
    return e.select(b.and_(*e.alike(is_down, is_found)), mirrored, found)
