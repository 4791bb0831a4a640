"""The logic of timing on a GPU and counting on the emulator; the emulator plays the GPU, a stand-in the events."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from teachkit import emulator
from teachkit.emulator import launches, observe
from teachkit.errors import KernelFault
from teachkit.frontends.triton_hardware import cpu_copies, observe_hardware
from tests.frontends.triton_kernels import add_kernel


class FakeCuda:
    """Events that are 2 ms apart, and a record of what was called in which order."""

    def __init__(self):
        self.calls = calls = []

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing

            def record(self):
                calls.append("record")

            def synchronize(self):
                calls.append("synchronize")

            def elapsed_time(self, end):
                assert calls[-1] == "synchronize"
                return 2.0

        self.Event = Event

    def _sleep(self, cycles):
        self.calls.append("sleep")


@triton.jit
def increment_kernel(x_ptr, n_elements, step=1.0, BLOCK: tl.constexpr = 64):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n_elements
    tl.store(x_ptr + offsets, tl.load(x_ptr + offsets, mask=mask) + step, mask=mask)


@pytest.mark.parametrize("counters", [True, False])
def test_launch_is_timed_and_counted(counters):
    fake, seen, shown_to_others = FakeCuda(), [], []
    x = torch.zeros(1000)
    with observe(shown_to_others.append), observe_hardware(seen.append, counters=counters, timer=fake):
        increment_kernel[lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)](x, 1000, step=3.0, num_warps=2)
    assert x.eq(3.0).all()  # once: the emulator counted on a copy
    (launch,) = seen
    assert (launch.name, launch.grid, launch.block) == ("increment_kernel", (16, 1, 1), (64, 1, 1))
    assert launch.seconds == 0.002
    assert launch.counters.n_launches == 1
    assert launch.counters.global_load_bytes == (4000 if counters else 0)
    assert fake.calls == ["sleep", "record", "record", "synchronize"]
    assert len(shown_to_others) == 1  # the launch that plays the GPU's; the counting one is nobody's business


def test_copies_are_taken_before_the_launch():
    x = torch.arange(64.0)
    with observe_hardware(lambda launch: None, timer=FakeCuda()):
        for _ in range(3):
            increment_kernel[(1,)](x, 64)
    assert torch.equal(x, torch.arange(64.0) + 3)


def test_what_is_wrong_is_said_before_the_gpu_does_it():
    fake, x = FakeCuda(), torch.zeros(100)
    with observe_hardware(lambda launch: None, timer=fake), pytest.raises(KernelFault):
        increment_kernel[(2,)](x[:50].clone(), 100)  # believes that there are 100
    assert fake.calls == []  # nothing was launched, so nothing was timed


def test_several_watchers_are_shown_one_launch():
    fake, outer, inner, uncounted = FakeCuda(), [], [], []
    x = torch.zeros(64)
    with observe_hardware(outer.append, timer=fake), observe_hardware(uncounted.append, counters=False, timer=fake):
        with observe_hardware(inner.append, timer=fake):
            increment_kernel[(1,)](x, 64)
        increment_kernel[(1,)](x, 64)
    assert fake.calls == 2 * ["sleep", "record", "record", "synchronize"]
    assert outer[:1] == inner
    assert [launch.counters.global_load_bytes for launch in (*outer, *uncounted)] == [
        512,
        512,
        0,
        0,
    ]  # 128 threads for 64 elements
    assert [launch.seconds for launch in (*outer, *uncounted)] == 4 * [0.002]
    assert x.eq(2).all()


def test_an_empty_grid_launches_nothing():
    seen, x = [], torch.zeros(64)
    with observe_hardware(seen.append, timer=FakeCuda()), observe_hardware(seen.append, counters=False):
        increment_kernel[(0,)](x, 64)
    assert seen == []
    assert x.eq(0).all()


@pytest.mark.parametrize("where", ["the emulator plays the GPU", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_checks_and_traces_see_what_runs_on_the_gpu(where, monkeypatch):
    x = torch.zeros(64)
    if where == "cuda":
        x = x.cuda()
    else:
        # The driver was chosen when the kernel was first launched; from now on there seems to be a GPU.
        increment_kernel[(1,)](x, 64)
        x.zero_()
        monkeypatch.setattr("teachkit.frontends.triton_hardware.uses_cuda", lambda: True)
        fake = FakeCuda()
        monkeypatch.setattr(torch.cuda, "Event", fake.Event)
        monkeypatch.setattr(torch.cuda, "_sleep", fake._sleep)
    assert launches.on_hardware
    with emulator.trace() as traces:
        increment_kernel[(1,)](x, 64)
    assert {trace.name for trace in traces} == {"increment_kernel"}
    with emulator.check(init=False) as report:
        increment_kernel[(1,)](x, 64)
    assert report.n_launches == (
        1 if where == "cuda" else 2
    )  # the emulator also checks the launch that plays the GPU's
    assert x.eq(2).all()


def test_afterwards_nothing_is_watched():
    seen = []
    before = triton.runtime.jit.JITFunction.run
    with observe_hardware(seen.append, timer=FakeCuda()):
        assert triton.runtime.jit.JITFunction.run is not before
    increment_kernel[(1,)](torch.zeros(64), 64)
    assert seen == []
    assert triton.runtime.jit.JITFunction.run is before


def test_only_the_tuned_launch_is_shown():
    configs = [triton.Config({"BLOCK_SIZE": size}) for size in (64, 128, 256)]
    tuned = triton.autotune(configs, key=["n_elements"])(add_kernel)
    seen = []
    x, out = torch.ones(500), torch.empty(500)
    with observe_hardware(seen.append, timer=FakeCuda()):
        tuned[lambda meta: (triton.cdiv(500, meta["BLOCK_SIZE"]),)](x, x, out, 500)
        add_kernel.warmup(x, x, out, 500, BLOCK_SIZE=64, grid=(1,))
    assert len(seen) == 1
    assert out.eq(2).all()


def test_copies_share_storage_as_the_originals_do():
    x = torch.arange(20.0)
    view, other = x[4:].view(4, 4).t(), torch.ones(3)
    copies = cpu_copies((x, view, other, 5, None, (x, 7)))
    assert torch.equal(copies[0], x)
    assert (copies[1].stride(), copies[1].storage_offset()) == (view.stride(), 4)
    copies[0][4] = -1.0
    assert copies[1][0, 0] == -1.0
    assert copies[5][0][4] == -1.0
    assert x[4] == 4.0
    assert copies[2].data_ptr() != other.data_ptr()
    assert copies[3:5] == (5, None)


def test_copies_are_not_operators_of_the_program():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append(str(func))
            return func(*args, **(kwargs or {}))

    names = []
    x = torch.ones(8)
    with Recorder():
        cpu_copies((x, x[2:]))
    assert names in ([], ["aten.slice.Tensor"])
