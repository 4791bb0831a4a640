"""Hints, unusual spellings, and breakpoints, on the engine and on the oracle."""

import numpy as np
import pytest

from teachkit.emulator import load_ptx
from teachkit.emulator.isa.table import lookup
from teachkit.errors import KernelFault, UnsupportedInstruction

HINTS = [
    "prefetch.L1 [%rd10]",
    "prefetch.L2 [%rd10]",
    "prefetch.global.L2 [%rd10]",
    "prefetch.local.L1 [%rd10]",
    "prefetch.global.L2::evict_last [%rd10]",
    "prefetch.global.L2::evict_normal [%rd10]",
    "prefetchu.L1 [%rd10]",
    "applypriority.global.L2::evict_normal [%rd10], 128",
    "createpolicy.fractional.L2::evict_first.b64 %rd5",
    "createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %rd5, 0.25",
    "createpolicy.range.global.L2::evict_normal.L2::evict_first.b64 %rd5, [%rd10], 128, 128",
    "createpolicy.range.L2::evict_unchanged.b64 %rd5, [%rd10], 128, 128",
    "createpolicy.cvt.L2.b64 %rd5, %rd4",
    "nanosleep.u32 100",
    "nanosleep.u32 %r1",
    "pmevent 3",
    "pmevent.mask 0x0f",
    "setmaxnreg.dec.sync.aligned.u32 24",
    "fence.proxy.alias",
    "membar.proxy.alias",
]


@pytest.mark.parametrize("statement", HINTS)
def test_hints_change_nothing(both, statement):
    body = f"mov.u64 %rd4, 0; {statement}; ld.global.u32 %r4, [%rd10]; st.global.u32 [%rd1], %r4;"
    given = both.array(32, value=17)
    run = both.run_both(both.kernel(body, pointers=("given",)), "k", 1, 32, [out := both.array(32), given])
    run.check_memory()
    run.check_counters()
    assert (out == 17).all()


def test_a_policy_is_passed_on(both):
    body = """createpolicy.range.global.L2::evict_last.b64 %rd5, [%rd10], 128, 256;
    ld.global.L2::cache_hint.u32 %r4, [%rd10], %rd5; st.global.L2::cache_hint.u32 [%rd1], %r4, %rd5;"""
    given = both.array(32, value=17)
    run = both.run_both(both.kernel(body, pointers=("given",)), "k", 1, 32, [out := both.array(32), given])
    run.check_memory()
    assert (out == 17).all()


