"""Atomic operations in global and shared memory: results, counts, bounds, and any number of threads."""

import numpy as np
import pytest

from teachkit.emulator import load_ptx, observe
from teachkit.emulator.kernel import configure
from teachkit.errors import KernelFault, UnsupportedInstruction

INTEGERS = [
    ("add", "u32"), ("add", "s32"), ("add", "u64"), ("min", "s32"), ("min", "u32"), ("max", "s64"), ("max", "u64"),
    ("and", "b32"), ("or", "b64"), ("xor", "b32"), ("exch", "b32"), ("exch", "b64"), ("inc", "u32"), ("dec", "u32"),
]  # fmt: skip
FLOATS = [
    ("add", "f32"),
    ("add", "f64"),
    ("add.noftz", "f16"),
    ("add.noftz", "f16x2"),
    ("add.noftz", "bf16"),
    ("add.noftz", "bf16x2"),
]
BITS = {"f16": 16, "bf16": 16, "f16x2": 32, "bf16x2": 32}


def program(both, instruction, kind, space, returns):
    """Each thread: four targets in ``out``, operands and old values in arrays of its own."""
    bits = BITS.get(kind) or int(kind[1:])
    register = {16: "%h", 32: "%r", 64: "%rd"}[bits]
    size = bits // 8
    target = f"{register}8, " if returns else ""
    name = "atom" if returns else "red"
    body = f"""
    and.b32 %r4, %r2, 3; mul.lo.u32 %r5, %r4, {size}; cvt.u64.u32 %rd2, %r5;
    mul.wide.u32 %rd3, %r2, {size}; add.s64 %rd4, %rd10, %rd3; add.s64 %rd5, %rd11, %rd3;
    ld.global.b{bits} {register}7, [%rd4];
    setp.ne.u32 %p1, %r1, 5;"""
    if space == "global":
        body += "add.s64 %rd6, %rd0, %rd2;"
        body += f"@%p1 {name}.global.gpu.acq_rel.{instruction}.{kind} {target}[%rd6], {register}7;"
    else:
        body += f"""
        setp.lt.u32 %p2, %r1, 4; @%p2 st.shared.b{bits} [%r5], {register}7; bar.sync 0;
        @%p1 {name}.shared.{instruction}.{kind} {target}[%r5], {register}7; bar.sync 0;
        ld.shared.b{bits} {register}6, [%r5]; add.s64 %rd6, %rd0, %rd3; st.global.b{bits} [%rd6], {register}6;"""
    if returns:
        body += f"@%p1 st.global.b{bits} [%rd5], {register}8;"
    return both.kernel(body, variables=f".shared .align 16 .b8 s[{4 * size}];", pointers=("values", "old"))


