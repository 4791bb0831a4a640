"""What each option of ``check`` turns on and off, what a report says, and what checking leaves as it is."""

import threading

import numpy as np
import pytest
import torch

from teachkit.emulator import check, load_ptx, observe
from teachkit.emulator.checks.watch import merged
from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.ptx import parse
from teachkit.errors import KernelCheckError, KernelFault

PTX = """.version 8.7
.target sm_80
.address_size 64
.visible .entry k(.param .u64 x, .param .u64 out) {
.reg .b32 %r<9>; .reg .b64 %rd<9>; .shared .align 16 .b8 tile[128];
ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd3, %rd0, %rd2; add.s64 %rd4, %rd1, %rd2; mov.u32 %r2, tile; mad.lo.u32 %r3, %r1, 4, %r2;
BODY
ret; }
"""
COPY = "ld.global.u32 %r4, [%rd3]; st.global.u32 [%rd4], %r4;"
TILE = "st.shared.u32 [%r3], %r1; ld.shared.u32 %r4, [%r2+4]; st.global.u32 [%rd4], %r4;"
UNWRITTEN = "ld.shared.u32 %r4, [%r3]; st.global.u32 [%rd4], %r4;"


def kernel(body):
    return load_ptx(PTX.replace("BODY", body))["k"]


def words(n):
    return torch.zeros(n, dtype=torch.int32)


def findings(body, *arguments, block=32, **options):
    with check(raises=False, **options) as report:
        kernel(body)[1, block](*arguments)
    return [(f.kind, f.what) for f in report.findings]


def test_without_line_information_the_ptx_line_is_named():
    with check(raises=False) as report:
        kernel(TILE)[1, 32](words(32), words(32))
    (finding,) = report.findings
    assert (finding.kind, finding.what, finding.line, finding.thread.ptx_line) == ("race", "read after write", None, 8)
    assert (finding.thread.thread, finding.other.thread) == ((0, 0, 0), (1, 0, 0))
    assert "at PTX line 8" in str(report)


def test_each_check_alone():
    assert findings(TILE, words(32), words(32), race=False) == []
    assert findings(UNWRITTEN, words(32), words(32), init=False) == []
    assert findings(UNWRITTEN, words(32), words(32)) == [("init", "uninitialised read")]
    assert findings(COPY, words(32), words(20), race=False, init=False, sync=False) == [("memory", "out of bounds")]
    shuffle = "shfl.sync.bfly.b32 %r4, %r1, 1, 31, 0xF; st.global.u32 [%rd4], %r4;"
    assert findings(shuffle, words(32), words(32)) == [("sync", "unnamed lane")]
    assert findings(shuffle, words(32), words(32), sync=False) == []
    mma = "setp.lt.u32 %p1, %r1, 16; @%p1 bra A; bra B; A: movmatrix.sync.aligned.m8n8.trans.b16 %r4, %r1; B:"
    mma = ".reg .pred %p<2>; " + mma
    assert findings(mma, words(32), words(32)) == [("sync", "lanes off")]


def test_without_the_memory_check_a_fault_ends_the_launch_as_always():
    with check(memory=False), pytest.raises(KernelFault, match="Out-of-bounds store"):
        kernel(COPY)[1, 32](words(32), words(20))


def test_an_access_out_of_bounds_is_left_out_and_the_launch_goes_on():
    x, out = words(32) + 7, torch.zeros(40, dtype=torch.int32)
    storage = torch.zeros(24, dtype=torch.int32)
    with check(raises=False) as report:
        kernel(COPY)[1, 32](x, storage)
        kernel(COPY)[1, 32](x, out)
    assert storage.tolist() == [7] * 24
    assert out.tolist() == [7] * 32 + [0] * 8
    assert [f.count for f in report.findings] == [1]
    assert (report.findings[0].argument, report.findings[0].element) == ("out", 24)


def test_views():
    whole = words(64)
    assert findings(COPY, words(32), whole[:20]) == []
    with check(raises=False, views=True) as report:
        kernel(COPY)[1, 32](words(32), whole[:20])
    (finding,) = report.findings
    assert (finding.what, finding.element) == ("outside the view", 20)
    assert not whole[20:].any()
    assert findings(COPY, words(32), whole[::2], views=True) == []
    assert findings(COPY, np.zeros(32, np.int32), np.zeros(64, np.int32)[8:36], views=True) == [
        ("memory", "outside the view")
    ]


def test_a_storage_that_was_freed():
    gone = words(32)
    gone.untyped_storage().resize_(0)
    with check(raises=False) as report:
        kernel(COPY)[1, 32](gone, words(32))
    assert "without memory (freed, or empty)" in str(report)


def test_unwritten_tensors():
    load = "ld.global.u32 %r4, [%rd3]; st.global.u32 [%rd4], %r4;"
    with check(raises=False) as report:
        fresh, out = torch.empty(32, dtype=torch.int32), torch.empty(32, dtype=torch.int32)
        kernel(load)[1, 16](words(32), fresh)  # writes the first half
        kernel(load)[1, 16](fresh, out)
        assert report.is_clean
        kernel(load)[1, 32](fresh, out)
        assert [(f.kind, f.argument, f.element, f.thread.thread[0]) for f in report.findings] == [("init", "x", 16, 16)]
        for make in (torch.empty_like, lambda x: x.new_empty(32), lambda x: torch.empty_strided((32,), (1,)).int()):
            filled = make(out)
            filled.fill_(3)
            kernel(load)[1, 32](filled, out)
    assert len(report.findings) == 1
    assert findings(load, words(32), words(32)) == []


