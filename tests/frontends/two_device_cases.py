"""What CUDA C++ and Numba kernels do with arrays on a GPU; each case takes ``place``, which puts a tensor there."""

from __future__ import annotations

import functools
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit import cuda
from teachkit.errors import KernelFault, LaunchError
from teachkit.frontends import gpu_launch
from teachkit.frontends.gpu_modules import GpuModules

Place = Callable[[torch.Tensor], torch.Tensor]

SOURCE = r"""
#include <cooperative_groups.h>
struct Pair { double first; int second; };

__global__ void mixed(double *out, signed char a, short b, int c, long long d, float e, double f, Pair g, bool h) {
    out[0] = a; out[1] = b; out[2] = c; out[3] = d; out[4] = e; out[5] = f; out[6] = g.first; out[7] = g.second;
    out[8] = h;
}

__global__ void increase(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] += 1;
}

__global__ void careless(float *x) { x[blockIdx.x * blockDim.x + threadIdx.x] += 1; }

__global__ void turned(float *x, int n) {
    extern __shared__ float tile[];
    for (int i = threadIdx.x; i < n; i += blockDim.x) tile[i] = x[i];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] = tile[n - 1 - i];
}

__global__ void rounds(int *x) {
    x[blockIdx.x + 4] = 10 * x[3 - blockIdx.x];
    cooperative_groups::this_grid().sync();
    x[blockIdx.x] = x[7 - blockIdx.x];
}
"""


@functools.cache
def compiled() -> Any:
    return tk.compile_cuda_c(SOURCE)


@cuda.jit
def doubled(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] *= 2


