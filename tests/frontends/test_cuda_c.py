"""CUDA C++ through NVRTC on the emulator, against PyTorch and NumPy."""

import ctypes
import math

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.errors import CompileError, KernelFault, LaunchError, PtxLinkError

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


DECLARED = r"""
#define DEFINE(NAME, T) __global__ void NAME##_kernel(T* x) { x[threadIdx.x] = 6; }
DEFINE(made, int)
static __global__ void a(int* x) { x[threadIdx.x] = 0; }
void __global__ b(int* x) { x[threadIdx.x] = 1; }
__global__ void __launch_bounds__((128), (2)) c(int* x) { x[threadIdx.x] = 2; }
__global__ __launch_bounds__(sizeof(float) * (32)) void d(int* x) { x[threadIdx.x] = 3; }
namespace outer { namespace inner { __global__ void e(int* x) { x[threadIdx.x] = 4; } } }
extern "C" { __global__ void f(int* x) { x[threadIdx.x] = 5; } }
template <class T, class U = void> __global__ void unused(T* x) {}
#ifdef NOT_DEFINED
__global__ void absent(int* x) {}
#endif
"""


def test_kernels_are_found_however_they_are_declared():
    module = tk.compile_cuda_c(DECLARED)
    for value, name in enumerate(["a", "b", "c", "d", "e", "f", "made_kernel"]):
        x = np.full(32, -1, np.int32)
        module[name][1, 32](x)
        np.testing.assert_array_equal(x, value)
    assert len(list(module)) == 7


def test_whole_numbers_of_128_bits():
    source = "__global__ void f(const long long* x, long long* y) { y[0] = ((__int128)x[0] * x[1]) >> 64; }"
    x, y = np.array([3 << 60, -(5 << 60)]), np.zeros(1, np.int64)
    tk.compile_cuda_c(source)["f"][1, 1](x, y)
    assert y[0] == (int(x[0]) * int(x[1])) >> 64


BY_VALUE = r"""
#include <cuda_fp16.h>
struct Mixed { double d; char c; float v[3]; };
__global__ void vector(float4 v, float* out) { out[0] = v.x + 10 * v.y + 100 * v.z + 1000 * v.w; }
__global__ void narrow(__half v, float* out) { out[0] = __half2float(v); }
__global__ void complex(float2 v, float* out) { out[0] = v.x - v.y; }
__global__ void mixed(Mixed v, float* out) { out[0] = v.d + v.c + v.v[2]; }
struct Only { int n; };
__global__ void only(Only v, float* out) { out[0] = v.n; }
__global__ void whole(int n, float* out) { out[0] = n; }
"""
MIXED = np.dtype({"names": ["d", "c", "v"], "formats": ["f8", "i1", ("f4", 3)], "offsets": [0, 8, 12]}, align=True)


class Vector(ctypes.Structure):
    _fields_ = [(axis, ctypes.c_float) for axis in "xyzw"]


@pytest.mark.parametrize(
    ("kernel", "value", "expected"),
    [
        ("vector", Vector(1, 2, 3, 4), 4321),
        ("vector", np.array([(1, 2, 3, 4)], "f4,f4,f4,f4")[0], 4321),
        ("vector", np.array([1, 2, 3, 4], np.float32).tobytes(), 4321),
        ("narrow", np.float16(1.5), 1.5),
        ("only", np.int32(7), 7),
        ("complex", 3 + 1j, 2),
        ("complex", np.complex64(3 + 1j), 2),
        ("mixed", np.array([(0.5, -3, (1, 2, 9))], MIXED)[0], 6.5),
    ],
)
def test_structures_by_value(kernel, value, expected):
    out = np.zeros(1, np.float32)
    tk.compile_cuda_c(BY_VALUE)[kernel][1, 1](value, out)
    assert out[0] == expected


