"""What goes wrong in kernels and launches: the message says where, other memory is untouched, the process goes on."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from teachkit.emulator import load_ptx, observe
from teachkit.emulator.engine import launching
from teachkit.errors import KernelFault, LaunchError, UnsupportedInstruction

HEADER = ".version 8.7\n.target sm_80\n.address_size 64\n"


def launch(both, body, *arguments, grid=1, block=32, names=None, variables="", **options):
    """Run statements with the first argument as ``out`` and the others as %rd10, %rd11..."""
    pointers = [f"p{i}" for i in range(len(arguments) - 1)]
    module = load_ptx(both.kernel(body, variables=variables, pointers=pointers))
    return module["k"].launch(grid, block, arguments, argument_names=names, **options)


def words(n):
    """``n`` words that are the whole of their allocation."""
    return np.zeros(n, np.uint32)


STORE = "st.global.u32 [%rd1], %r1;"


def test_out_of_bounds_store(both):
    out, untouched = words(20), words(20)
    with pytest.raises(KernelFault, match="Out-of-bounds store of 4 bytes at byte offset 80 ") as caught:
        launch(both, STORE, out, names=["result"])
    fault = caught.value
    assert (fault.kind, fault.argument, fault.block, fault.thread) == (
        "out-of-bounds access",
        "result",
        (0, 0, 0),
        (20, 0, 0),
    )
    assert "(element 20) of argument 'result', a uint32 array of shape (20,) in an allocation of" in str(fault)
    assert "(and 11 more lanes of its warp)" in str(fault)
    assert "Hint: " in str(fault)
    assert not untouched.any()


def test_a_view_behind_the_beginning_of_its_storage_says_so(both):
    out = torch.zeros(40, dtype=torch.int32)[24:]
    with pytest.raises(
        KernelFault, match=r"at byte offset 64 .* in an allocation of 160 bytes that begins 96 bytes before"
    ):
        launch(both, STORE, out)


def test_the_lanes_in_bounds_did_store_and_nothing_else_changed(both):
    whole = np.full(96, 7, np.uint32)
    out = torch.from_numpy(whole.copy())[:40]  # the storage goes on behind the view, so that writes would show
    storage = torch.empty(40, dtype=torch.int32)
    with pytest.raises(KernelFault):
        launch(both, STORE, storage, block=64)
    assert storage.tolist() == list(range(40))
    launch(both, STORE, out, block=64)
    assert out.tolist() == list(range(40))


@pytest.mark.parametrize("space", ["load", "atomic", "vector"])
def test_out_of_bounds_of_the_second_argument(both, space):
    statement, n_bytes, what = {
        "load": ("ld.global.u32 %r4, [%rd2+8];", 4, "load"),
        "atomic": ("atom.global.add.u32 %r4, [%rd2+8], 1;", 4, "atomic operation"),
        "vector": ("ld.global.v2.u32 {%r4, %r5}, [%rd2+8];", 8, "load"),
    }[space]
    body = f"mad.wide.u32 %rd2, %r1, 8, %rd10; {statement} st.global.u32 [%rd1], %r4;"
    with pytest.raises(KernelFault, match=f"Out-of-bounds {what} of {n_bytes} bytes") as caught:
        launch(both, body, words(32), torch.zeros(32, dtype=torch.int64), names=["out", "x"])
    assert caught.value.argument == "x"
    assert "byte offset 256 (element 32) of argument 'x', an int64 tensor of shape (32,)" in str(caught.value)
    assert caught.value.thread == (31, 0, 0)


def test_an_address_far_off_is_still_the_argument_it_is_computed_from(both):
    x = np.zeros(64, np.uint32)
    neighbour = x[32:]
    with pytest.raises(KernelFault) as caught:
        launch(both, "ld.global.u32 %r4, [%rd10+-100000];", words(32), x[:32], neighbour, names=["out", "x", "y"])
    assert caught.value.argument == "x"
    assert "byte offset -100000 (element -25000)" in str(caught.value)


def test_negative_offsets_and_wrapped_addresses(both):
    for offset in (-4, -128, -(2**31), 2**31 - 1 - 31):
        with pytest.raises(KernelFault):
            launch(both, f"ld.global.u8 %r4, [%rd1+{offset}];", words(32))
    # Addresses that wrap around behind the last byte of memory.
    for address in ("-128", "-4", "-1", "0x7fffffffffffffff"):
        with pytest.raises(KernelFault):
            launch(
                both,
                f"mov.u64 %rd5, {address}; add.s64 %rd5, %rd5, %rd10; ld.global.u8 %r4, [%rd5];",
                words(32),
                None,
            )
        body = f"mov.u64 %rd5, {address}; mad.wide.u32 %rd5, %r1, 4, %rd5; st.global.u8 [%rd5], %r1;"
        with pytest.raises(KernelFault):
            launch(both, body, words(32))


def test_null_pointers(both):
    for shift in (0, 4, -128):
        body = f"mad.wide.u32 %rd2, %r1, 4, %rd10; st.global.u32 [%rd2+{shift}], %r1;"
        with pytest.raises(KernelFault, match="computed from argument 'x', which is None") as caught:
            launch(both, body, words(32), None, names=["out", "x"])
        assert caught.value.argument == "x"
    with pytest.raises(KernelFault, match="a null pointer"):
        launch(both, "mov.u64 %rd5, 0; ld.global.u32 %r4, [%rd5];", words(32))
    with pytest.raises(
        KernelFault, match="argument 'x', a float32 tensor of shape \\(0,\\) in an allocation of 0 bytes"
    ):
        launch(both, "ld.global.u32 %r4, [%rd10];", words(32), torch.zeros(0), names=["out", "x"])


def test_misaligned(both):
    with pytest.raises(KernelFault, match="Misaligned load of 4 bytes at byte offset 2 ") as caught:
        launch(both, "ld.global.u32 %r4, [%rd10+2];", words(32), words(32), names=["out", "x"])
    assert (caught.value.kind, caught.value.argument) == ("misaligned access", "x")
    with pytest.raises(KernelFault, match="Misaligned store of 16 bytes at byte offset 8 "):
        launch(both, "st.global.v4.u32 [%rd10+8], {%r1, %r1, %r1, %r1};", words(32), words(32))
    with pytest.raises(KernelFault, match="Misaligned load of 4 bytes at byte 6 of shared memory"):
        launch(both, "mov.u32 %r4, tile; ld.shared.u32 %r5, [%r4+6];", words(32), variables=".shared .b8 tile[64];")


def test_shared_memory_out_of_bounds(both):
    tile = ".shared .align 16 .b8 tile[64];"
    body = "mov.u32 %r4, tile; mad.lo.u32 %r4, %r1, 4, %r4; st.shared.u32 [%r4], %r1;"
    with pytest.raises(KernelFault, match="store of 4 bytes at byte 64 of shared memory, which has 64 bytes") as caught:
        launch(both, body, words(32), variables=tile)
    assert caught.value.thread == (16, 0, 0)
    for address in (64, 2**31, 2**32 - 4):
        with pytest.raises(KernelFault):
            launch(both, f"mov.u32 %r4, {address}; ld.shared.u32 %r5, [%r4];", words(32), variables=tile)


def test_the_learners_own_line(samples, both, tmp_path):
    source = tmp_path / "mine.py"
    source.write_text("first line\n    out[i] = x[i]  # too far\n")
    text = (
        f'{HEADER}.file 1 "{source}"\n.entry k(.param .u64 out) {{ .reg .b64 %rd<3>; .reg .b32 %r<3>;\n'
        "ld.param.u64 %rd1, [out];\n.loc 1 2 5\nst.global.u32 [%rd1+400], %r1;\nret; }"
    )
    with pytest.raises(KernelFault) as caught:
        load_ptx(text)["k"][1, 32](np.zeros(100, np.uint32))
    assert caught.value.source == f"{source}:2"
    assert f"at {source}:2:  out[i] = x[i]  # too far" in str(caught.value)


def test_a_triton_kernel_without_a_mask_names_its_line(samples):
    sample = next(s for s in samples.TRITON if s.kernel == "vector_add")
    kernel = load_ptx(samples.triton_ptx(sample))["vector_add"]
    x, out = torch.zeros(1500), torch.zeros(1000)
    with pytest.raises(KernelFault) as caught:
        kernel.launch(2, 128, [x, x, out, 1500, None, None], argument_names=["x_ptr", "y_ptr", "out_ptr", "n"])
    assert caught.value.argument == "out_ptr"
    assert caught.value.block == (0, 0, 0)
    assert "triton_kernels.py" in caught.value.source
    assert "tl.store(out_ptr + i" in str(caught.value)


def test_block_and_thread_in_three_dimensions(both):
    body = """
    mov.u32 %r4, %ctaid.z; setp.ne.u32 %p1, %r4, 1; mov.u32 %r4, %ctaid.y; setp.ne.or.u32 %p1, %r4, 2, %p1;
    mov.u32 %r4, %tid.y; setp.ne.or.u32 %p1, %r4, 3, %p1; mov.u32 %r4, %tid.z; setp.ne.or.u32 %p1, %r4, 1, %p1;
    setp.ne.or.u32 %p1, %r1, 2, %p1; setp.ne.or.u32 %p1, %r3, 4, %p1; @!%p1 st.global.u32 [%rd0+4000], %r1;"""
    with pytest.raises(KernelFault) as caught:
        launch(both, body, words(1), grid=(5, 3, 2), block=(4, 4, 4))
    assert (caught.value.block, caught.value.thread) == ((4, 2, 1), (2, 3, 1))


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_the_lowest_faulting_block_is_reported(both, settings, n_threads):
    # Every third block from 7 on fails; lower numbers take longer.
    body = """
    sub.u32 %r4, 400, %r3; LOOP: sub.u32 %r4, %r4, 1; setp.ne.u32 %p1, %r4, 0; @%p1 bra LOOP;
    rem.u32 %r5, %r3, 3; setp.eq.u32 %p2, %r5, 1; setp.ge.and.u32 %p2, %r3, 7, %p2;
    @%p2 st.global.u32 [%rd0+4000], %r1;"""
    settings(n_threads=n_threads)
    for _ in range(5):
        with pytest.raises(KernelFault) as caught:
            launch(both, body, words(1), grid=300)
        assert caught.value.block == (7, 0, 0)


def test_the_process_goes_on(both):
    out = words(64)
    kernel = load_ptx(both.kernel("st.global.u32 [%rd1], %r2;"))["k"]
    for _ in range(3):
        with pytest.raises(KernelFault):
            kernel[3, 32](out)
        out[:] = 0
        launches = []
        with observe(launches.append):
            kernel[2, 32](out)
        assert out.tolist() == list(range(64))
        assert launches[0].counters.global_store_bytes == 256


def test_a_launch_that_failed_is_not_reported(both):
    launches = []
    with observe(launches.append), pytest.raises(KernelFault):
        launch(both, STORE, words(8))
    assert launches == []


def test_deadlock_at_a_barrier(both):
    body = "setp.lt.u32 %p1, %r1, 32; @%p1 bra A; bar.sync 1; bra END; A: bar.sync 2; END:"
    with pytest.raises(KernelFault, match="wait at a barrier that the others never reach") as caught:
        launch(both, body, words(64), grid=3, block=64)
    assert (caught.value.kind, caught.value.block) == ("deadlock", (0, 0, 0))


def test_trap(both):
    with pytest.raises(KernelFault, match="stopped itself") as caught:
        launch(both, "setp.eq.u32 %p1, %r2, 37; @%p1 trap;", words(1), grid=3)
    assert (caught.value.kind, caught.value.block, caught.value.thread) == ("trap", (1, 0, 0), (5, 0, 0))


CALL = """mov.u64 %rd2, {address};
    {{ .param .b32 p0; st.param.b32 [p0], %r1; .param .b32 r0; proto: .callprototype (.param .b32 _) _ (.param .b32 _);
       call (r0), %rd2, (p0), proto; ld.param.b32 %r5, [r0]; }}
    st.global.u32 [%rd1], %r5;"""
ADD_ONE = """.func (.param .b32 result) add_one(.param .b32 a) { .reg .b32 %r<3>; ld.param.b32 %r1, [a];
    add.u32 %r1, %r1, 1; st.param.b32 [result], %r1; ret; }"""


@pytest.mark.parametrize("before", ["", ADD_ONE], ids=["no function", "another function"])
@pytest.mark.parametrize("address", [0, 5])
def test_a_call_through_a_pointer_that_leads_nowhere(both, address, before):
    out = words(32)
    with pytest.raises(KernelFault, match="leads to no function that takes such arguments") as caught:
        load_ptx(both.kernel(CALL.format(address=address), before=before))["k"][1, 32](out)
    assert (caught.value.kind, caught.value.thread) == ("wrong call", (0, 0, 0))
    assert "the pointer is null" in str(caught.value)
    assert not out.any()


def test_some_lanes_call_through_a_pointer_that_leads_nowhere(both):
    body = CALL.format(address="add_one").replace(
        "{ .param", "setp.ge.u32 %p1, %r1, 20; @%p1 add.u64 %rd2, %rd2, 4; { .param"
    )
    out = words(32)
    with pytest.raises(KernelFault, match="leads to no function") as caught:
        load_ptx(both.kernel(body, before=ADD_ONE))["k"][1, 32](out)
    assert caught.value.thread == (20, 0, 0)
    assert "and 11 more lanes" in str(caught.value)


ENDLESS = {  # each loop changes something, else it would be known for what it is
    "every block": "LOOP: red.global.add.u32 [%rd0], 1; bra LOOP;",
    "the last block": "setp.lt.u32 %p1, %r3, 90; @%p1 bra END; mov.u32 %r4, 0; LOOP: add.u32 %r4, %r4, 1; "
    "st.volatile.global.u32 [%rd0], %r4; bra LOOP; END:",
    "one lane": "setp.ne.u32 %p1, %r1, 5; @%p1 bra END; LOOP: st.volatile.global.u32 [%rd0], %r1; bra LOOP; END:",
}


@pytest.mark.parametrize("where", ENDLESS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_endless_loop_ends_at_the_time_limit(both, settings, where, n_threads):
    settings(time_limit_s=0.3, n_threads=n_threads)
    start = time.perf_counter()
    with pytest.raises(KernelFault, match=r"stopped after 0\.3 s") as caught:
        launch(both, ENDLESS[where], words(1), grid=91)
    assert caught.value.kind == "time limit"
    assert time.perf_counter() - start < 20  # compilation and a busy machine included
    settings(time_limit_s=None)
    launch(both, STORE, words(32))


def test_a_long_launch_of_short_blocks_ends_at_the_time_limit_too(both, settings):
    settings(time_limit_s=0.2, n_threads=1)
    with pytest.raises(KernelFault, match=r"stopped after 0\.2 s"):
        launch(both, "st.global.u32 [%rd0], %r1;", words(1), grid=2**31 - 1)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_ctrl_c(both, settings, n_threads):
    settings(n_threads=n_threads)
    # A shell that starts the tests in the background has SIGINT ignored, and Python leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            launch(both, ENDLESS["every block"], words(1), grid=7)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    out = words(32)
    launch(both, STORE, out)
    assert out.tolist() == list(range(32))


def test_a_loop_that_only_a_good_load_would_end(both):
    """The lane at fault reads nothing, so it would go on for ever."""
    body = """
    mov.u64 %rd5, %rd10;
    LOOP: ld.global.u32 %r4, [%rd5]; add.s64 %rd5, %rd5, 4; setp.ne.u32 %p1, %r4, 1; @%p1 bra LOOP;"""
    with pytest.raises(KernelFault, match="Out-of-bounds load"):
        launch(both, body, words(1), words(64), names=["out", "x"])


def test_a_fault_ends_the_wait_of_other_blocks(both, settings, monkeypatch):
    """Block 2 waits for a flag that block 1 would set if it ever came to its end."""
    monkeypatch.setattr(launching, "ALONE_S", 0.0)
    settings(n_threads=2)
    body = """
    setp.eq.u32 %p1, %r3, 0; @%p1 bra END; setp.eq.u32 %p1, %r3, 1; @%p1 bra ONE;
    WAIT: ld.volatile.global.u32 %r4, [%rd10]; setp.eq.u32 %p2, %r4, 0; @%p2 bra WAIT; bra END;
    ONE: st.global.u32 [%rd0+4000], %r1; STAY: bra STAY; END:"""
    with pytest.raises(KernelFault, match="Out-of-bounds store") as caught:
        launch(both, body, words(1), words(1), grid=3)
    assert caught.value.block == (1, 0, 0)


# ------------------------------------------------------------------------------------------- launches that cannot be


def test_too_much_shared_memory(both, settings):
    with pytest.raises(LaunchError, match="at most 166912 bytes of shared memory a block, the limit of A100"):
        launch(both, "", words(1), shared_bytes=166913)
    launch(both, "", words(1), shared_bytes=166912)
    settings(gpu="H100-SXM5-80GB")
    launch(both, "", words(1), shared_bytes=200000)


@pytest.mark.parametrize(
    ("grid", "block", "message"),
    [
        (1, 1025, "0|1 to 1024 for block.x"),
        (1, 0, "1 to 1024 for block.x of kernel 'k', got 0"),
        (1, (1, 1, 65), "1 to 64 for block.z"),
        (1, (32, 33), "at most 1024 threads in a block, got"),
        (-1, 32, "0 to 2147483647 for grid.x"),
        ((1, 65536), 32, "0 to 65535 for grid.y"),
        (1.5, 32, "ints as the grid"),
        ((1, 1, 1, 1), 32, "one to three ints as the grid"),
        ((), 32, "one to three ints as the grid"),
        ("1", 32, "ints as the grid"),
    ],
)
def test_limits_of_grid_and_block(both, grid, block, message):
    with pytest.raises(LaunchError, match=message):
        launch(both, "", words(1), grid=grid, block=block)


def test_the_block_that_was_compiled_for(both):
    kernel = load_ptx(both.kernel("", directives=".reqntid 64, 1, 1"))["k"]
    with pytest.raises(LaunchError, match=r"Expected the block \(64, 1, 1\) .* got \(32, 1, 1\)"):
        kernel[1, 32](words(1))
    kernel[1, 64](words(1))


def test_arguments_that_do_not_fit(both):
    text = HEADER + ".entry k(.param .u64 p, .param .u32 n, .param .f32 f, .param .u8 b) { ret; }"
    kernel, x = load_ptx(text)["k"], torch.zeros(4)
    kernel[1, 32](x, 3, 1.5, True)
    kernel[1, 32](x, np.int32(-3), np.float32(2), np.bool_(False))
    kernel[1, 32](None, 2**32 - 1, 1e300, 255)  # 1e300 is infinity in float32
    with pytest.raises(LaunchError, match=r"Expected 4 arguments for kernel 'k', got 2\.") as caught:
        kernel[1, 32](x, 3)
    assert "p (.u64), n (.u32), f (.f32), b (.u8)" in str(caught.value)
    for arguments, message in (
        ((x, x, 1.0, 1), "Expected a number for argument 'n'"),
        ((x, 2**32, 1.0, 1), "an integer of 32 bits for argument 'n'"),
        ((x, 1, 1.0, 256), "an integer of 8 bits for argument 'b'"),
        ((x, 1, "1.0", 1), "a number for argument 'f'"),
        ((x, 1, 1j, 1), "a number for argument 'f'"),
        (([1, 2], 1, 1.0, 1), "a tensor, an array or a number for argument 'p'"),
        ((object(), 1, 1.0, 1), "a tensor, an array or a number for argument 'p'"),
        ((x.to("meta"), 1, 1.0, 1), "got one on the meta device"),
        ((x.to_sparse(), 1, 1.0, 1), "Expected a dense tensor for 'p', got layout torch.sparse_coo"),
        ((np.array([None]), 1, 1.0, 1), "array of Python objects"),
    ):
        with pytest.raises(LaunchError, match=message):
            kernel[1, 32](*arguments)


def test_the_name_of_a_kernel_and_of_its_dimensions(both):
    module = load_ptx(both.kernel(""))
    with pytest.raises(LaunchError, match="got 'add'; the module has k"):
        module["add"]
    with pytest.raises(LaunchError, match=r"Expected kernel\[grid, block\]"):
        module["k"][32](words(1))
    assert list(module) == ["k"]
    assert repr(module["k"]) == "Kernel(k(.u64 out))"


def test_votes_of_old_gpus_are_refused_with_what_to_use(both):
    with pytest.raises(UnsupportedInstruction, match=r"vote\.all\.pred.*\n.*name the lanes.*__all_sync"):
        launch(both, "setp.eq.u32 %p1, %r1, 0; vote.all.pred %p1, %p1;", words(32))


def test_unsupported_instructions_say_where(both, tmp_path):
    unknown = "tcgen05.shift.cta_group::1.down"
    with pytest.raises(UnsupportedInstruction) as caught:
        launch(both, f"\n{unknown};", words(1))
    assert caught.value.opcode == unknown
    line = both.kernel(f"\n{unknown};", pointers=[]).splitlines().index(f"{unknown};") + 1
    assert caught.value.ptx_line == line
    assert f"got '{unknown}' at PTX line {line}." in str(caught.value)
    with pytest.raises(UnsupportedInstruction, match=r"add\.weird\.s32"):
        launch(both, "add.weird.s32 %r4, %r4, %r4;", words(1))


# ----------------------------------------------------------------------------------------- unusual memory, no memory


def test_empty_launches(both):
    out = words(4)
    for grid in (0, (0, 5), (3, 1, 0)):
        launches = []
        with observe(launches.append):
            launch(both, STORE, out, grid=grid)
        launch(both, STORE, out, grid=grid)
        (only,) = launches
        assert (only.counters.n_launches, only.counters.warp_instructions, only.counters.dram_bytes) == (1, 0, 0)
        assert only.counters.l2_hit_rate is None
        assert sum(c.warp_instructions for c in only.by_line.values()) == 0
    assert not out.any()


def test_tensors_without_elements(both):
    for empty in (torch.zeros(0), torch.zeros(3, 0), np.zeros(0), np.zeros((0, 4))[:, 1:]):
        launches = []
        with observe(launches.append):
            launch(both, "", empty)
            launch(both, "setp.ge.u32 %p1, %r1, 0; @!%p1 st.global.u32 [%rd1], %r1;", empty)
        assert [c.counters.dram_bytes for c in launches] == [0, 0]


def test_views_may_be_left_within_their_allocation(both):
    x = np.arange(64, dtype=np.uint32)
    out = words(32)
    launch(both, "ld.global.u32 %r4, [%rd10+-8]; st.global.u32 [%rd1], %r4;", out, x[2:7])
    assert (out == 0).all()
    for view in (x[::-1], x[::-2], x.reshape(8, 8).T, x.reshape(8, 8)[3:5, 2:4]):
        launch(both, "ld.global.u32 %r4, [%rd10]; st.global.u32 [%rd1], %r4;", out, view)
        assert (out == view.flat[0]).all()
        with pytest.raises(KernelFault):
            launch(both, "ld.global.u32 %r4, [%rd10+256];", out, view)
    t = torch.arange(64, dtype=torch.int32)
    launch(both, "ld.global.u32 %r4, [%rd10+-8]; st.global.u32 [%rd1], %r4;", out, t[2:7].t())
    assert (out == 0).all()


def test_read_only_arrays(both):
    x = np.arange(32, dtype=np.uint32)
    x.flags.writeable = False
    out = words(32)
    launch(both, "mad.wide.u32 %rd2, %r1, 4, %rd10; ld.global.u32 %r4, [%rd2]; st.global.u32 [%rd1], %r4;", out, x)
    assert (out == x).all()
    for body in ("st.global.u32 [%rd10], %r1;", "red.global.add.u32 [%rd10], 1;"):
        with pytest.raises(LaunchError, match="may write for argument 'x', got a read-only uint32 array"):
            launch(both, body, out, x, names=["out", "x"])
    with pytest.raises(LaunchError, match="read-only"):  # where it cannot be told which of the two is written
        launch(both, "setp.lt.u32 %p1, %r1, 8; selp.b64 %rd2, %rd0, %rd10, %p1; st.global.u32 [%rd2], %r1;", out, x)
    assert x.tolist() == list(range(32))


def test_a_read_only_file_in_memory(both, tmp_path):
    file = tmp_path / "data"
    file.write_bytes(bytes(128))
    mapped = np.memmap(file, np.uint32, mode="r")
    launch(both, "ld.global.u32 %r4, [%rd10]; st.global.u32 [%rd1], %r4;", words(32), mapped)
    with pytest.raises(LaunchError, match="read-only"):
        launch(both, STORE, mapped)


def test_arguments_that_share_memory(both):
    x = words(64)
    launch(both, "ld.global.u32 %r4, [%rd10]; add.u32 %r4, %r4, %r1; st.global.u32 [%rd1], %r4;", x[:32], x[32:])
    assert x.tolist() == [*range(32), *[0] * 32]