@cuda.jit
def scaled(x, factor, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = factor * x[i]


def scalars_of_every_kind(place: Place) -> None:
    out = place(torch.zeros(9, dtype=torch.float64))
    pair = struct.pack("<di4x", 2.5, -7)
    values = (-3, np.int16(-300), -70_000, -(2**40), 0.5, np.float64(0.1), pair, True)
    compiled()["mixed"][1, 1](out, *values)
    assert out.tolist() == [-3, -300, -70_000, -(2**40), 0.5, 0.1, 2.5, -7, 1]
    with pytest.raises(LaunchError, match="an integer of 32 bits"):
        compiled()["mixed"][1, 1](out, *values[:2], 2**40, *values[3:])


def grids_of_numpy_numbers_and_of_nothing(place: Place) -> None:
    x = place(torch.zeros(100))
    increase = compiled()["increase"]
    increase[np.int64(2), np.int32(64)](x, 100)
    increase[0, 64](x, 100)
    assert x.eq(1).all()
    with pytest.raises(LaunchError, match=r"Expected 1 to 1024 for block\.x"):
        increase[1, 2000](x, 100)


def launches_are_counted_and_timed(place: Place) -> None:
    x = place(torch.zeros(100))
    with tk.profile() as prof:
        compiled()["increase"][2, 64](x, 100)
        out = place(torch.zeros(100))
        scaled[2, 64](x, 3.0, out)
    assert out.eq(3).all()
    timed = [report for report in prof.kernels if report.seconds is not None]
    assert [report.name for report in timed] == ["increase", "scaled"]
    assert [report.counters.global_store_bytes for report in timed] == [400, 400]
    assert all(0 < (report.seconds or 0) < 1 for report in timed)


def what_is_wrong_is_said_before_the_gpu_does_it(place: Place) -> None:
    room = torch.zeros(256)
    x = place(room[:100].clone())
    with tk.profile(), pytest.raises(KernelFault, match="careless"):
        compiled()["careless"][1, 128](x)
    assert x.eq(0).all()


def more_shared_memory_than_is_given_unasked(place: Place) -> None:
    n = 15_000  # 60 kB; without asking a block gets 48 KiB
    x = place(torch.arange(float(n)))
    compiled()["turned"][1, 256, 4 * n](x, n)
    assert torch.equal(x.cpu(), torch.arange(float(n)).flip(0))


def blocks_that_wait_for_each_other(place: Place) -> None:
    x = place(torch.tensor([1, 2, 3, 4, 0, 0, 0, 0], dtype=torch.int32))
    compiled()["rounds"][4, 1](x)
    assert x.tolist() == [10, 20, 30, 40, 40, 30, 20, 10]


def threads_that_never_called_cuda(place: Place) -> None:
    x = place(torch.zeros(64))
    kernel, failed = compiled()["increase"], []

    def run() -> None:
        try:
            kernel[1, 64](x, 64)
        except Exception as error:
            failed.append(error)

    for _ in range(2):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert not failed
    assert x.eq(2).all()


def arrays_in_two_places(place: Place) -> None:
    x, out = place(torch.ones(4)), place(torch.zeros(4))
    with pytest.raises(LaunchError, match="'scaled' on one device, got cpu and cuda:0"):
        scaled[1, 4](np.ones(4, np.float32), 2.0, out)
    with pytest.raises(LaunchError, match="on one device"):
        scaled[1, 4](x, 2.0, torch.zeros(4))


def checks_and_traces_see_it(place: Place) -> None:
    x, out = place(torch.ones(40)), place(torch.zeros(40))
    with tk.emulator.trace() as traces:
        scaled[2, 32](x, 2.0, out)
    assert traces[0].name == "scaled"
    with tk.emulator.check(init=False) as report:
        scaled[2, 32](x, 4.0, out)
    assert report.n_launches >= 1
    assert out.eq(4).all()


def execute_on_gpu(text: str, n_threads: int, arrays: list[Any], place: Place) -> None:
    """Run the kernel ``row`` of PTX text on copies of arrays of bytes, and bring the bytes back."""
    tensors = [place(torch.from_numpy(array.copy())) for array in arrays]
    major, minor = torch.cuda.get_device_capability(tensors[0].device)
    text = text.replace(".target sm_90", f".target sm_{min(90, 10 * major + minor)}")
    kernel = tk.emulator.load_ptx(text)["row"]
    fixed = {"shared_bytes": 0, "name": "row", "argument_names": None, "timed": False, "modules": GpuModules()}
    gpu_launch.drive(text, "row", kernel, 1, n_threads, tensors, tensors[0].device, **fixed)
    for array, tensor in zip(arrays, tensors, strict=True):
        array[:] = tensor.cpu().numpy()


def an_instruction(place: Place) -> None:
    text = """.version 8.7
.target sm_90
.address_size 64
.visible .entry row(.param .u64 p_z, .param .u64 p_a) {
    .reg .b64 %z, %a;
    .reg .b32 %x;
    ld.param.u64 %z, [p_z];
    ld.param.u64 %a, [p_a];
    ld.global.u32 %x, [%a];
    popc.b32 %x, %x;
    st.global.u32 [%z], %x;
    ret;
}
"""
    result, source = np.zeros(4, np.uint8), np.array([0xFF, 0x0F, 0, 1], np.uint8)
    execute_on_gpu(text, 1, [result, source], place)
    assert result.tolist() == [13, 0, 0, 0]


VARIABLES = """
__constant__ float weights[3];
__device__ int n_calls;
__global__ void blur(const float *x, float *y, int n) {
    int i = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < 3; ++k) if (0 <= i + k - 1 && i + k - 1 < n) sum += weights[k] * x[i + k - 1];
    y[i] = sum;
    if (i == 0) ++n_calls;
}
__global__ void calls(int *out) { *out = n_calls; }
"""


def variables_of_a_module(place: Place) -> None:
    """The host sets constants; kernels of one module see each other's variables, those of another do not."""
    module, other = (tk.compile_cuda_c(VARIABLES) for _ in range(2))
    x, y, out = place(torch.arange(8.0)), place(torch.zeros(8)), place(torch.zeros(1, dtype=torch.int32))
    weights = module.get_global("weights").view(np.float32)
    for values in ([0, 1, 0], [1, 0, 0], [1, 2, 3]):
        weights[:] = values
        module["blur"][1, 8](x, y, 8)
        assert np.allclose(y.cpu().numpy(), np.convolve(np.arange(8.0), values[::-1], "same"))
    module["calls"][1, 1](out)
    assert out.item() == 3
    other["calls"][1, 1](out)
    assert out.item() == 0
    module.get_global("n_calls")
    with pytest.raises(LaunchError, match="module's variable 'n_calls' was asked for"):
        module["blur"][1, 8](x, y, 8)


CASES = [
    variables_of_a_module,
    an_instruction,
    scalars_of_every_kind,
    grids_of_numpy_numbers_and_of_nothing,
    launches_are_counted_and_timed,
    what_is_wrong_is_said_before_the_gpu_does_it,
    more_shared_memory_than_is_given_unasked,
    blocks_that_wait_for_each_other,
    threads_that_never_called_cuda,
    arrays_in_two_places,
    checks_and_traces_see_it,
]
