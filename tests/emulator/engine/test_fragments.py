"""Fragments that several products share are laid out once, and again as soon as one of their registers is written.

The products are of integers, which are exact and take any bits.
"""

import numpy as np
import pytest

from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.ptx import parse

LANES = 64
LARGE, SMALL = "m16n8k32", "m16n8k16"


def group(names):
    return "{" + ", ".join(names) + "}"


def fragment(name, number, n):
    return [f"%{name}{number}_{i}" for i in range(n)]


def mma(a, b, c, d=None, *, shape=LARGE, types="s8.s8"):
    n = 1 if shape == LARGE else 2
    a, b, c = fragment("a", a, 4 // n), fragment("b", b, 2 // n), fragment("c", c, 4)
    return f"mma.sync.aligned.{shape}.row.col.s32.{types}.s32 {group(d or c)}, {group(a)}, {group(b)}, {group(c)};"


def program(both, statements, n_a, n_b, n_c):
    """All registers are read from the array ``a``, then come the statements; all are written to the other array."""
    names = [name for letter, n, size in (("a", n_a, 4), ("b", n_b, 2), ("c", n_c, 4))
             for i in range(n) for name in fragment(letter, i, size)]  # fmt: skip
    size = -(-len(names) // 4) * 16
    loads = "".join(f"ld.global.b32 {name}, [%rd2+{4 * i}];" for i, name in enumerate(names))
    stores = "".join(f"st.global.b32 [%rd2+{4 * i}], {name};" for i, name in enumerate(names))
    body = f"""
    mul.wide.u32 %rd3, %r1, {size}; add.s64 %rd2, %rd3, %rd10; {loads}
    setp.lt.u32 %p1, %r1, 20;
    {chr(10).join(statements)}
    add.s64 %rd2, %rd3, %rd0; {stores}"""
    return both.kernel(body, variables=f".reg .b32 {', '.join(names)};", pointers=("a",)), size // 4


def random_statements(rng, n, n_a, n_b, n_c):
    """Products, and in between whatever may write a register of A or B."""

    def any_of(letter):
        n, size = {"a": (n_a, 4), "b": (n_b, 2), "c": (n_c, 4)}[letter]
        return f"%{letter}{rng.integers(n)}_{rng.integers(size)}"

    for _ in range(n):
        target = any_of(rng.choice(["a", "b"]))
        a, b, c = (int(rng.integers(size)) for size in (n_a, n_b, n_c))
        match rng.integers(18):
            case 0:
                yield f"xor.b32 {target}, {target}, 0x5A;"
            case 1:
                yield f"@%p1 add.u32 {target}, {any_of('a')}, {any_of('b')};"
            case 2:
                at = 16 * int(rng.integers(3))
                yield f"ld.global.v4.b32 {group(fragment('a', a, 4))}, [%rd2+{at}];"
            case 3:  # two that the engine takes as one
                first, second = fragment("b", b, 2)
                yield f"ld.global.b32 {first}, [%rd2+4]; ld.global.b32 {second}, [%rd2+8];"
            case 4:
                yield f"shfl.sync.bfly.b32 {target}, {any_of('c')}, 3, 31, -1;"
            case 5:
                yield mma(a, b, c, fragment("a", int(rng.integers(n_a)), 4))
            case 6 | 7:
                yield mma(a, b, c, shape=SMALL)
            case 8 | 9:
                yield mma(a, b, c, types="u8.s8")
            case _:
                yield mma(a, b, c)


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
@pytest.mark.parametrize(("n_a", "n_b"), [(2, 3), (19, 2), (3, 21)], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_products_see_what_their_registers_hold(both, seed, n_a, n_b, parts):
    rng = np.random.default_rng((seed, n_a, n_b))
    statements = list(random_statements(rng, 150, n_a, n_b, 3))
    if parts:  # a half of them where the compiler cannot know that a warp goes one way, and once more round a loop
        statements.insert(30, "mov.u32 %r3, 0;\nAGAIN:\nsetp.lt.u32 %p2, %r1, 32; @%p2 bra OVER;")
        statements.insert(90, "OVER:")
        statements.insert(120, "add.u32 %r3, %r3, 1; setp.lt.u32 %p2, %r3, 2; @%p2 bra AGAIN;")
    text, n = program(both, statements, n_a, n_b, 3)
    source = both.array(LANES * n)
    source[:] = rng.integers(0, 1 << 32, LANES * n, dtype=np.uint32)
    run = both.run_both(text, "k", 1, LANES, [both.array(LANES * n), source])
    run.check_memory()
    run.check_counters()


def n_laid_out(both, statements, n_a, n_b, n_c=4):
    module = parse(program(both, statements, n_a, n_b, n_c)[0])
    text = translate(module, module.functions["k"], Mode()).text
    calls = [line for line in text.splitlines() if "call void" in line]
    return tuple(sum(f"tk_{role}." in line for line in calls) for role in ("rows", "columns"))


def test_a_tile_of_products_lays_out_each_fragment_once(both):
    tile = [mma(a, b, 0) for a in range(4) for b in range(8)]
    assert n_laid_out(both, tile, 4, 8) == (4, 8)


def test_a_fragment_is_laid_out_again_where_it_was_written_or_a_branch_may_lead(both):
    written = [mma(0, 0, 0), "mov.u32 %a0_3, %b0_0;", mma(0, 0, 1)]
    assert n_laid_out(both, written, 1, 1) == (2, 1)
    behind_a_label = [mma(0, 0, 0), "@%p1 bra THERE;", mma(0, 0, 1), "THERE:", mma(0, 0, 2)]
    assert n_laid_out(both, behind_a_label, 1, 1) == (3, 3)


def test_more_fragments_than_there_is_room_for(both):
    many = [mma(a, 0, 0) for _ in range(2) for a in range(17)]
    assert n_laid_out(both, many, 17, 1) == (34, 1)
