"""Several PTX modules into one, as a linker joins object files: for the emulator, which runs PTX and no machine code.

Modelled: external, visible, weak and private names; aliases; source lines of every part.
Not modelled: what is no PTX (cubins, archives).

Source: PTX ISA, chapter "Directives", section "Linking Directives".
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from teachkit.emulator.ptx import parse, print_module
from teachkit.emulator.ptx.model import (
    Address,
    Function,
    Group,
    Instruction,
    Module,
    Operand,
    Symbol,
    Variable,
)
from teachkit.errors import PtxLinkError

_PUBLIC = re.compile(r"\.(visible|weak|common)\s+\.(?:func|entry|global|const|shared)\b(?P<rest>[^;{=]*)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_$%][\w$]*")


def link(texts: Sequence[str]) -> str:
    """Join PTX modules.

    Parameters
    ----------
    texts : sequence of str
        One or more modules; a name may be defined in one and declared ``.extern`` in the others.

    Returns
    -------
    str
        One module. A single one comes back as it was.

    Raises
    ------
    PtxLinkError
        For a public name that two modules define, or one that none does.
    """
    if len(texts) == 1:
        return texts[0]
    modules = [_with_own_names(parse(text), _public(text), f"$m{index}") for index, text in enumerate(texts)]
    files = {path: None for module in modules for path in module.files.values()}
    variables: dict[str, Variable] = {}
    functions: dict[str, Function] = {}
    for module, text in zip(modules, texts, strict=True):
        weak = _public(text, "weak", "common")
        for name, variable in module.variables.items():
            _enter(variables, name, variable, not variable.is_extern, lambda v: not v.is_extern, name in weak)
        for name, function in module.functions.items():
            _enter(functions, name, function, not function.is_declaration, lambda f: not f.is_declaration, name in weak)
    aliases = {name: target for module in modules for name, target in module.aliases.items()}
    _check(functions, aliases)
    newest = max(modules, key=lambda module: [int(part) for part in module.version.split(".")])
    joined = Module(
        newest.version,
        modules[0].target,
        64,
        variables,
        _called_first(functions),
        dict(enumerate(files, 1)),
        aliases,
    )
    return print_module(joined)


def _public(text: str, *kinds: str) -> set[str]:
    """Names that other modules may use: the last word of a declaration, before its parameters or its size."""
    found = set()
    for match in _PUBLIC.finditer(text):
        if kinds and match[1] not in kinds:
            continue
        rest = re.sub(r"^\s*\([^)]*\)", " ", match["rest"])  # what a function returns
        words = _NAME.findall(re.split(r"[(\[]", re.sub(r"\.\w+(\s+\d+)?", " ", rest))[0])
        found.update(words[:1])
    return found


def _with_own_names(module: Module, public: Iterable[str], suffix: str) -> Module:
    """The module with a suffix on every name that only it may use."""
    keep = set(public) | {f.name for f in module.functions.values() if f.is_entry or f.is_declaration}
    keep |= {v.name for v in module.variables.values() if v.is_extern} | set(module.aliases)
    private = {name for name in (*module.functions, *module.variables) if name not in keep}
    if not private:
        return module

    def rename(name: str) -> str:
        return name + suffix if name in private else name

    functions = {
        rename(name): dataclasses.replace(f, name=rename(name), body=tuple(_renamed(item, rename) for item in f.body))
        for name, f in module.functions.items()
    }
    variables = {
        rename(name): dataclasses.replace(
            v, name=rename(name), relocations=tuple((at, rename(symbol)) for at, symbol in v.relocations)
        )
        for name, v in module.variables.items()
    }
    aliases = {name: rename(target) for name, target in module.aliases.items()}
    return dataclasses.replace(module, functions=functions, variables=variables, aliases=aliases)


def _renamed(item: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(item, Instruction):
        return dataclasses.replace(item, operands=tuple(_operand(operand, rename) for operand in item.operands))
    return item


def _operand(operand: Operand, rename: Callable[[str], str]) -> Operand:
    if isinstance(operand, Symbol):
        return Symbol(rename(operand.name))
    if isinstance(operand, Address) and isinstance(operand.base, Symbol):
        return Address(Symbol(rename(operand.base.name)), operand.offset)
    if isinstance(operand, Group):
        return Group(tuple(_operand(item, rename) for item in operand.items), operand.brace)
    return operand


def _enter(
    table: dict[str, Any], name: str, thing: Any, is_defined: bool, defines: Callable[[Any], bool], is_weak: bool
) -> None:
    before = table.get(name)
    if before is None or (is_defined and not defines(before)):
        table[name] = thing
    elif is_defined and not is_weak and before != thing:
        raise PtxLinkError(
            f"Expected one definition of {name!r}, got two.", hint="make one of them static, or declare it extern."
        )


def _check(functions: dict[str, Function], aliases: dict[str, str]) -> None:
    """Every function that a kernel can reach is defined."""
    waiting = [name for name, function in functions.items() if function.is_entry]
    reached: set[str] = set()
    while waiting:
        name = aliases.get(waiting[-1], waiting[-1])
        waiting.pop()
        if name in reached or name not in functions or name in _HOST_FUNCTIONS:
            continue
        reached.add(name)
        if functions[name].is_declaration:
            raise PtxLinkError(
                f"Expected a definition of the function {name!r}, found none.",
                hint="link the file that defines it, for example with cuda.jit(link=[...]).",
            )
        for item in functions[name].body:
            if isinstance(item, Instruction):
                waiting += [operand.name for operand in item.operands if isinstance(operand, Symbol)]


_HOST_FUNCTIONS = ("vprintf", "malloc", "free", "__assertfail", "__assert_fail")
"""What the device runtime itself defines."""


def _called_first(functions: dict[str, Function]) -> dict[str, Function]:
    return dict(sorted(functions.items(), key=lambda pair: pair[1].is_entry))
