"""CUDA C++ through NVRTC on the emulator, against PyTorch and NumPy."""

import math

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.errors import CompileError, LaunchError

SOURCE = r"""
__global__ void gelu(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float v = x[i];
        y[i] = 0.5f * v * (1.0f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v)));
    }
}

extern "C" __global__ void __launch_bounds__(256) reverse(const double* x, double* y, int n) {
    extern __shared__ double tile[];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[n - 1 - threadIdx.x];
}

template <typename T, int FACTOR> __global__ void scale(T* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= FACTOR;
}

__global__ void transpose(const float* x, float* y, int rows, int cols) {
    __shared__ float tile[16][17];
    int c = blockIdx.x * 16 + threadIdx.x, r = blockIdx.y * 16 + threadIdx.y;
    if (r < rows && c < cols) tile[threadIdx.y][threadIdx.x] = x[r * cols + c];
    __syncthreads();
    c = blockIdx.y * 16 + threadIdx.x, r = blockIdx.x * 16 + threadIdx.y;
    if (r < cols && c < rows) y[r * rows + c] = tile[threadIdx.x][threadIdx.y];
}
"""


@pytest.fixture(scope="module")
def module():
    return tk.compile_cuda_c(SOURCE, instantiate=["scale<float, 3>", "scale<int, 7>"])


@pytest.mark.parametrize("n", [1, 255, 256, 257, 10_007])
def test_gelu_equals_pytorch_in_one_pass(module, n):
    x, y = torch.randn(n, generator=torch.Generator().manual_seed(n)), torch.full((n,), math.nan)
    with tk.profile() as prof:
        module["gelu"][(n + 255) // 256, 256](x, y, n)
    torch.testing.assert_close(y, torch.nn.functional.gelu(x, approximate="tanh"), rtol=1e-5, atol=1e-6)
    assert prof.n_launches == 1
    assert prof.total.global_load_bytes + prof.total.global_store_bytes == 8 * n


def test_dynamic_shared_memory_and_numpy_arrays(module):
    x, y = np.arange(200, dtype=np.float64), np.zeros(200)
    module["reverse"].launch(1, 200, (x, y, 200), shared_bytes=200 * 8)
    np.testing.assert_array_equal(y, x[::-1])
    y[:] = 0
    module["reverse"][1, 200, 200 * 8](x, y, 200)
    np.testing.assert_array_equal(y, x[::-1])


def test_templates_are_found_by_their_source_name(module):
    floats, ints = torch.ones(100), torch.ones(100, dtype=torch.int32)
    module["scale<float, 3>"][4, 32](floats, 100)
    module["scale<int, 7>"][4, 32](ints, 100)
    assert floats.eq(3).all()
    assert ints.eq(7).all()


@pytest.mark.parametrize("shape", [(16, 16), (33, 70), (1, 100)])
def test_two_dimensional_blocks(module, shape):
    rows, cols = shape
    x, y = torch.randn(shape), torch.zeros(cols, rows)
    module["transpose"][((cols + 15) // 16, (rows + 15) // 16), (16, 16)](x, y, rows, cols)
    assert torch.equal(y, x.t())


def test_a_compile_error_shows_line_and_caret():
    with pytest.raises(CompileError, match=r'kernel.cu\(2\): error: identifier "y" is undefined') as error:
        tk.compile_cuda_c("__global__ void f(float* x) {\n    x[0] = y;\n}")
    assert "^" in str(error.value)


def test_an_unknown_kernel_lists_what_is_there(module):
    with pytest.raises(LaunchError, match=r"got 'gleu'; there is .*gelu"):
        module["gleu"]


def test_out_of_bounds_names_the_source_line(module):
    from teachkit.errors import KernelFault

    with pytest.raises(KernelFault, match=r"(?s)Out-of-bounds load of 4 bytes.*kernel.cu:5"):
        module["gelu"][1, 256](torch.zeros(100), torch.zeros(256), 256)


def test_names_that_say_too_little():
    """Kernels in a namespace, and one that is called like a function of CUDA's own."""
    module = tk.compile_cuda_c(
        "namespace mine { __global__ void fill(int* x) { x[threadIdx.x] = 7; } }\n"
        "__global__ void all(int* x) { x[threadIdx.x] = 8; }\n"
        "namespace a { __global__ void twice(int*) {} } namespace b { __global__ void twice(int*) {} }"
    )
    x = torch.zeros(32, dtype=torch.int32)
    for name, value in (("fill", 7), ("all", 8)):
        module[name][1, 32](x)
        assert x.eq(value).all()
    with pytest.raises(LaunchError, match="twice"):
        module["twice"]
    assert len(module) == 4
