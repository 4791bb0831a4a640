"""Volta's product of halves: four at once, matrices put into registers by the formulas of the manual."""

import itertools

import numpy as np
import pytest


def place(matrix, layout, kind, lane, i):
    """Row and column of element ``i`` of a lane. PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f16"."""
    is_low = lane < 16
    if matrix == "a" and layout == "row":
        return (lane % 4 if is_low else lane % 4 + 4), i
    if matrix == "a":
        return (i % 4 if is_low else i % 4 + 4), lane % 4
    if matrix == "b" and layout == "row":
        return lane % 4, (i if is_low else i + 4)
    if matrix == "b":
        return i, (lane % 4 if is_low else lane % 4 + 4)
    if kind == "f16":
        return (lane % 4 if is_low else lane % 4 + 4), i
    x = (lane & 0b1) + (i & 0b10)
    return (x if is_low else x + 4), (i & 0b100) + (lane & 0b10) + (i & 0b1)


def computation(lane):
    """Which of the four products a lane takes part in."""
    return next(n for n in range(4) if lane in range(4 * n, 4 * n + 4) or lane in range(16 + 4 * n, 20 + 4 * n))


def fragment(both, matrices, name, layout, kind):
    """Registers of 32 lanes from four matrices."""
    n = 8 if name == "c" else 4
    elements = np.zeros((32, n), np.float16 if kind == "f16" else np.float32)
    for lane, i in itertools.product(range(32), range(n)):
        elements[lane, i] = matrices[computation(lane)][place(name, layout, kind, lane, i)]
    words = elements.view(np.uint32).reshape(-1)
    array = both.array(words.size)
    array[:] = words
    return array


@pytest.mark.parametrize("types", [("f16", "f16"), ("f32", "f32"), ("f32", "f16")])
@pytest.mark.parametrize("layouts", list(itertools.product(("row", "col"), repeat=2)))
def test_four_products(both, layouts, types):
    d_type, c_type = types
    random = np.random.default_rng(17)
    a, b, c = (random.integers(-8, 9, (4, *shape)) for shape in ((8, 4), (4, 8), (8, 8)))
    given = [fragment(both, a, "a", layouts[0], "f16"), fragment(both, b, "b", layouts[1], "f16")]
    given.append(fragment(both, c, "c", "", c_type))
    n_c, n_d = (4 if kind == "f16" else 8 for kind in (c_type, d_type))
    names = {name: [f"%{name}{i}" for i in range(n)] for name, n in (("a", 2), ("b", 2), ("c", n_c), ("d", n_d))}
    declared = "".join(f".reg .b32 {', '.join(group)};" for group in names.values())
    groups = [f"{{{', '.join(names[name])}}}" for name in "dabc"]
    body = ""
    for number, name in enumerate("abc"):
        body += f"mul.wide.u32 %rd2, %r1, {4 * len(names[name])}; add.s64 %rd2, %rd2, %rd{10 + number};"
        body += "".join(f"ld.global.b32 {x}, [%rd2+{4 * i}];" for i, x in enumerate(names[name]))
    opcode = f"mma.sync.aligned.m8n8k4.{'.'.join(layouts)}.{d_type}.f16.f16.{c_type}"
    body += f"\n{opcode} {', '.join(groups)};\nmul.wide.u32 %rd2, %r1, {4 * n_d}; add.s64 %rd2, %rd2, %rd0;"
    body += "".join(f"st.global.b32 [%rd2+{4 * i}], {x};" for i, x in enumerate(names["d"]))
    out = both.array(32 * n_d)
    text = both.kernel(body, variables=declared, pointers=("a", "b", "c"))
    run = both.run_both(text, "k", 1, 32, [out, *given])
    run.check_memory()
    run.check_counters()
    assert run.launch.counters.flop_tensor == 4 * 2 * 8 * 8 * 4
    got = out.view(np.float16 if d_type == "f16" else np.float32).reshape(32, 8)
    for lane, i in itertools.product(range(32), range(8)):
        n = computation(lane)
        assert got[lane, i] == (a[n] @ b[n] + c[n])[place("c", "", d_type, lane, i)]