@pytest.mark.parametrize(
    ("kernel", "value", "message"),
    [
        ("vector", np.ones(4, np.float32), "a structure of 16 bytes, by value, for argument .*NumPy record"),
        ("vector", np.complex64(1), "a structure of 16 bytes, not 8"),
        ("narrow", 1.5, "a structure of 2 bytes"),
        ("whole", 7 / 2, "Expected an integer for argument"),
    ],
)
def test_values_that_do_not_fit_are_refused(kernel, value, message):
    with pytest.raises(LaunchError, match=f"(?s){message}"):
        tk.compile_cuda_c(BY_VALUE)[kernel][1, 1](value, np.zeros(1, np.float32))


def test_launches_that_a_gpu_refuses():
    module = tk.compile_cuda_c("__global__ void __launch_bounds__(64) f(int* x) { x[threadIdx.x] = 1; }")
    x = np.zeros(128, np.int32)
    module["f"][1, (8, 8)](x)
    with pytest.raises(LaunchError, match=r"at most the 64 threads a block .* got \(128, 1, 1\)"):
        module["f"][1, 128](x)
    with pytest.raises(LaunchError, match=r"bytes of shared memory .* got -4"):
        module["f"][1, 64, -4](x)
    with pytest.raises(LaunchError, match="a grid and a block"):
        module["f"](x)


def test_variables_of_the_module():
    source = """
    __constant__ float weights[4] = {1, 2, 3, 4};
    namespace state { __device__ int calls = 5; }
    __global__ void f(float* x) { x[threadIdx.x] = weights[threadIdx.x]; if (!threadIdx.x) state::calls++; }
    """
    module, x = tk.compile_cuda_c(source), np.zeros(4, np.float32)
    module["f"][1, 4](x)
    np.testing.assert_array_equal(x, [1, 2, 3, 4])
    module.get_global("weights").view(np.float32)[:] = [5, 6, 7, 8]
    module["f"][1, 4](x)
    np.testing.assert_array_equal(x, [5, 6, 7, 8])
    assert module.get_global("calls").view(np.int32)[0] == 7
    with pytest.raises(LaunchError, match="'absent'; there is"):
        module.get_global("absent")


def test_options_without_a_list_and_a_program_with_main():
    source = "__global__ void f(int* x) { x[0] = N; }"
    x = np.zeros(1, np.int32)
    tk.compile_cuda_c(source, options="-DN=3")["f"][1, 1](x)
    assert x[0] == 3
    with pytest.raises(CompileError, match="leave out main"):
        tk.compile_cuda_c(source + " int main() { return 0; }", options=["-DN=3"])


class _Matrix(ctypes.Structure):
    """As in the CUDA Programming Guide's matrix product."""

    _fields_ = (("width", ctypes.c_int), ("height", ctypes.c_int), ("elements", ctypes.c_void_p))


MATRICES = """
struct Matrix { int width; int height; float* elements; };
__global__ void product(Matrix a, Matrix b, Matrix c) {
    int row = threadIdx.y, column = threadIdx.x;
    float sum = 0;
    for (int k = 0; k < a.width; ++k) sum += a.elements[row * a.width + k] * b.elements[k * b.width + column];
    c.elements[row * c.width + column] = sum;
}
__global__ void add(float** rows, float* out) { out[threadIdx.x] = rows[0][threadIdx.x] + rows[1][threadIdx.x]; }
"""


def test_arguments_that_hold_addresses():
    module = tk.compile_cuda_c(MATRICES)
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal((8, 8), dtype=np.float32) for _ in range(3))
    of = [_Matrix(8, 8, x.ctypes.data) for x in (a, b, c)]
    with tk.profile() as prof:
        module["product"][1, (8, 8)](*of, memory=[a, b, c])
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-5)
    assert prof.total.global_store_bytes == 4 * 64
    rows, out = np.array([a.ctypes.data, b.ctypes.data]), torch.zeros(64)
    module["add"][1, 64](rows, out, memory=[a, torch.from_numpy(b)])
    np.testing.assert_array_equal(out, (a + b).reshape(-1))