@pytest.mark.parametrize("opcode", ["ldu.global", "ldu", "ld.mmio.relaxed.sys.global", "ld.mmio.relaxed.sys"])
def test_uniform_and_io_loads(both, opcode):
    """The address is the same for some lanes and not for others, and half the lanes leave before the second load."""
    body = f"""
    shr.u32 %r4, %r1, 2; mul.wide.u32 %rd4, %r4, 4; add.s64 %rd4, %rd10, %rd4; {opcode}.u32 %r5, [%rd4];
    and.b32 %r6, %r1, 1; setp.eq.u32 %p1, %r6, 0; mov.u32 %r7, 0; @%p1 bra END; {opcode}.u32 %r7, [%rd10+4];
    END: add.u32 %r5, %r5, %r7; st.global.u32 [%rd1], %r5;"""
    given = both.array(64)
    given[:] = np.arange(64) * 3 + 1
    run = both.run_both(both.kernel(body, pointers=("given",)), "k", 1, 64, [out := both.array(64), given])
    run.check_memory()
    run.check_counters()
    thread = np.arange(64)
    assert (out == given[thread // 4] + np.where(thread % 2, given[1], 0)).all()


def test_vector_and_narrow_uniform_loads(both):
    body = """ldu.global.v2.u32 {%r4, %r5}, [%rd10]; ldu.global.s8 %r6, [%rd10+8]; add.u32 %r4, %r4, %r5;
    add.u32 %r4, %r4, %r6; st.global.u32 [%rd1], %r4;"""
    given = both.array(32)
    given[:3] = 5, 7, 0xFE
    run = both.run_both(both.kernel(body, pointers=("given",)), "k", 1, 32, [out := both.array(32), given])
    run.check_memory()
    run.check_counters()
    assert (out == 10).all()


def test_addresses_with_the_long_names_of_their_spaces(both):
    body = """mov.u64 %rd4, s; cvta.shared::cta.u64 %rd5, %rd4; mul.wide.u32 %rd6, %r1, 4; add.s64 %rd5, %rd5, %rd6;
    st.u32 [%rd5], %r1; cvta.to.shared::cta.u64 %rd6, %rd5; cvt.u32.u64 %r5, %rd6; ld.shared::cta.u32 %r4, [%r5];
    isspacep.shared::cta %p1, %rd5; isspacep.param::entry %p2, %rd5;
    selp.u32 %r5, 100, 0, %p1; selp.u32 %r6, 1000, 0, %p2;
    add.u32 %r4, %r4, %r5; add.u32 %r4, %r4, %r6; st.global.u32 [%rd1], %r4;"""
    text = both.kernel(body, variables=".shared .align 4 .b8 s[256];")
    run = both.run_both(text, "k", 1, 64, [out := both.array(64)])
    run.check_memory()
    run.check_counters()
    assert (out == 100 + np.arange(64)).all()


def test_breakpoint(both):
    body = "setp.eq.u32 %p1, %r2, 37; @%p1 brkpt; st.global.u32 [%rd1], %r2;"
    kernel = load_ptx(both.kernel(body))["k"]
    with pytest.raises(KernelFault, match=r"stopped at a breakpoint \(brkpt\), and there is no debugger") as caught:
        kernel[3, 32](both.array(96))
    assert (caught.value.kind, caught.value.block, caught.value.thread) == ("breakpoint", (1, 0, 0), (5, 0, 0))
    kernel[1, 32](out := both.array(96))  # nobody reaches it
    assert (out[:32] == np.arange(32)).all()


def test_a_guarded_breakpoint_that_does_not_happen_counts_once(both):
    body = "setp.gt.u32 %p1, %r1, 1000; @%p1 brkpt; st.global.u32 [%rd1], %r1;"
    run = both.run_both(both.kernel(body), "k", 2, 64, [both.array(128)])
    run.check_memory()
    run.check_counters()


def test_every_lane_at_a_breakpoint(both):
    with pytest.raises(KernelFault, match="breakpoint"):
        load_ptx(both.kernel("brkpt; st.global.u32 [%rd1], 1;"))["k"][1, 32](both.array(32))


REFUSED = """tex.1d.v4.f32.s32 tld4.r.2d.v4.f32.f32 txq.width.b32 suld.b.1d.b32.trap sust.b.1d.b32.trap
sured.b.add.1d.u32.trap
suq.width.b32 istypep.texref alloca.u64 stacksave.u64 stackrestore.u64 selp.b128 red.exch.b128 shfl.up.b32 vote.any.pred
vote.ballot.b32 mma.sp.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16
mma.sync.aligned.m8n8k4.row.col.f16.f16.f16.f32 cvt.pack.sat.u16.s32.b32 prmt.b32.f8e lop3.xor.b32 brkpt.uni"""


@pytest.mark.parametrize("opcode", REFUSED.split())
def test_what_is_said_to_be_refused_has_no_row(opcode):
    assert lookup(opcode) is None


@pytest.mark.parametrize(
    "statement",
    [
        "cp.async.ca.shared.global [%r4], [%rd10], 32",
        "cp.async.ca.shared.global [%r4], [%rd10], 12",
        "cp.async.cg.shared.global [%r4], [%rd10], 4",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1}, {%r1, %r2, %r3, %r4}",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%r1, %r2}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4}",
        "fma.rn.sat.relu.f16x2 %r1, %r2, %r3, %r4",
        "add.rn.sat.bf16x2 %r1, %r2, %r3",
    ],
)
def test_what_no_assembler_takes_is_refused(both, statement):
    with pytest.raises(UnsupportedInstruction, match=statement.split()[0].replace(".", r"\.")):
        load_ptx(both.kernel(f"{statement};", pointers=("given",)))["k"][1, 32](both.array(32), both.array(32))


LITERALS = [
    ("mov.f32 %f1, -1.5", "f32", -1.5),
    ("add.f32 %f1, %f2, -1.5", "f32", 0.5),
    ("fma.rn.f32 %f1, %f2, -1.5, .25", "f32", -2.75),
    ("selp.f32 %f1, -1.5, 2.5, %p1", "f32", -1.5),
    ("slct.f32.s32 %f1, 0.1, -2.5, %r1", "f32", 0.1),
    ("slct.f32.s32 %f1, 1e40, -2.5, %r1", "f32", np.inf),
    ("cvt.rn.f32.f64 %f1, -0.1", "f32", -0.1),
    ("mov.f32 %f1, 0d3FF8000000000000", "f32", 1.5),
    ("mov.f64 %fd1, -0.1", "f64", -0.1),
    ("add.f64 %fd1, %fd2, -1.5e3", "f64", -1498.0),
    ("cvt.f64.f32 %fd1, -0.1", "f64", float(np.float32(-0.1))),
    ("mov.b64 %fd1, -0.1", "f64", -0.1),
]


@pytest.mark.parametrize(("statement", "kind", "value"), LITERALS, ids=[statement for statement, _, _ in LITERALS])
def test_decimal_literals(both, statement, kind, value):
    result = {"f32": "%f1", "f64": "%fd1"}[kind]
    body = f"""mov.f32 %f2, 2.0; mov.f64 %fd2, 2.0; setp.lt.u32 %p1, %r1, 64;
    mul.wide.u32 %rd2, %r1, 8; add.s64 %rd2, %rd0, %rd2; {statement}; st.global.{kind} [%rd2], {result};"""
    run = both.run_both(both.kernel(body), "k", 1, 32, [out := both.array(64)])
    run.check_memory()
    dtype = np.dtype({"f32": np.float32, "f64": np.float64}[kind])
    assert (out.view(dtype)[:: 8 // dtype.itemsize] == dtype.type(value)).all()


@pytest.mark.parametrize("statement", ["mov.f32 %f1, 1", "mov.b32 %r2, 1.5", "mov.b64 %rd2, 0f3F800000"])
def test_a_literal_of_another_kind_is_refused(both, statement):
    """So does ptxas: "Arguments mismatch"."""
    with pytest.raises(UnsupportedInstruction, match="constant where"):
        load_ptx(both.kernel(statement + ";"))["k"][1, 32](both.array(32))


def test_moves_keep_signalling_nans(both):
    statements = {
        "mov.f32 %f1, 0f7F800001": 0x7F800001,
        "mov.f32 %f1, 0fFFA12345": 0xFFA12345,
        "mov.f32 %f2, 0f7F812345; mov.f32 %f1, %f2": 0x7F812345,
        "selp.f32 %f1, 0f7F800001, 0fFF800001, %p1": [0x7F800001] * 9 + [0xFF800001] * 23,
        "mov.f32 %f1, 0f7FC00001": 0x7FC00001,
    }
    for statement, expected in statements.items():
        body = f"setp.lt.u32 %p1, %r1, 9; {statement}; st.global.f32 [%rd1], %f1;"
        run = both.run_both(both.kernel(body), "k", 1, 32, [out := both.array(32)])
        run.check_memory()
        assert (out == np.array(expected, np.uint32)).all(), statement


@pytest.mark.parametrize("sources", ["5, %r1, %r20", "7, 12, 10"])
def test_every_function_of_three_bits_with_numbers_among_them(both, sources):
    lines = [f"lop3.b32 %r9, {sources}, {table}; st.global.u32 [%rd1+{256 * table}], %r9;" for table in range(256)]
    text = both.kernel(f"ld.global.u32 %r20, [%rd10]; {' '.join(lines)}", pointers=["a"])
    out, a = both.array(64 * 256), both.array(1, value=0xA5C3F017)
    both.run_both(text, "k", 1, 32, [out, a]).check_memory()
