"""Calls: of device functions, which stand behind them already, and of what CUDA's run time does for a kernel.

Source: PTX ISA, "call"; CUDA Programming Guide, "Formatted Output" and "Assertion".
"""

from __future__ import annotations

from teachkit.emulator.engine import apart, ir
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.inline import call_parts, called
from teachkit.emulator.engine.shapes import I32, I64, POINTER, Value, vector_of
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Operand


@instruction("call[.uni]", reads=None)
def call(e: Emitter, form: Form, *operands: Operand) -> None:
    """``vprintf`` takes a format and a pointer to the packed arguments; it returns how many there were."""
    assert e.instruction is not None
    if called(e.instruction) == "vprintf":
        lanes = e.lanes()
        with e.builder.if_then(e.builder.icmp_unsigned("!=", lanes, I32(0))):
            table = tell_host(e, "tk_host_print", lanes)
            for name in call_parts(e.instruction)[0]:
                results = e.builder.load(table, typ=vector_of(I64), align=64)
                e.builder.store(e.cast("trunc", results, I32), e.scratch["packed"], align=64)
                _private(e, "tk_store_local", name, lanes, 4)


def tell_host(e: Emitter, function: str, lanes: Value) -> Value:
    """Call back into Python with the call's arguments: 64 bits a lane, one argument after the other.

    Returns where they lie, which is where the host leaves what it has to say.
    """
    assert e.instruction is not None
    names = call_parts(e.instruction)[2]
    with e.builder.goto_entry_block():
        room = e.builder.alloca(vector_of(I64, LANES * len(names)))
        table = e.builder.inttoptr(e.builder.ptrtoint(room, I64), POINTER)
    for index, name in enumerate(names):
        n_bytes = e.variable_bytes[name]
        shape = vector_of(ir.IntType(8 * n_bytes))
        _private(e, "tk_load_local", name, lanes, n_bytes)
        value = e.builder.load(e.scratch["packed"], typ=shape, align=64)
        wide = value if n_bytes == 8 else e.cast("zext", value, I64)
        at = e.builder.gep(table, [I64(8 * LANES * index)], source_etype=ir.IntType(8))
        e.builder.store(wide, at, align=64)
    callback = e.module.globals.get(function)
    if callback is None:
        callback = ir.Function(e.module, ir.FunctionType(ir.VoidType(), [POINTER, I32, POINTER]), function)
    e.builder.call(callback, [e.context, lanes, table])
    return table


def _private(e: Emitter, function: str, name: str, lanes: Value, n_bytes: int) -> None:
    e.builder.store(e.vector(e.symbol(name, "u64")), e.scratch["addresses"], align=64)
    limits = [e.scratch["local_base"], I64(e.local_bytes)]
    arguments = [e.context, e.scratch["addresses"], lanes, *limits, I64(-1), I64(n_bytes), e.scratch["packed"]]
    e.builder.call(apart.runtime(e, function), arguments)
