"""Tensor-core instructions on registers filled with small whole numbers, whose sums are exact in any order."""

import numpy as np
import pytest

FORMS = {
    **{f"m16n8k{k}.row.col.{d}.f16.f16.{c}": (k // 4, k // 8) for k in (8, 16)
       for d in ("f16", "f32") for c in ("f16", "f32")},
    **{f"m16n8k{k}.row.col.f32.bf16.bf16.f32": (k // 4, k // 8) for k in (8, 16)},
    **{f"m16n8k{k}.row.col.f32.tf32.tf32.f32": (k // 2, k // 4) for k in (4, 8)},
    **{f"m16n8k{k}.row.col{sat}.s32.{a}.{b}.s32": (k // 8, k // 16) for k in (16, 32) for a in ("s8", "u8")
       for b in ("s8", "u8") for sat in ("", ".satfinite")},
    **{f"m16n8k32.row.col.{d}.{a}.{b}.{d}": (4, 2) for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2")
       for d in ("f32", "f16")},
    "m8n8k4.row.col.f64.f64.f64.f64": (1, 1),
    **{f"m16n8k{k}.row.col.f64.f64.f64.f64": (k // 2, k // 4) for k in (4, 8, 16)},
}  # fmt: skip


def registers(kind, n, random):
    """``n`` 32-bit words (64 for f64) of elements."""
    numbers = random.integers(-8, 9, 4 * n).astype(np.float64)
    if kind == "f64":
        return numbers[:n].view(np.uint64)
    if kind in ("f32", "tf32"):
        return numbers[:n].astype(np.float32).view(np.uint32) | (0x1FFF if kind == "tf32" else 0)
    if kind == "f16":
        return numbers[: 2 * n].astype(np.float16).view(np.uint32)
    if kind == "bf16":
        return (numbers[: 2 * n].astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(np.uint32)
    if kind == "s32":
        return random.integers(-(1 << 31), 1 << 31, n).astype(np.int32).view(np.uint32)
    if kind in ("s8", "u8"):
        return random.integers(0, 256, 4 * n).astype(np.uint8).view(np.uint32)
    # Codes of numbers with exponents from 2**-2 to 2**3, so that sums stay exact.
    size = random.integers(0x28, 0x50, 4 * n) if kind == "e4m3" else random.integers(0x34, 0x48, 4 * n)
    return (size | random.integers(0, 2, 4 * n) << 7).astype(np.uint8).view(np.uint32)


def program(both, form, n_a, n_b, n_c, n_d):
    size = 8 if ".f64" in form else 4
    groups, declared, loads = {}, "", ""
    for number, (name, n) in enumerate((("a", n_a), ("b", n_b), ("c", n_c), ("d", n_d))):
        names = [f"%{name}{i}" for i in range(n)]
        declared += f".reg .b{8 * size} {', '.join(names)};"
        groups[name] = "{" + ", ".join(names) + "}"
        if name != "d":
            loads += f"mul.wide.u32 %rd2, %r1, {n * size}; add.s64 %rd2, %rd2, %rd{10 + number};"
            loads += "".join(f"ld.global.b{8 * size} {x}, [%rd2+{i * size}];" for i, x in enumerate(names))
        else:
            out = f"mul.wide.u32 %rd2, %r1, {n * size}; add.s64 %rd2, %rd2, %rd0;"
            out += "".join(f"st.global.b{8 * size} [%rd2+{i * size}], {x};" for i, x in enumerate(names))
    body = f"{loads}\nmma.sync.aligned.{form} {groups['d']}, {groups['a']}, {groups['b']}, {groups['c']};\n{out}"
    return both.kernel(body, variables=declared, pointers=("a", "b", "c"))


@pytest.mark.parametrize("form", FORMS)
def test_mma(both, form):
    n_a, n_b = FORMS[form]
    *_, d_type, a_type, b_type, c_type = form.split(".")
    n_c, n_d = (2 if t == "f16" else 2 if form.startswith("m8") else 4 for t in (c_type, d_type))
    random = np.random.default_rng(sum(form.encode()))
    n = 64
    arrays = []
    for kind, count in ((a_type, n_a), (b_type, n_b), (c_type, n_c)):
        bits = registers(kind, n * count, random)
        held = both.array(n * count, bits.dtype)
        held[:] = bits
        arrays.append(held)
    out = both.array(n * n_d, np.uint64 if "f64" in form else np.uint32)
    run = both.run_both(program(both, form, n_a, n_b, n_c, n_d), "k", 1, 64, [out, *arrays])
    run.check_memory()
    run.check_counters()
    m, n, k = (int(x) for x in form.split(".")[0][1:].replace("n", " ").replace("k", " ").split())
    assert run.launch.counters.flop_tensor == 2 * 2 * m * n * k


@pytest.mark.parametrize("n_others", [0, 60])
@pytest.mark.parametrize("target", ["a", "c", "b0 b1 a3 a0"])
def test_mma_overwrites_its_sources(both, target, n_others):
    """Also where so many registers live across a barrier that all of them stay in memory."""
    a, b, c = ([f"%{name}{i}" for i in range(n)] for name, n in (("a", 4), ("b", 2), ("c", 4)))
    others = [f"%o{i}" for i in range(n_others)]
    sources = [*a, *b, *c]
    d = {"a": a, "c": c}.get(target) or [f"%{name}" for name in target.split()]
    loads = f"mul.wide.u32 %rd2, %r1, {4 * len(sources)}; add.s64 %rd2, %rd2, %rd10;"
    loads += "".join(f"ld.global.b32 {x}, [%rd2+{4 * i}];" for i, x in enumerate(sources))
    loads += "".join(f"mul.lo.u32 {x}, %r1, {i + 3};" for i, x in enumerate(others))
    form = "m16n8k16.row.col.f32.f16.f16.f32"
    group = ", ".join
    product = f"mma.sync.aligned.{form} {{{group(d)}}}, {{{group(a)}}}, {{{group(b)}}}, {{{group(c)}}};"
    results = [*sources, *others]
    stores = f"mul.wide.u32 %rd2, %r1, {4 * len(results)}; add.s64 %rd2, %rd2, %rd0;"
    stores += "".join(f"st.global.b32 [%rd2+{4 * i}], {x};" for i, x in enumerate(results))
    body = f"{loads}\nbar.sync 0;\n{product}\nbar.sync 0;\n{stores}"
    random = np.random.default_rng(1)
    words = both.array(64 * len(sources))
    halves, singles = registers("f16", 64 * 6, random).reshape(64, 6), registers("f32", 64 * 4, random).reshape(64, 4)
    words[:] = np.concatenate([halves, singles], 1).reshape(-1)
    text = both.kernel(body, variables=f".reg .b32 {group(results)};", pointers=("a",))
    run = both.run_both(text, "k", 1, 64, [both.array(64 * len(results)), words])
    run.check_memory()
    run.check_counters()


def test_movmatrix(both):
    body = "mul.lo.u32 %r4, %r1, 2654435761; movmatrix.sync.aligned.m8n8.trans.b16 %r5, %r4; st.global.u32 [%rd1], %r5;"
    run = both.run_both(both.kernel(body), "k", 1, 64, [both.array(64)])
    run.check_memory()
    run.check_counters()


@pytest.mark.parametrize("trans", ["", ".trans"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_stmatrix_then_ldmatrix(both, n, trans):
    names = ["%r10", "%r11", "%r12", "%r13"][:n]
    made = "".join(f"mul.lo.u32 {x}, %r1, {2654435761 + 2 * i};" for i, x in enumerate(names))
    group = "{" + ", ".join(names) + "}"
    body = f"""
    {made} and.b32 %r4, %r1, 31; mul.lo.u32 %r4, %r4, 48; mov.u32 %r5, s; add.u32 %r4, %r4, %r5;
    stmatrix.sync.aligned.m8n8.x{n}{trans}.shared.b16 [%r4], {group}; bar.sync 0;
    ldmatrix.sync.aligned.m8n8.x{n}.shared.b16 {group}, [%r4];
    st.global.u32 [%rd1], %r10; st.global.u32 [%rd1+512], {names[-1]};"""
    text = both.kernel(body, variables=".shared .align 16 .b8 s[2048];").replace("sm_80", "sm_90")
    run = both.run_both(text, "k", 1, 32, [both.array(256)])
    run.check_memory()
    run.check_counters()
