"""PTX data to text that parses back to the same data, and that ``ptxas`` reads."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from teachkit.emulator.ptx.declarations import TYPE_BYTES, type_bytes
from teachkit.emulator.ptx.model import (
    Address,
    Function,
    Group,
    Immediate,
    Instruction,
    Label,
    Module,
    Negated,
    Operand,
    Part,
    PredicatePair,
    SourceLine,
    Variable,
)

_NUMBERED = re.compile(r"(.*?)(0|[1-9]\d*)$")
_FLOAT_FORMATS = {"f32": "0f{:08X}", "f64": "0d{:016X}"}
_POINTER_BYTES = 8


def print_module(module: Module) -> str:
    """Text of ``module``: ``parse(print_module(m)) == m``.

    Parameters
    ----------
    module : Module
        A module as :func:`~teachkit.emulator.ptx.parse` returns it.

    Returns
    -------
    str
        PTX without comments or debug sections.
    """
    lines = [f".version {module.version}", f".target {module.target}", f".address_size {module.address_size}"]
    lines += [f'.file {number} "{path}"' for number, path in module.files.items()]
    # Device functions are declared first, since bodies and tables may name them before they are defined.
    lines += [_signature(function) + ";" for function in module.functions.values() if not function.is_entry]
    lines += [_variable(variable, module.functions) + ";" for variable in module.variables.values()]
    for function in module.functions.values():
        if not function.is_declaration:
            lines += _function(function, module.files)
    lines += [f".alias {name}, {target};" for name, target in module.aliases.items()]
    return "\n".join(lines) + "\n"


def _signature(function: Function) -> str:
    returns = f"({', '.join(map(_variable, function.returns))}) " if function.returns else ""
    params = ", ".join(map(_variable, function.params))
    kind = ".visible .entry" if function.is_entry else ".func"
    linkage = ".extern " if function.is_declaration else ""
    directives = "".join(
        f"\n.{name} {', '.join(map(str, values))}".rstrip() for name, values in function.directives.items()
    )
    return f"{linkage}{kind} {returns}{function.name}({params}){directives}"


def _function(function: Function, files: dict[int, str]) -> Iterator[str]:
    yield _signature(function)
    yield "{"
    yield from (f"\t.reg .{type_name.replace('.', ' .')} {name};" for name, type_name in _registers(function))
    yield from (f"\t{_variable(variable)};" for variable in function.variables)
    for name, prototype in function.prototypes.items():
        returns = f"({', '.join(map(_variable, prototype.returns))}) " if prototype.returns else ""
        yield f"{name}: .callprototype {returns}_ ({', '.join(map(_variable, prototype.params))});"
    yield from (f"{name}: .calltargets {', '.join(names)};" for name, names in function.call_targets.items())
    yield from (f"{name}: .branchtargets {', '.join(names)};" for name, names in function.branch_targets.items())
    numbers = {path: number for number, path in reversed(files.items())}
    source: SourceLine | None = None
    for item in function.body:
        if isinstance(item, Label):
            yield f"{item.name}:"
            continue
        if item.source is not None and item.source != source:
            source = item.source
            yield from _location(source, numbers)
        yield "\t" + _instruction(item)
    yield "}"


def _registers(function: Function) -> Iterator[tuple[str, str]]:
    """Declarations with their type; a full run ``%r0 ... %r7`` becomes ``%r<8>``."""
    families: dict[tuple[str, str], set[int]] = {}
    for name, type_name in function.registers.items():
        if match := _NUMBERED.match(name):
            families.setdefault((match[1], type_name), set()).add(int(match[2]))
    runs = dict.fromkeys(family for family, numbers in families.items() if max(numbers) + 1 == len(numbers) > 1)
    yield from ((f"{prefix}<{len(families[prefix, type_name])}>", type_name) for prefix, type_name in runs)
    for name, type_name in function.registers.items():
        match = _NUMBERED.match(name)
        if match is None or (match[1], type_name) not in runs:
            yield name, type_name


def _location(source: SourceLine, numbers: dict[str, int]) -> Iterator[str]:
    position = f"\t.loc {numbers[source.file]} {source.line} {source.column}"
    if source.inlined_at is None:
        yield position
        return
    # inlined_at names a position, and a position means the latest .loc that mentioned it.
    yield from _location(source.inlined_at, numbers)
    at = source.inlined_at
    yield f"{position}, function_name $L__inlined, inlined_at {numbers[at.file]} {at.line} {at.column}"


def _instruction(instruction: Instruction) -> str:
    guard = ""
    if instruction.guard is not None:
        guard = f"@{'!' if instruction.guard.negated else ''}{instruction.guard.register.name} "
    bare = instruction.opcode.partition(".")[0] in ("mov", "cvta")
    operands = ", ".join(_operand(operand, bare_address=bare) for operand in instruction.operands)
    return f"{guard}{instruction.opcode} {operands}".rstrip() + ";"


def _operand(operand: Operand, *, bare_address: bool = False) -> str:
    if isinstance(operand, Immediate):
        return _FLOAT_FORMATS.get(operand.kind, "{}").format(operand.value)
    if isinstance(operand, PredicatePair):
        return f"{operand.first.name}|{operand.second.name}"
    if isinstance(operand, Negated):
        return f"!{operand.register.name}"
    if isinstance(operand, Part):
        return ("-" if operand.negated else "") + ".".join(filter(None, (operand.register.name, operand.which)))
    if isinstance(operand, Address):
        offset = f"+{operand.offset}" if operand.offset else ""
        text = _operand(operand.base) + offset
        return text if bare_address else f"[{text}]"
    if isinstance(operand, Group):
        closing = {"{": "}", "(": ")", "[": "]"}[operand.brace]
        is_brackets = operand.brace == "["
        items = (_operand(item, bare_address=is_brackets and i == 0) for i, item in enumerate(operand.items))
        return operand.brace + ", ".join(items) + closing
    return operand.name


def _variable(variable: Variable, functions: Collection[str] = ()) -> str:
    words = [".extern"] if variable.is_extern else []
    words += [f".{variable.space}"]
    if not variable.is_pointer:
        words.append(f".align {variable.align}")
    words.append("." + variable.type.replace(".", " ."))
    if variable.is_pointer:
        words.append(".ptr")
    element_bytes = type_bytes(variable.type)
    count = "" if variable.n_bytes == element_bytes else f"[{variable.n_bytes // element_bytes or ''}]"
    text = f"{' '.join(words)} {variable.name}{count}"
    return text if variable.initial is None else f"{text} = {_initial(variable, functions, is_array=bool(count))}"


def _initial(variable: Variable, functions: Collection[str], *, is_array: bool) -> str:
    assert variable.initial is not None
    scalar = variable.type.rpartition(".")[2]
    size = TYPE_BYTES[scalar]
    symbols = dict(variable.relocations)
    values: list[str] = []
    for offset in range(0, len(variable.initial), size):
        start = offset - offset % size
        value = int.from_bytes(variable.initial[start : start + size], "little")
        packed = next((at for at in range(offset, offset - _POINTER_BYTES, -1) if at in symbols), None)
        if size < _POINTER_BYTES and packed is not None:
            addend = int.from_bytes(variable.initial[packed : packed + _POINTER_BYTES], "little")
            values.append(f"{0xFF << 8 * (offset - packed):#x}({symbols[packed]}+{addend})")
        elif symbols.get(offset) in functions:
            values.append(symbols[offset])
        elif offset in symbols:
            values.append(f"generic({symbols[offset]})+{value}")
        else:
            values.append(_FLOAT_FORMATS.get(scalar, "{}").format(value))
    text = ", ".join(values)
    return f"{{{text}}}" if is_array or "." in variable.type else text
