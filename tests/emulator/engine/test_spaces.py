"""Local and constant memory, generic addresses, device functions, branch tables."""

import numpy as np
import pytest

from teachkit.emulator import load_ptx
from teachkit.errors import KernelFault


def test_local_memory_is_each_threads_own(both):
    body = """
    mov.u64 %rd2, stack; cvta.local.u64 %rd3, %rd2; st.local.v2.u32 [%rd2], {%r1, %r1}; st.u32 [%rd3+4], 9;
    bar.sync 0; ld.local.u32 %r4, [%rd2]; ld.u32 %r5, [%rd3+4]; add.u32 %r4, %r4, %r5; st.global.u32 [%rd1], %r4;"""
    run = both.run_both(both.kernel(body, variables=".local .align 8 .b8 stack[8];"), "k", 2, 96, [both.array(256)])
    run.check_memory()
    run.check_counters()
    assert run.launch.counters.local_bytes == 2 * 96 * (8 + 4 + 4 + 4)


def test_a_local_array_indexed_by_data(both):
    body = """
    mov.u64 %rd2, stack; mov.u32 %r4, 0;
    FILL: mul.wide.u32 %rd3, %r4, 4; add.s64 %rd3, %rd2, %rd3; mad.lo.u32 %r5, %r4, 7, %r1; st.local.u32 [%rd3], %r5;
    add.u32 %r4, %r4, 1; setp.lt.u32 %p1, %r4, 8; @%p1 bra FILL;
    and.b32 %r6, %r1, 7; mul.wide.u32 %rd3, %r6, 4; add.s64 %rd3, %rd2, %rd3; cvta.local.u64 %rd4, %rd3;
    setp.lt.u32 %p2, %r1, 20; @%p2 bra A; ld.local.u32 %r7, [%rd3]; bra B; A: ld.u32 %r7, [%rd4]; B:
    st.global.u32 [%rd1], %r7;"""
    run = both.run_both(both.kernel(body, variables=".local .align 8 .b8 stack[32];"), "k", 1, 64, [both.array(64)])
    run.check_memory()
    run.check_counters()


def test_local_memory_has_bounds(both):
    text = both.kernel("mul.wide.u32 %rd2, %r1, 4; st.local.u32 [%rd2], 1;", variables=".local .b8 stack[16];")
    with pytest.raises(KernelFault, match="byte 16 of the thread's local memory, which has 16 bytes"):
        load_ptx(text)["k"][1, 32](both.array(32))


def test_constants_and_generic_addresses_to_everywhere(both):
    before = ".const .align 4 .u32 table[4] = {10, 20, 30, 40}; .global .u64 pointer = generic(table)+4;"
    body = """
    and.b32 %r4, %r1, 3; mul.wide.u32 %rd2, %r4, 4; mov.u64 %rd3, table; add.s64 %rd2, %rd3, %rd2;
    ld.const.u32 %r5, [%rd2]; ld.global.u64 %rd4, [pointer]; ld.u32 %r6, [%rd4]; add.u32 %r5, %r5, %r6;
    mov.u64 %rd5, tile; cvta.shared.u64 %rd5, %rd5; mov.u64 %rd6, stack; cvta.local.u64 %rd6, %rd6;
    st.local.u32 [stack], %r1; setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [tile], 77; bar.sync 0;
    setp.eq.u32 %p2, %r4, 1; selp.b64 %rd7, %rd5, %rd6, %p2; setp.eq.u32 %p3, %r4, 2; selp.b64 %rd7, %rd10, %rd7, %p3;
    setp.eq.u32 %p4, %r4, 3; selp.b64 %rd7, %rd2, %rd7, %p4;
    ld.u32 %r7, [%rd7]; isspacep.shared %p5, %rd7; isspacep.local %p6, %rd7; isspacep.global %p7, %rd7;
    selp.u32 %r8, 100, 0, %p5; selp.u32 %r9, 200, 0, %p6; selp.u32 %r10, 400, 0, %p7;
    add.u32 %r8, %r8, %r9; add.u32 %r8, %r8, %r10; add.u32 %r8, %r8, %r7;
    setp.ne.u32 %p4, %r4, 3; @%p4 st.u32 [%rd7], %r8;
    st.global.v2.u32 [%rd1+512], {%r5, %r8};""".replace("[%rd1+512]", "[%rd8]")
    body = body.replace("and.b32 %r4", "add.s64 %rd8, %rd1, %rd1; sub.s64 %rd8, %rd8, %rd0; and.b32 %r4", 1)
    text = both.kernel(
        body,
        before=before,
        variables=".shared .align 4 .b8 tile[4]; .local .align 4 .b8 stack[4];",
        pointers=("other",),
    )
    run = both.run_both(text, "k", 1, 32, [both.array(256), both.array(4, value=5)])
    run.check_memory()
    run.check_counters()


