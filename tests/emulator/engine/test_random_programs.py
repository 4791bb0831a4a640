"""Programs nobody thought of: random integers, selects, branches, loops and exchanges through shared memory.

Hypothesis writes structured PTX; the engine and the oracle run it, and must agree on every byte and every count.
"""

import itertools

import hypothesis
import numpy as np
from hypothesis import strategies as st

from teachkit.emulator.engine import residents

N_REGISTERS = 6  # %r10 ... hold the program's values; %p1 ... its predicates, one a nesting level
N_THREADS = (1, 32, 40, 64, 96)
LOOP_TURNS = 5

_registers = st.sampled_from([f"%r{10 + i}" for i in range(N_REGISTERS)])
_constants = st.sampled_from(["0", "1", "3", "31", "-1", "0x80000000", "12345"])
_operands = st.one_of(_registers, _registers, _constants)
_binary = st.sampled_from(
    ["add.s32", "sub.s32", "mul.lo.s32", "and.b32", "or.b32", "xor.b32", "min.s32", "max.u32", "shl.b32", "shr.u32"]
)
_relations = st.sampled_from(["lt.s32", "ge.u32", "eq.s32", "ne.s32", "gt.s32"])
_sources = st.sampled_from(["%r1", "%r2", "%laneid", "%ctaid.x", "%warpid", "%r1", "%r2"])


@st.composite
def _straight(draw):
    """One instruction that changes one register."""
    target, a, b = draw(_registers), draw(_operands), draw(_operands)
    kind = draw(st.sampled_from("binary binary binary guarded select source mad load own own".split()))
    if kind == "own":
        return draw(_own(target))
    if kind == "source":
        return f"mov.u32 {target}, {draw(_sources)};"
    if kind == "mad":
        return f"mad.lo.s32 {target}, {a}, {b}, {draw(_registers)};"
    if kind == "load":  # the 64 words of %rd10, wherever the register points
        return f"and.b32 %r4, {a}, 63; mad.wide.u32 %rd2, %r4, 4, %rd10; ld.global.u32 {target}, [%rd2];"
    if kind == "select":
        compare = f"setp.{draw(_relations)} %p15, {a}, {b};"
        return f"{compare} selp.b32 {target}, {draw(_operands)}, {draw(_registers)}, %p15;"
    if kind == "guarded":
        sign = draw(st.sampled_from(["", "!"]))
        return f"setp.{draw(_relations)} %p15, {a}, {b}; @{sign}%p15 {draw(_binary)} {target}, {draw(_registers)}, {a};"
    return f"{draw(_binary)} {target}, {a}, {b};"


@st.composite
def _own(draw, target):
    """A register that is written once, so that it may be kept as one value a warp, or as one and a stride."""
    word = draw(st.integers(0, 3))
    value = draw(
        st.sampled_from(
            [
                f"ld.const.u32 %own, [words+{4 * word}];",
                "ld.const.u32 %own, [%rd11];",
                f"mov.u32 %own, {word}; @%p15 ld.const.u32 %own, [%rd11];",
                f"ld.global.u32 %own, [%rd10+{4 * word}];",
                "mul.lo.u32 %own, %r3, 3;",
                f"shl.b32 %own, %r1, {word};",
                f"add.u32 %own, %r2, {word};",
            ]
        )
    )
    return f"{{ .reg .b32 %own; {value} add.u32 {target}, {target}, %own; }}"


@st.composite
def _block(draw, depth, loop, uniform, labels):
    """A list of statements. ``loop`` is the label behind the loop around, if any; barriers only where ``uniform``."""
    kinds = ["straight"] * 4
    if depth:
        kinds += ["if", "if", "loop"]
    if loop:
        kinds += ["break"]
    if uniform:
        kinds += ["exchange"]
    else:
        kinds += ["return"]
    return [
        draw(_statement(kind, depth, loop, uniform, labels))
        for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    ]


