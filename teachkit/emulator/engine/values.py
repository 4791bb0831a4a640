"""LLVM values of any kernel: constants, casts and choices, scalars and vectors of one element a lane made alike."""

from __future__ import annotations

import dataclasses

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.context import LANES
from teachkit.emulator.engine.shapes import (
    F32,
    F64,
    I32,
    I64,
    WIDTHS,
    Poison,
    Value,
    element_of,
    is_vector,
    like,
    vector_of,
)


@dataclasses.dataclass
class Values:
    """What can be done with values that does not depend on the kernel they belong to."""

    builder: ir.IRBuilder
    module: ir.Module

    def float_constant(self, ptx_type: str, number: float) -> Value:
        """``number`` as a scalar float."""
        return ir.Constant(F32 if ptx_type == "f32" else F64, number)

    def vector(self, value: Value, n: int = LANES) -> Value:
        """``value`` in every lane, or ``n`` times."""
        if is_vector(value):
            return value
        if isinstance(value, ir.Constant):
            return ir.Splat(vector_of(value.type, n), value)
        one = self.builder.insert_element(Poison(vector_of(value.type, n)), value, I32(0))
        zeros = ir.Constant(vector_of(I32, n), None)
        return self.builder.shuffle_vector(one, Poison(one.type), zeros)

    def alike(self, *values: Value) -> list[Value]:
        """All scalars, or all vectors."""
        if any(is_vector(v) for v in values):
            return [self.vector(v) for v in values]
        return list(values)

    def constant(self, like_value: Value, number: float) -> Value:
        """``number`` as a constant of the type of ``like_value``."""
        element = element_of(like_value.type)
        if isinstance(element, ir.IntType):
            scalar = ir.Constant(element, int(number) % (1 << element.width))
        else:
            scalar = ir.Constant(element, number)
        return ir.Splat(like_value.type, scalar) if is_vector(like_value) else scalar

    def const(self, ptx_type: str, number: float) -> Value:
        """``number`` as a scalar of ``ptx_type``."""
        if ptx_type in ("f32", "f64"):
            return self.float_constant(ptx_type, number)
        width = WIDTHS[ptx_type]
        return ir.Constant(ir.IntType(width), int(number) % (1 << width))

    def select(self, condition: Value, yes: Value, no: Value) -> Value:
        """``yes`` where ``condition`` holds, else ``no``, shapes made alike."""
        if is_vector(condition):
            yes, no = self.vector(yes), self.vector(no)
        else:
            yes, no = self.alike(yes, no)
        return self.builder.select(condition, yes, no)

    def cast(self, kind: str, value: Value, element: ir.Type) -> Value:
        """An LLVM cast such as ``zext`` or ``sitofp`` to ``element``, a lane at a time."""
        if kind in ("zext", "sext", "trunc") and isinstance(value, ir.Constant) and value.number is not None:
            number = value.number % (1 << element_of(value.type).width)
            if kind == "sext" and number >> (element_of(value.type).width - 1):
                number -= 1 << element_of(value.type).width
            return self.constant(Poison(like(value.type, element)), number)
        result: Value = getattr(self.builder, kind)(value, like(value.type, element))
        return result

    def bits(self, value: Value) -> Value:
        """A float value as its bits."""
        return self.builder.bitcast(value, like(value.type, I32 if element_of(value.type) == F32 else I64))

    def intrinsic(self, name: str, *values: Value, returns: ir.Type | None = None, suffix: str | None = None) -> Value:
        """Call LLVM's ``name``, overloaded on the type of the first value unless ``suffix`` says otherwise."""
        result = values[0].type if returns is None else returns
        full = f"{name}.{suffix or values[0].type.mangled}"
        function = self.module.globals.get(full)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(result, [v.type for v in values]), full)
        return self.builder.call(function, values)
