"""Where a kernel's variables and parameters lie: offsets by name, and the size of the whole."""

from __future__ import annotations

from teachkit.emulator.ptx.model import Function, Module
from teachkit.emulator.ptx.reserved import reserved


def parameter_layout(function: Function) -> tuple[dict[str, int], int]:
    """Offsets of a kernel's parameters, one after another."""
    places: dict[str, int] = {}
    at = 0
    for parameter in function.params:
        at = -(-at // parameter.align) * parameter.align
        places[parameter.name] = at
        at += parameter.n_bytes
    return places, at


def shared_layout(module: Module, function: Function) -> tuple[dict[str, int], int]:
    """Offsets of shared variables: sized ones one after another, unsized ones (``extern``) behind them."""
    places: dict[str, int] = {}
    at = 0
    variables = [v for v in (*module.variables.values(), *function.variables) if v.space == "shared"]
    variables = [*reserved(function.body), *variables]
    for variable in variables:
        if variable.n_bytes:
            at = -(-at // variable.align) * variable.align
            places[variable.name] = at
            at += variable.n_bytes
    for variable in variables:
        if not variable.n_bytes:
            places[variable.name] = -(-at // variable.align) * variable.align
    return places, at


def local_layout(function: Function) -> tuple[dict[str, int], int]:
    """Offsets in a lane's private memory: local variables, and the parameters of calls."""
    places: dict[str, int] = {}
    at, widest = 0, 16
    for variable in function.variables:
        if variable.space in ("local", "param"):
            at = -(-at // variable.align) * variable.align
            places[variable.name] = at
            at += variable.n_bytes
            widest = max(widest, variable.align)
    return places, -(-at // widest) * widest  # so that it is aligned in every lane