def test_a_parameter_by_its_address(both):
    text = both.kernel("mov.b64 %rd2, pair; ld.param.u32 %r4, [%rd2+4]; st.global.u32 [%rd1], %r4;")
    text = text.replace(".param .u64 out)", ".param .u64 out, .param .align 4 .b8 pair[8])")
    run = both.run_both(text, "k", 1, 32, [both.array(32), b"\1\0\0\0\7\0\0\0"])
    run.check_memory()
    run.check_counters()


TWICE = """
.func (.param .b32 result) twice(.param .b32 a) { .reg .b32 %r<3>; .reg .pred %p<2>; ld.param.b32 %r1, [a];
  setp.gt.u32 %p1, %r1, 9; @%p1 bra BIG; add.u32 %r1, %r1, %r1; setp.eq.u32 %p1, %r1, 4;
  st.param.b32 [result], %r1; @%p1 ret; BIG: add.u32 %r1, %r1, 3; st.param.b32 [result], %r1; ret; }
.func (.param .b32 result) both(.param .b32 a, .param .b64 b) { .reg .b32 %r<4>; .reg .b64 %rd<2>;
  ld.param.b32 %r1, [a]; ld.param.b64 %rd1, [b]; ld.u32 %r2, [%rd1];
  { .param .b32 p; .param .b32 q; st.param.b32 [p], %r1; call.uni (q), twice, (p); ld.param.b32 %r3, [q]; }
  add.u32 %r3, %r3, %r2; st.param.b32 [result], %r3; ret; }
"""


def test_device_functions(both):
    body = """
    { .param .b32 p0; st.param.b32 [p0], %r1; .param .b32 r0; call.uni (r0), twice, (p0); ld.param.b32 %r4, [r0]; }
    { .param .b32 p0; st.param.b32 [p0], %r4; .param .b64 p1; st.param.b64 [p1], %rd10; .param .b32 r0;
      call.uni (r0), both, (p0, p1); ld.param.b32 %r5, [r0]; }
    st.global.u32 [%rd1], %r5;"""
    text = both.kernel(body, before=TWICE, pointers=("other",))
    run = both.run_both(text, "k", 2, 64, [both.array(128), both.array(4, value=1000)])
    run.check_memory()
    run.check_counters()


def test_calls_through_a_pointer(both):
    functions = """
    .func (.param .b32 result) plus(.param .b32 a) { .reg .b32 %r<3>; ld.param.b32 %r1, [a]; add.u32 %r1, %r1, 1;
      st.param.b32 [result], %r1; ret; }
    .func (.param .b32 result) times(.param .b32 a) { .reg .b32 %r<3>; ld.param.b32 %r1, [a]; mul.lo.u32 %r1, %r1, 5;
      st.param.b32 [result], %r1; ret; }
    .global .u64 functions[2] = {plus, times};"""
    body = """
    and.b32 %r3, %rINDEX, 1; mul.wide.u32 %rd2, %r3, 8; mov.u64 %rd3, functions; add.s64 %rd2, %rd3, %rd2;
    ld.global.u64 %rd4, [%rd2];
    { .param .b32 p0; st.param.b32 [p0], %r1; .param .b32 r0; proto: .callprototype (.param .b32 _) _ (.param .b32 _);
      call (r0), %rd4, (p0), proto; ld.param.b32 %r5, [r0]; }
    st.global.u32 [%rd1], %r5;"""
    for index in ("%r1", "%ctaid.x"):
        text = both.kernel(body.replace("%rINDEX", index), before=functions)
        run = both.run_both(text, "k", 3, 64, [both.array(192)])
        run.check_memory()
        run.check_counters()