@pytest.mark.parametrize("space", ["global", "shared"])
@pytest.mark.parametrize("returns", [True, False], ids=["atom", "red"])
@pytest.mark.parametrize(("instruction", "kind"), INTEGERS + FLOATS, ids=lambda x: x)
def test_against_the_oracle(both, instruction, kind, space, returns):
    bits = BITS.get(kind) or int(kind[1:])
    n = 2 * 64
    random = np.random.default_rng(3)
    values = both.array(n, f"u{bits // 8}")
    out = both.array(n, f"u{bits // 8}")
    if "f" in kind:
        numbers = random.normal(size=n * 2).astype(np.float32)
        dtype = {"f64": "f8", "f32": "f4"}.get(kind, "f2")
        octets = numbers.astype(dtype).view(np.uint8)
        if kind.startswith("bf"):
            octets = (numbers.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
        values[:] = octets[: n * bits // 8].view(values.dtype)
    else:
        values[:] = random.integers(0, 40, n)
        values[::7] = np.iinfo(values.dtype).max - 3
    old = both.array(n, f"u{bits // 8}")
    run = both.run_both(program(both, instruction, kind, space, returns), "k", 2, 64, [out, values, old])
    run.check_memory()
    run.check_counters()
    assert run.launch.counters.atomic_max_conflict == 8


def test_compare_and_swap(both):
    body = """
    mov.u32 %r4, 7; atom.global.relaxed.sys.cas.b32 %r6, [%rd0], %r2, %r4; st.global.u32 [%rd1+128], %r6;
    mov.u64 %rd3, 5; cvt.u64.u32 %rd4, %r2; atom.global.cas.b64 %rd5, [%rd0+8], %rd4, %rd3;
    cvt.u32.u64 %r7, %rd5; st.global.u32 [%rd1+512], %r7;"""
    run = both.run_both(both.kernel(body), "k", 1, 64, [both.array(256)])
    run.check_memory()
    run.check_counters()


def test_a_lock_that_every_thread_takes(both):
    body = """
    SPIN: atom.global.acquire.gpu.cas.b32 %r4, [%rd10], 0, 1; setp.ne.u32 %p1, %r4, 0; @%p1 bra SPIN;
    ld.global.u32 %r5, [%rd0]; add.u32 %r5, %r5, %r2; st.global.u32 [%rd0], %r5;
    atom.global.release.gpu.exch.b32 %r4, [%rd10], 0;"""
    out = both.array(1)
    # One warp leader a block takes the lock: lanes of one warp that contend would wait for each other.
    text = both.kernel(f"setp.ne.u32 %p2, %r1, 0; @%p2 bra END; {body} END:", pointers=("lock",))
    load_ptx(text)["k"][300, 32](out, both.array(1))
    assert out[0] == 32 * sum(range(300))


def test_an_integer_histogram_is_the_same_on_any_number_of_threads(both):
    body = """
    mul.lo.u32 %r4, %r2, 2654435761; shr.u32 %r4, %r4, 28; mul.wide.u32 %rd2, %r4, 4; add.s64 %rd2, %rd0, %rd2;
    red.global.add.u32 [%rd2], 1;"""
    text = both.kernel(body)
    found = []
    for n_threads in (1, 2, 4):
        out = both.array(16)
        before = configure(n_threads=n_threads)
        launches = []
        with observe(launches.append):
            load_ptx(text)["k"][4096, 128](out)
        configure(n_threads=before.n_threads)
        found.append((out.tolist(), launches[0].counters.to_dict()))
    assert found[0] == found[1] == found[2]
    assert sum(found[0][0]) == 4096 * 128


def test_float_sums_are_the_same_on_any_number_of_threads(both):
    body = "cvt.rn.f32.u32 %f1, %r2; rcp.rn.f32 %f1, %f1; red.global.add.f32 [%rd0], %f1;"
    sums = []
    for n_threads in (1, 3):
        out = both.array(1, np.float32, 0)
        before = configure(n_threads=n_threads)
        load_ptx(both.kernel(body.replace("%r2;", "%r2; add.rn.f32 %f1, %f1, 0f3F800000;")))["k"][2000, 64](out)
        configure(n_threads=before.n_threads)
        sums.append(out[0])
    assert sums[0] == sums[1]


def test_generic_addresses_reach_both_spaces(both):
    body = """
    mov.u64 %rd2, s; cvta.shared.u64 %rd3, %rd2; setp.lt.u32 %p1, %r1, 9; selp.b64 %rd4, %rd3, %rd0, %p1;
    setp.eq.u32 %p2, %r1, 0; @%p2 st.shared.u32 [s], 100; bar.sync 0;
    atom.add.u32 %r4, [%rd4], 1; st.global.u32 [%rd1+256], %r4; bar.sync 0;
    ld.shared.u32 %r5, [s]; @%p2 st.global.u32 [%rd0+4], %r5;"""
    run = both.run_both(both.kernel(body, variables=".shared .align 4 .b8 s[4];"), "k", 1, 64, [both.array(256)])
    run.check_memory()
    run.check_counters()


def test_an_atomic_out_of_bounds_is_reported_and_not_carried_out(both):
    text = both.kernel("red.global.add.u32 [%rd1], 1;")
    out = np.zeros(40, np.uint32)
    with pytest.raises(KernelFault, match=r"Out-of-bounds atomic operation of 4 bytes .*element 40"):
        load_ptx(text)["k"][1, 64](out)


@pytest.mark.parametrize("opcode", ["red.global.and.f32", "red.global.min.f32", "red.global.add.b32"])
def test_combinations_that_ptx_does_not_have(both, opcode):
    with pytest.raises(UnsupportedInstruction, match=opcode):
        load_ptx(both.kernel(f"{opcode} [%rd1], %r1;"))["k"][1, 32](both.array(32))


@pytest.mark.parametrize("kind", ["v2.f32", "v4.f32", "v2.f16x2", "v4.bf16x2"])
def test_vectors(both, kind):
    n = int(kind[1])
    items = ", ".join(["%r4", "%r5", "%r6", "%r7"][:n])
    body = f"""
    and.b32 %r3, %r1, 3; mul.wide.u32 %rd2, %r3, 16; add.s64 %rd2, %rd0, %rd2;
    mov.b32 %r4, 0x3F803F80; mov.b32 %r5, 0x40003F80; mov.b32 %r6, 0x3E803E80; mov.b32 %r7, 0x3DCD3DCD;
    atom.global.{kind}.add {{ {items.replace("%r", "%r1")} }}, [%rd2], {{ {items} }};
    st.global.u32 [%rd1+256], %r15;"""
    body = body.replace(f".{kind}.add", f".add{'.noftz' if 'x2' in kind else ''}.{kind}")
    run = both.run_both(both.kernel(body), "k", 1, 64, [both.array(256)])
    run.check_memory()
    run.check_counters()
