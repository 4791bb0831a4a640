"""Logic of bits: ``and``, ``or``, ``xor``, ``not``, ``cnot``, ``lop3``. Source: PTX ISA, "Logic and Shift"."""

from __future__ import annotations

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, Value
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand, PredicatePair


@instruction("and.(pred|b16|b32|b64)")
def and_(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.and_(a, b)


@instruction("or.(pred|b16|b32|b64)")
def or_(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.or_(a, b)


@instruction("xor.(pred|b16|b32|b64)")
def xor(e: Emitter, form: Form, a: Value, b: Value) -> Value:
    return e.builder.xor(a, b)


@instruction("not.(pred|b16|b32|b64)", reads=("T",))
def not_(e: Emitter, form: Form, a: Value) -> Value:
    return e.builder.not_(a)


@instruction("cnot.(b16|b32|b64)", reads=("T",))
def cnot(e: Emitter, form: Form, a: Value) -> Value:
    return e.select(e.builder.icmp_unsigned("==", a, e.constant(a, 0)), e.constant(a, 1), e.constant(a, 0))


@instruction("lop3.b32", reads=("b32", "b32", "b32", "u32"), writes="b32")
def lop3(e: Emitter, form: Form, a: Value, b: Value, c: Value, table: Value) -> Value:
    """Any function of three bits: bit (4a + 2b + c) of the table is its value."""
    build = e.builder
    if isinstance(table, ir.Constant) and table.number is not None:
        return _known_function(e, table.number & 0xFF, *e.alike(a, b, c))
    result = e.constant(a, 0)
    inputs = {bit: (build.not_(value), value) for bit, value in ((4, a), (2, b), (1, c))}
    for case in range(8):
        term = e.constant(a, -1)
        for bit, value in inputs.items():
            term = build.and_(term, value[bool(case & bit)])
        listed = build.and_(build.lshr(table, e.constant(table, case)), e.constant(table, 1))
        result = build.or_(result, build.and_(term, build.neg(listed)))
    return result


def _known_function(e: Emitter, table: int, *inputs: Value) -> Value:
    """A function of bits by its table, as a sum modulo 2 of products: one exclusive or, one and, for each input.

    With the last input 0 it is one function of the others, with it 1 another: f = f0 ^ (input & (f0 ^ f1)).
    """
    b = e.builder
    if not inputs:
        return I32(-(table & 1))
    *others, last = inputs
    n_cases = 1 << len(others)
    zeros, ones = (sum((table >> (2 * case + bit) & 1) << case for case in range(n_cases)) for bit in (0, 1))
    same, changed = _known_function(e, zeros, *others), zeros ^ ones
    if not changed:
        return same
    is_always = changed == (1 << n_cases) - 1
    toggled = last if is_always else b.and_(*e.alike(last, _known_function(e, changed, *others)))
    if not zeros:
        return toggled
    return b.xor(*e.alike(same, toggled))


@instruction("lop3.(or|and).b32", reads=None)
def lop3_predicate(e: Emitter, form: Form, target: Operand, *sources: Operand) -> None:
    """The second destination says whether the result is not zero, combined with a boolean source."""
    if not isinstance(target, PredicatePair) or len(sources) != 5:
        raise e.unsupported(f"{len(sources) + 1} operands")
    values = e.alike(*(e.read(operand, "b32") for operand in sources[:4]))
    result = lop3(e, form, *values)
    nonzero = e.builder.icmp_unsigned("!=", result, e.constant(result, 0))
    combine = e.builder.or_ if form.required[0] == "or" else e.builder.and_
    truth = combine(*e.alike(nonzero, e.read(sources[4], "pred")))
    e.write(target.first, result, "b32")
    e.write(target.second, truth, "pred")