@pytest.mark.parametrize("index", ["%r1", "%ctaid.x"])
def test_branch_tables(both, index):
    body = f"""
    and.b32 %r4, {index}, 3; table: .branchtargets A, B, C, A; brx.idx %r4, table;
    A: mov.u32 %r5, 1; bra END; B: mov.u32 %r5, 2; bra END; C: mov.u32 %r5, 3; END: st.global.u32 [%rd1], %r5;"""
    run = both.run_both(both.kernel(body), "k", 5, 64, [both.array(320)])
    run.check_memory()
    run.check_counters()


def test_printf_is_printed_in_the_order_of_blocks(both, samples, capsys):
    out = np.zeros(256, np.float32)
    parameters = np.array([(1.0, 3, 0.5)], dtype=[("x", "f4"), ("n", "i4"), ("d", "f8")]).tobytes()
    run = both.run_both(samples.cuda_ptx("language"), "everything", 1, 256, [parameters, out, 2], shared_bytes=1024)
    printed = capsys.readouterr().out
    assert printed.startswith("thread 0: ")
    assert printed == "".join(run.result.printed)


TABLE = ".const .align 8 .b16 table[8] = {65535, 2, 3, 4, 5, 6, 7, 8};"


@pytest.mark.parametrize(
    "load",
    [
        "ld.const.u32 %r7, [table];",
        "ld.const.s16 %r7, [table];",
        "ld.const.u8 %r7, [table+2];",
        "ld.const.v2.u32 {%r7, %r8}, [table+8]; add.u32 %r7, %r7, %r8;",
        "ld.const.u32 %r7, [%rd3];",  # of the block's number
        "mov.u32 %r7, 5; @%p5 ld.const.u32 %r7, [%rd3];",  # in odd blocks only
        "@%p6 ld.const.u32 %r7, [%rd3];",  # by some lanes of a warp
    ],
)
@pytest.mark.parametrize("which", ["ge.u32 %p1, %r1, 7", "eq.u32 %p1, %r1, 3", "lt.u32 %p1, %r1, 64"])
def test_constants_read_by_some_lanes(both, load, which):
    """All that read it get one value, though lane 0 may not be among them."""
    body = f"""
    mov.u64 %rd2, table; and.b32 %r4, %r3, 3; mul.wide.u32 %rd3, %r4, 4; add.s64 %rd3, %rd2, %rd3;
    and.b32 %r5, %r3, 1; setp.eq.u32 %p5, %r5, 1; setp.gt.u32 %p6, %r1, 20;
    mov.u32 %r6, 9; setp.{which}; @!%p1 bra DONE; {load} add.u32 %r6, %r6, %r7; DONE:
    st.global.u32 [%rd1], %r6;"""
    run = both.run_both(both.kernel(body, before=TABLE), "k", 4, 64, [both.array(256)])
    run.check_memory()
    run.check_counters()


@pytest.mark.parametrize("guard", ["", "@%p1 "])
def test_constants_have_bounds_for_some_lanes_too(both, guard):
    body = (
        "setp.gt.u32 %p1, %r1, 20; @!%p1 bra DONE; mov.u64 %rd2, table; " + guard + "ld.const.u32 %r7, [%rd2+16]; DONE:"
    )
    with pytest.raises(KernelFault, match="module's variable 'table'") as caught:
        load_ptx(both.kernel(body, before=TABLE))["k"][1, 32](both.array(32))
    assert caught.value.thread == (21, 0, 0)


def test_a_parameter_indexed_in_divergent_code(both):
    text = both.kernel(
        """
        mov.b64 %rd2, structure; and.b32 %r4, %r3, 3; mul.wide.u32 %rd3, %r4, 4; add.s64 %rd3, %rd2, %rd3;
        mov.u32 %r6, 9; setp.lt.u32 %p1, %r1, 5; @%p1 bra DONE;
        ld.param.u32 %r7, [%rd3]; add.u32 %r6, %r6, %r7; DONE: st.global.u32 [%rd1], %r6;""",
    ).replace(".param .u64 out)", ".param .u64 out, .param .align 8 .b8 structure[16])")
    structure = np.array([3, 1, 4, 5], np.uint32)
    out = both.array(256)
    run = both.run_both(text, "k", 4, 64, [out, structure.tobytes()])
    run.check_memory()
    run.check_counters()
    assert out[:6].tolist() == [9] * 5 + [12]