@st.composite
def _statement(draw, kind, depth, loop, uniform, labels):
    if kind == "straight":
        return draw(_straight())
    if kind in ("break", "return"):
        away = f"bra {loop}" if kind == "break" else "ret"
        return f"setp.{draw(_relations)} %p14, {draw(_registers)}, {draw(_operands)}; @%p14 {away};"
    if kind == "exchange":  # every thread stores, all wait, every thread reads another's word
        target, value, shift = draw(_registers), draw(_registers), draw(st.integers(1, 70))
        return (
            f"st.shared.u32 [%r30], {value}; bar.sync 0; add.u32 %r4, %r1, {shift}; rem.u32 %r4, %r4, %r31; "
            f"shl.b32 %r4, %r4, 2; add.u32 %r4, %r4, %r32; ld.shared.u32 {target}, [%r4]; bar.sync 0;"
        )
    label = next(labels)
    if kind == "if":
        condition = f"setp.{draw(_relations)} %p{depth}, {draw(_registers)}, {draw(_operands)};"
        then = draw(_block(depth - 1, loop, False, labels))
        if draw(st.booleans()):
            other = draw(_block(depth - 1, loop, False, labels))
            return [f"{condition} @%p{depth} bra T{label};", other, f"bra E{label}; T{label}:", then, f"E{label}:"]
        return [f"{condition} @!%p{depth} bra E{label};", then, f"E{label}:"]
    counter, limit = f"%r{20 + depth}", draw(st.sampled_from(["2", str(LOOP_TURNS), "lane"]))
    if limit == "lane":  # as many turns as three bits of a register say
        start, is_uniform = f"and.b32 {counter}, {draw(_registers)}, 7;", False
    else:
        start, is_uniform = f"mov.u32 {counter}, {limit};", uniform
    body = draw(_block(depth - 1, None if is_uniform else f"E{label}", is_uniform, labels))
    return [
        f"{start} H{label}: setp.eq.u32 %p{depth}, {counter}, 0; @%p{depth} bra E{label};",
        f"sub.u32 {counter}, {counter}, 1;",
        body,
        f"bra H{label}; E{label}:",
    ]


def _flat(parts):
    for part in parts:
        if isinstance(part, str):
            yield part
        else:
            yield from _flat(part)


@st.composite
def programs(draw):
    body = "\n".join(_flat(draw(_block(3, None, True, itertools.count()))))
    stores = "\n".join(f"st.global.u32 [%rd3+{4 * i}], %r{10 + i};" for i in range(N_REGISTERS))
    return f"""
    mov.u32 %r31, %ntid.x; mov.u32 %r32, tile; mad.lo.u32 %r30, %r1, 4, %r32;
    mov.u32 %r10, %r1; mov.u32 %r11, 7; mov.u32 %r12, %ctaid.x; xor.b32 %r13, %r2, 85; mov.u32 %r14, 0;
    mad.wide.u32 %rd3, %r2, {4 * N_REGISTERS}, %rd0;
    mov.u64 %rd11, words; and.b32 %r33, %r3, 3; mad.wide.u32 %rd11, %r33, 4, %rd11; setp.ne.u32 %p15, %r33, 0;
    st.shared.u32 [%r30], %r2; bar.sync 0;
    {body}
    {stores}"""


@hypothesis.settings(max_examples=60, derandomize=True)
@hypothesis.given(
    body=programs(),
    n_threads=st.sampled_from(N_THREADS),
    n_blocks=st.integers(1, 3),
    turns=st.sampled_from([1, 2, residents.first_turns]),
)
def test_random_program(both, body, n_threads, n_blocks, turns):
    """With few ``turns`` a warp stops and goes on at almost every loop header, which may not show."""
    before = ".const .align 4 .u32 words[4] = {4294967295, 2, 30, 400};"
    text = both.kernel(body, before=before, variables=".shared .align 4 .b8 tile[512];", pointers=["table"])
    out, table = both.array(n_threads * n_blocks * N_REGISTERS), both.array(64)
    table[:] = np.random.default_rng(1).integers(0, 2**32, 64)
    usual, residents.first_turns = residents.first_turns, turns
    try:
        found = both.run_both(text, "k", n_blocks, n_threads, [out, table])
    finally:
        residents.first_turns = usual
    found.check_memory()
    found.check_counters()
