"""Modules made at random print to text that parses back to them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.emulator.ptx import parse, print_module
from teachkit.emulator.ptx.model import (
    Address,
    Function,
    Group,
    Guard,
    Immediate,
    Instruction,
    Label,
    Module,
    Negated,
    PredicatePair,
    Prototype,
    Register,
    SourceLine,
    Symbol,
    Variable,
)

FILES = {1: "/a/b.py", 2: "/a//c.cu"}
SIZES = {"b8": 1, "u16": 2, "s32": 4, "f32": 4, "b64": 8, "f64": 8}
SPECIAL = ("%tid.x", "%laneid", "_")

registers = st.dictionaries(
    st.one_of(
        st.builds("{}{}".format, st.sampled_from(["%r", "%rd", "%f"]), st.integers(0, 12)),
        st.sampled_from(["%SP", "%p1", "temp", "%a_b$1", "%r01"]),
    ),
    st.sampled_from(["b32", "b64", "f32", "pred", "b16"]),
    min_size=1,
)
integers = st.integers(1 - 2**63, 2**64 - 1)  # 2**63 is an unsigned number, whatever sign stands before it
immediates = st.one_of(
    st.builds(Immediate, integers),
    st.builds(Immediate, st.integers(0, 2**32 - 1), st.just("f32")),
    st.builds(Immediate, st.integers(0, 2**64 - 1), st.just("f64")),
)
sources = st.recursive(
    st.builds(SourceLine, st.sampled_from(list(FILES.values())), st.integers(0, 999), st.integers(0, 99)),
    lambda outer: st.builds(
        SourceLine, st.sampled_from(list(FILES.values())), st.integers(0, 999), st.integers(0, 99), outer
    ),
    max_leaves=3,
)


@st.composite
def variables(draw, name, spaces=("shared", "local", "param")):
    type_name = draw(st.sampled_from(list(SIZES)))
    count = draw(st.integers(1, 4))
    return Variable(
        name, draw(st.sampled_from(spaces)), type_name, SIZES[type_name] * count, draw(st.sampled_from([4, 16]))
    )


@st.composite
def global_variables(draw, name):
    type_name = draw(st.sampled_from(list(SIZES)))
    size, count = SIZES[type_name], draw(st.integers(1, 20))
    is_extern = draw(st.booleans())
    initial = None if is_extern else draw(st.one_of(st.none(), st.binary(min_size=size * count, max_size=size * count)))
    relocations = ()
    if initial is not None and draw(st.booleans()) and len(initial) >= 8 and size in (1, 8):
        offset = draw(st.integers(0, (len(initial) - 8) // size)) * size
        relocations = ((offset, "other"),)
    n_bytes = 0 if is_extern and draw(st.booleans()) else size * count
    space = draw(st.sampled_from(["global", "const"]))
    return Variable(name, space, type_name, n_bytes, 8, is_extern, initial, relocations)


@st.composite
def functions(draw, name, is_entry):
    names = draw(registers)
    register = st.builds(Register, st.sampled_from([*names, *SPECIAL]))
    labels = [f"$L{i}" for i in range(draw(st.integers(0, 3)))]
    symbol = st.builds(Symbol, st.sampled_from([*labels, "other", "v0", "p0"]))
    number = st.builds(Address, st.builds(Immediate, st.integers(0, 2**63)))  # what is added to it is worked out
    address = st.one_of(st.builds(Address, st.one_of(register, symbol), integers), number)
    group = st.builds(lambda items: Group(tuple(items)), st.lists(st.one_of(register, immediates), max_size=4))
    operand = st.one_of(
        register,
        immediates,
        symbol,
        address,
        group,
        st.builds(PredicatePair, register, register),
        st.builds(Negated, register),
        st.builds(lambda first, second: Group((first, second), "["), address, group),
    )
    listed = st.builds(lambda items: Group(tuple(items), "("), st.lists(symbol, max_size=2))
    guard = st.one_of(st.none(), st.builds(Guard, register, st.booleans()))

    def instruction(opcodes, operand):
        return st.builds(Instruction, opcodes, st.lists(operand, max_size=4).map(tuple), guard, st.integers(0, 9))

    plain = st.one_of(
        instruction(st.sampled_from(["add.s32", "ld.global.v4.b32", "bar.sync", "x.shared::cluster.y"]), operand),
        instruction(st.just("call.uni"), st.one_of(operand, listed)),
    )
    move = st.builds(
        lambda a, b: Instruction("mov.b64", (a, b)), register, st.builds(Address, symbol, integers.filter(bool))
    )
    body = draw(st.lists(st.one_of(plain, move), max_size=8))
    source = None
    located = []
    for instruction in body:
        source = draw(st.one_of(st.just(source), sources))
        located.append(Instruction(instruction.opcode, instruction.operands, instruction.guard, 0, source))
    for label in labels:
        located.insert(draw(st.integers(0, len(located))), Label(label))
    return Function(
        name=name,
        is_entry=is_entry,
        params=tuple(draw(variables(f"{name}_{i}", ("param",))) for i in range(draw(st.integers(0, 3)))),
        returns=()
        if is_entry
        else tuple(draw(variables(f"{name}_r", ("param",))) for _ in range(draw(st.integers(0, 1)))),
        registers=names,
        variables=tuple(draw(variables(f"v{i}")) for i in range(draw(st.integers(0, 3)))),
        body=tuple(located),
        directives=draw(st.dictionaries(st.sampled_from(["reqntid", "maxntid"]), st.tuples(st.integers(1, 9)))),
        branch_targets={"ts": tuple(labels)} if labels else {},
        prototypes={"p0": Prototype((draw(variables("_", ("param",))),), ())},
    )


@st.composite
def modules(draw):
    return Module(
        version="8.7",
        target=draw(st.sampled_from(["sm_80", "sm_90a", "sm_80, debug"])),
        address_size=64,
        variables={name: draw(global_variables(name)) for name in draw(st.sets(st.sampled_from(["g", "h", "table"])))},
        functions={
            name: draw(functions(name, name[0] == "k")) for name in draw(st.sets(st.sampled_from(["k1", "f1"])))
        },
        files=FILES,
        aliases=draw(st.dictionaries(st.just("again"), st.just("f1"))),
    )


@given(modules())
@settings(max_examples=150, deadline=None)
def test_print_then_parse_is_identity(module):
    assert parse(print_module(module)) == module
