"""Functions beside a kernel: LLVM text for what the builder cannot spell, and instructions whose code is long.

A helper is private to the kernel's module and defined once in it, however often it is called.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import Value, is_vector

Translation = Callable[..., Value]

_TYPES: dict[str, ir.Type] = {f"i{bits}": ir.IntType(bits) for bits in (1, 8, 16, 32, 64)} | {
    "half": ir.HalfType(),
    "float": ir.FloatType(),
    "double": ir.DoubleType(),
    "ptr": ir.PointerType(),
    "void": ir.VoidType(),
    "metadata": ir.VoidType(),  # which only text passes
}


class TextFunction(ir.Function):
    """A function whose definition is given as LLVM text."""

    text = ""

    def __str__(self) -> str:
        return self.text


def helper(
    e: Emitter, name: str, result: ir.Type, arguments: Sequence[ir.Type], text: str, declarations: Sequence[str] = ()
) -> ir.Function:
    """The function ``name``, added to the kernel's module at its first use.

    Parameters
    ----------
    text : str
        ``define internal ...`` of a function called ``name``.
    declarations : sequence of str
        ``declare ...`` lines of what the text calls, unless the module has them already.
    """
    function = e.module.globals.get(name)
    if function is None:
        for line in declarations:
            _declare(e, line)
        function = TextFunction(e.module, ir.FunctionType(result, list(arguments)), name)
        function.text = text
    return function


def _declare(e: Emitter, line: str) -> None:
    result, callee, rest = re.match(r"declare (.+) @([\w.]+)\((.*)\)", line).groups()  # type: ignore[union-attr]
    if callee not in e.module.globals:
        # The builder may call it too, and has to know what it takes and gives.
        kinds = [_type(kind.strip()) for kind in (result, *filter(None, rest.split(",")))]
        shape = ir.FunctionType(kinds[0], kinds[1:])
        declared = TextFunction(e.module, shape, callee)
        declared.text = line


def _type(text: str) -> ir.Type:
    """The type that LLVM writes so: ``i32`` or ``<32 x ptr>``, with the attributes of a parameter or without."""
    if vector := re.match(r"<(\d+) x (\w+)>", text):
        return ir.VectorType(_TYPES[vector[2]], int(vector[1]))
    return _TYPES[text.split()[0]]


def written_once(translate: Translation) -> Translation:
    """Decorate ``translate(e, form, *values)`` of an instruction whose code is long: a kernel has it once.

    LLVM takes milliseconds for each copy of a hundred instructions; a call costs less than one of the values it saves.
    The translation may use nothing of the emitter but its builder. The same value in all lanes stays where it is used.
    """

    @functools.wraps(translate)
    def call(e: Emitter, form: Any, *values: Value) -> Value:
        if not all(map(is_vector, values)):
            return translate(e, form, *values)
        return once(e, f"{translate.__name__}.{form.opcode}", lambda *given: translate(e, form, *given), *values)

    return call


def written_once_where(is_long: Callable[[Any, Sequence[Value]], bool]) -> Callable[[Translation], Translation]:
    """The same, but only where ``is_long(form, values)`` says that the code is long."""

    def decorate(translate: Translation) -> Translation:
        as_call = written_once(translate)

        @functools.wraps(translate)
        def choose(e: Emitter, form: Any, *values: Value) -> Value:
            return (as_call if is_long(form, values) else translate)(e, form, *values)

        return choose

    return decorate


def written_once_unless_known(*, behind: int) -> Callable[[Translation], Translation]:
    """The same where not all values behind so many are numbers, as amounts of shifts mostly are: it is short then."""
    return written_once_where(lambda _, values: not all(isinstance(value, ir.Constant) for value in values[behind:]))


def once(e: Emitter, name: str, translate: Callable[..., Value], *values: Value) -> Value:
    """``translate(*values)`` as a call of a function that the kernel has once under that name; see ``written_once``."""
    name = ".".join(("tk", name, *(value.type.mangled for value in values)))
    function = e.module.globals.get(name)
    if function is None:
        function = _written(e, name, values, translate)
    return e.builder.call(function, values)


def _written(e: Emitter, name: str, values: Sequence[Value], translate: Translation) -> ir.Function:
    kinds = [value.type for value in values]
    function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes |= {"memory(none)", "nounwind", "willreturn"}
    outside, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
    result = translate(*function.args)
    e.builder.ret(result)
    e.builder = outside
    function.ftype = ir.FunctionType(result.type, kinds)  # known only now
    return function
