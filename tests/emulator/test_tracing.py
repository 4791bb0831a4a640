"""Traces: the steps are those that the counters count, and addresses are the arguments'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from teachkit import emulator
from teachkit.emulator import Step, Trace, load_ptx
from teachkit.errors import KernelFault, TraceError
from teachkit.frontends.cuda_c import compile_cuda_c

SOURCE = r"""
__global__ void add(const float *x, const float *y, float *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
__global__ void two_ways(const float *x, float *out, int n_rounds) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float v = x[i];
    if (i % 2 == 0) { for (int k = 0; k < n_rounds; ++k) v = v * v; }
    else { for (int k = 0; k < n_rounds; ++k) v = sqrtf(v); }
    out[i] = v;
}
__global__ void count(int *bins, const int *x, int safe) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (safe) atomicAdd(&bins[x[i]], 1);
    else bins[x[i]] += 1;
}
"""


@pytest.fixture(scope="module")
def kernels():
    return compile_cuda_c(SOURCE)


def traced(kernel, grid, block, *args) -> tuple[Trace, emulator.Counters]:
    launches: list[emulator.Launch] = []
    with emulator.observe(launches.append), emulator.trace() as traces:
        kernel[grid, block](*args)
    (trace,), (launch,) = traces, launches
    return trace, launch.counters


@pytest.mark.parametrize(("n", "block"), [(1, 32), (33, 32), (100, 48), (128, 64), (130, 96)])
def test_the_steps_are_what_the_engine_counts(kernels, n: int, block: int) -> None:
    x, y, out = torch.randn(n), torch.randn(n), torch.empty(n)
    trace, counters = traced(kernels["add"], -(-n // block), block, x, y, out, n)
    assert torch.equal(out, x + y)
    assert len(trace.steps) == counters.warp_instructions
    assert sum(step.n_on for step in trace.steps) == counters.thread_instructions
    touches = [touch for step in trace.steps for touch in step.touches]
    assert sum(len(t.lanes) * t.n_bytes for t in touches if t.kind == "load") == counters.global_load_bytes == 8 * n
    assert sum(t.kind == "store" for t in touches) == counters.global_store_requests


def test_each_element_has_its_thread(kernels) -> None:
    n, block = 100, 48
    trace, _ = traced(kernels["add"], 3, block, torch.ones(n), torch.ones(n), torch.empty(n), n)
    assert list(trace.sizes.values()) == [n, n, n]
    out = list(trace.sizes)[2]
    assert sorted(trace.touched(out)) == [(i, i // block, i % block) for i in range(n)]
    assert list(trace.touched(out, "load")) == []
    assert (trace.n_blocks, trace.n_threads, trace.n_warps) == (3, 48, 2)


def test_lanes_of_a_divergent_warp_come_back_together(kernels) -> None:
    n_rounds = 3
    trace, counters = traced(kernels["two_ways"], 1, 32, torch.rand(32), torch.empty(32), n_rounds)
    lanes = trace.lanes()
    assert lanes.shape == (len(trace.of_warp()), 32)
    even = np.arange(32) % 2 == 0
    apart = [step for step, row in zip(trace.of_warp(), lanes, strict=True) if 0 < row.sum() < 32]
    masks = {step.at_work for step in apart}
    assert masks == {int((even << np.arange(32)).sum()), int((~even).astype(int) @ (1 << np.arange(32)))}
    assert lanes[0].all()
    assert lanes[-1].all()
    assert counters.divergent_branches == 1


def test_what_a_thread_reads_is_said_in_elements_of_a_view(kernels) -> None:
    trace, _ = traced(kernels["add"], 1, 32, torch.arange(64.0)[32:], torch.ones(32), torch.empty(32), 32)
    first, second, _ = trace.sizes
    assert trace.sizes[first] == 64  # the allocation behind the view
    assert [element for element, _, _ in trace.touched(first, "load")] == list(range(32))
    assert [element for element, _, _ in trace.touched(second, "load")] == list(range(32))


def test_arguments_that_share_memory_share_the_copy() -> None:
    ptx = compile_cuda_c(
        "__global__ void chain(float *a, float *b) { a[threadIdx.x] = 1; b[threadIdx.x + 32] = a[threadIdx.x] + 1; }"
    ).ptx
    (kernel,) = load_ptx(ptx).values()
    memory = np.zeros(64, np.float32)
    with emulator.trace() as traces:
        kernel[1, 32](memory, memory)
    assert memory.tolist() == [1.0] * 32 + [2.0] * 32
    assert len(traces) == 1


@triton.jit
def copy_kernel(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    tl.store(y_ptr + offsets, tl.load(x_ptr + offsets, mask=offsets < n_elements), mask=offsets < n_elements)


def test_triton_kernels_are_traced_by_their_arguments_names() -> None:
    n = 500
    with emulator.trace() as traces:
        copy_kernel[(2,)](torch.rand(n), torch.empty(n), n, BLOCK_SIZE=256)
    (trace,) = traces
    assert trace.sizes == {"x_ptr": n, "y_ptr": n}
    assert sorted(element for element, _, _ in trace.touched("y_ptr")) == list(range(n))
    assert {block for element, block, _ in trace.touched("y_ptr") if element < 256} == {0}


def test_the_launch_itself_runs_once(kernels) -> None:
    bins, x = torch.zeros(4, dtype=torch.int32), torch.zeros(32, dtype=torch.int32)
    traced(kernels["count"], 1, 32, bins, x, 1)
    assert bins.tolist() == [32, 0, 0, 0]


def test_a_trace_of_a_faulty_launch_is_kept(kernels) -> None:
    with emulator.trace() as traces, pytest.raises(KernelFault):
        kernels["add"][1, 64](torch.ones(40), torch.ones(40), torch.empty(40), 64)
    assert len(traces) == 1


def test_nothing_is_recorded_outside(kernels) -> None:
    with emulator.trace() as traces:
        pass
    kernels["count"][1, 32](torch.zeros(4, dtype=torch.int32), torch.zeros(32, dtype=torch.int32), 1)
    assert traces == []


def test_a_long_launch_is_refused(kernels) -> None:
    with pytest.raises(TraceError, match="at most 50 steps"), emulator.trace(max_steps=50):
        kernels["add"][4, 32](torch.ones(128), torch.ones(128), torch.empty(128), 128)


def test_a_step_says_which_lanes_took_effect() -> None:
    step = Step(0, 0, 0b1111, 0b0011, "st.global.b32", 1, None)
    assert (step.n_on, step.at_work) == (2, 0b0011)
    branch = Step(0, 0, 0b1111, 0b0011, "bra", 1, None)
    assert branch.at_work == 0b1111