def test_arguments_that_hold_addresses_of_memory_that_is_not_named():
    module = tk.compile_cuda_c(MATRICES)
    a, out = np.zeros(64, np.float32), np.zeros(64, np.float32)
    rows = np.array([a.ctypes.data, a.ctypes.data])
    with pytest.raises(KernelFault, match="memory=") as caught:
        module["add"][1, 64](rows, out)
    assert caught.value.kind == "out-of-bounds access"
    with pytest.raises(LaunchError, match=r"arrays and tensors in memory=.*got int"):
        module["add"][1, 64](rows, out, memory=[3])


@pytest.mark.parametrize("source", [None, b"__global__ void f() {}", 3])
def test_a_source_that_is_no_text(source):
    with pytest.raises(CompileError, match=f"as text, got {type(source).__name__}"):
        tk.compile_cuda_c(source)


def test_the_driver_api_is_named_out_of_habit():
    source = "#include <cuda.h>\n__global__ void f(long* x) { *x = CUDA_VERSION + 1000000L * sizeof(CUtensorMap); }"
    x = np.zeros(1, np.int64)
    tk.compile_cuda_c(source)["f"][1, 1](x)
    assert x[0] // 1000000 == 128
    assert x[0] % 1000000 >= 12000


def test_a_kernel_that_is_only_declared_is_none():
    module = tk.compile_cuda_c("__global__ void elsewhere(int* x); __global__ void here(int* x) { *x = 1; }")
    assert list(module) == ["here"]
    with pytest.raises(LaunchError, match=r"'elsewhere'; there is here\."):
        module["elsewhere"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("uint", r'options=\["-Duint=unsigned int"\]'),
        ("uint16_t", "#include <cstdint>"),
        ("FLT_MAX", "#include <cfloat>"),
        ("M_PI", "#include <cmath>"),
    ],
)
def test_names_that_nvcc_has_without_a_header(name, hint):
    kind, value = ("float", name) if name.isupper() else (name, "1")
    with pytest.raises(CompileError, match=hint):
        tk.compile_cuda_c(f"__global__ void f({kind}* x) {{ *x = {value}; }}")


def test_errors_call_a_kernel_by_its_name_in_the_source():
    kernel = tk.compile_cuda_c(
        "__global__ void twice(int* x, int n) { extern __shared__ int s[]; s[n] = *x; *x = 2 * s[n]; }"
    )["twice"]
    x = np.ones(1, np.int32)
    for arguments, message in (
        ((x,), "2 arguments for kernel 'twice', got 1"),
        ((x, x), "Expected a number for .* of kernel 'twice'"),
    ):
        with pytest.raises(LaunchError, match=message):
            kernel[1, 1](*arguments)
    with pytest.raises(KernelFault, match="has the size that the launch gives"):
        kernel[1, 1](x, 0)


def test_a_function_of_another_translation_unit_is_asked_for():
    source = "extern __device__ int elsewhere(int x);\n__global__ void f(int* x) { *x = elsewhere(*x); }"
    with pytest.raises(PtxLinkError, match=r"body of function '_Z9elsewherei', .*kernel\.cu:2, got its declaration"):
        tk.compile_cuda_c(source)["f"][1, 1](np.zeros(1, np.int32))


@pytest.mark.parametrize(
    ("name", "said"), [("scal<float, 3>", '"scal" is undefined'), ("scale<float>", "which instance"), ("", "expected")]
)
def test_a_wrong_name_to_instantiate_is_shown(name, said):
    with pytest.raises(CompileError) as caught:
        tk.compile_cuda_c(SOURCE, instantiate=["scale<int, 7>", name])
    message = str(caught.value)
    assert said in message
    assert "instantiate: error: " in message
    assert 'instantiate=["scale<float, 4>"]' in message
    assert "__nv_name_map" not in message
