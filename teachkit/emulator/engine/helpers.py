"""Functions written as LLVM text and kept beside a kernel, for what the builder cannot spell.

A helper is private to the kernel's module and defined once in it, however often it is called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter

_TYPES: dict[str, ir.Type] = {f"i{bits}": ir.IntType(bits) for bits in (1, 8, 16, 32, 64)} | {
    "ptr": ir.PointerType(),
    "void": ir.VoidType(),
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
        # The builder may call it too, and has to know what it gives.
        names = [kind.strip() for kind in (result, *filter(None, rest.split(",")))]
        kinds = [_TYPES[name] for name in names if name in _TYPES]
        is_known = len(kinds) == len(names)
        shape = ir.FunctionType(kinds[0], kinds[1:]) if is_known else ir.FunctionType(ir.VoidType(), [])
        declared = TextFunction(e.module, shape, callee)
        declared.text = line
