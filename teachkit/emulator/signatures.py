"""What a launch must know of a PTX file's kernels, kept on disk, so that a file seen before is not read again."""

from __future__ import annotations

import dataclasses
from typing import Any

from teachkit.emulator.ptx import parse
from teachkit.emulator.ptx.model import Function, Module, Variable

_PARAMETER = ("name", "space", "type", "n_bytes", "align", "is_pointer")


def signatures(text: str) -> tuple[dict[str, Function], Module | None]:
    """The kernels of ``text`` by name, without their bodies; and the whole module, where it had to be read.

    Raises
    ------
    PtxSyntaxError
        Where the text is not PTX.
    """
    from teachkit.emulator.engine import jit

    module: Module | None = None

    def build() -> tuple[bytes, dict[str, Any]]:
        nonlocal module
        module = parse(text)
        return b"", {f.name: _packed(f) for f in module.functions.values() if f.is_entry}

    _, facts = jit.cached("signatures", text, build, "signatures")
    if module is not None:
        return {f.name: _header(f) for f in module.functions.values() if f.is_entry}, module
    return {name: _unpacked(name, fields) for name, fields in facts.items()}, None


def _header(function: Function) -> Function:
    return dataclasses.replace(
        function, returns=(), registers={}, variables=(), body=(), branch_targets={}, prototypes={}, call_targets={}
    )


def _packed(function: Function) -> list[Any]:
    return [[[getattr(p, name) for name in _PARAMETER] for p in function.params], function.directives]


def _unpacked(name: str, fields: list[Any]) -> Function:
    parameters = tuple(Variable(**dict(zip(_PARAMETER, each, strict=True))) for each in fields[0])
    directives = {directive: tuple(numbers) for directive, numbers in fields[1].items()}
    return Function(name, True, parameters, (), {}, (), (), directives)