def test_buffers_that_are_named_unwritten():
    buffer = np.zeros(64, np.int32)
    with check(raises=False, uninitialised=[buffer[:16]]) as report:
        kernel(COPY)[1, 32](buffer, words(32))
    assert [(f.argument, f.element, f.thread.thread[0]) for f in report.findings] == [("x", 0, 0)]
    assert report.n_occurrences == 16


def test_a_report():
    with check(raises=False) as report:
        kernel(TILE)[1, 32](words(32), words(32))
        kernel(UNWRITTEN)[2, 32](words(32), words(32))
    assert str(report).startswith("2 launches checked: 2 findings (1 race, 1 init), ")
    assert [f.kind for f in report.of_kind("init")] == ["init"]
    shown = report._repr_html_()
    assert shown.count("<tr>") == 3
    assert "block (0, 0, 0), thread (1, 0, 0), store at PTX line 8" in shown
    assert not report.is_clean
    with check(race=False) as clean:
        kernel(COPY)[1, 32](words(32), words(32))
    assert str(clean) == "1 launch checked for memory, init, sync: nothing found"
    assert "<table>" not in clean._repr_html_()


def test_html_is_escaped():
    module = load_ptx(PTX.replace("BODY", TILE))
    with check(raises=False) as report:
        module["k"].launch(1, 32, [words(32), words(32)], name="<b>k</b>")
    assert "<b>k" not in report._repr_html_()
    assert "&lt;b&gt;k" in report._repr_html_()


def test_a_check_that_is_over_checks_nothing_and_the_innermost_counts():
    with check() as outer:
        with check(raises=False) as inner:
            kernel(TILE)[1, 32](words(32), words(32))
        kernel(COPY)[1, 32](words(32), words(32))
    kernel(TILE)[1, 32](words(32), words(32))
    assert (outer.n_launches, inner.n_launches) == (1, 1)
    assert len(inner.findings) == 1


def test_launches_of_other_threads_are_checked():
    errors = []

    def launch():
        try:
            kernel(TILE)[1, 32](words(32), words(32))
        except KernelCheckError as error:
            errors.append(error)

    with check() as report:
        threads = [threading.Thread(target=launch) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(errors), report.n_launches) == (3, 3)


def test_counters_are_the_same(samples, triton_arguments):
    sample = next(s for s in samples.TRITON if s.kernel == "matmul")
    grid, arguments = triton_arguments["matmul"](sample.types, sample.constants)
    launches, results = [], []
    for checked in (False, True):
        module = load_ptx(samples.triton_ptx(sample))
        values = [value.clone() if isinstance(value, torch.Tensor) else value for value in arguments]
        hidden = [None] * (len(module["matmul"].function.params) - len(values))
        with observe(launches.append), check() if checked else observe(lambda launch: None):
            shared_bytes = samples.triton_shared_bytes(sample)
            module["matmul"].launch(grid, 128, [*values, *hidden], shared_bytes=shared_bytes)
        results.append(values[2])
    plain, checked = (launch.counters for launch in launches)
    for name in (
        "global_load_sectors",
        "shared_load_wavefronts",
        "warp_instructions",
        "thread_instructions",
        "barriers",
    ):
        assert getattr(plain, name) == getattr(checked, name), name
    assert torch.equal(*results)


def test_a_kernel_that_is_not_checked_has_nothing_of_the_monitor():
    module = parse(PTX.replace("BODY", TILE))
    assert "check" not in translate(module, module.functions["k"], Mode()).text
    assert "tk_check_access" in translate(module, module.functions["k"], Mode(checked=True)).text


def test_allocations_are_followed_once():
    assert merged([(0, 0), (100, 200), (150, 250), (250, 300), (100, 120)]) == [(100, 250), (250, 300)]


def test_many_blocks_and_a_lock_of_each():
    """Releases pile up: every block goes through a release of its own and of all the blocks before it."""
    body = """.reg .pred %p<2>; .reg .b32 %c<3>; mov.u32 %c1, %ctaid.x; setp.ne.u32 %p1, %r1, 0;
    LOCK: @!%p1 atom.global.acquire.gpu.cas.b32 %r5, [%rd0], 0, 1;
    ld.global.u32 %r4, [%rd4+4]; add.u32 %r4, %r4, 1; st.global.u32 [%rd4+4], %r4;
    bar.sync 0; @!%p1 atom.global.release.gpu.exch.b32 %r5, [%rd0], 0;"""
    out = words(33)
    with check() as report:
        kernel(body.replace("LOCK:", "bar.sync 0;").replace("ld.global.u32 %r4", "bar.sync 0; ld.global.u32 %r4"))[
            500, 32
        ](words(1), out)
    assert report.is_clean
    assert out.tolist() == [0] + [500] * 32
