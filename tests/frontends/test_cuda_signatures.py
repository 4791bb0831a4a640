"""What a launch knows of a CUDA C++ kernel's parameters by its source, and the arrays that it refuses for that."""

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.errors import LaunchError
from teachkit.frontends.cuda_signatures import kernels_in

SOURCE = r"""
#include <cuda_fp16.h>
// __global__ void gone(float* x) {}
extern "C" __global__ void add(const float* __restrict__ x, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + 1;
}
__global__ void __launch_bounds__(128) count(const int x[], unsigned long long *total) { *total = x[0]; }
__global__ void halves(const __half* x, double* const out) { *out = __half2float(x[0]); }
__global__ void words(const unsigned* x, unsigned int* out) { *out = *x; }
struct Pair { float a, b; };
__global__ void others(const float4* x, Pair* p, char* c, void* v, float** table, float by_value) { *c = 1; }
template <typename T> __global__ void templated(T* x) { *x = 1; }
"""


@pytest.fixture(scope="module")
def module():
    return tk.compile_cuda_c(SOURCE)


def test_parameters_are_read_where_they_are_plain():
    found = {name: [(p.name, p.kind, p.n_bytes) for p in parameters] for name, parameters in kernels_in(SOURCE).items()}
    assert found == {
        "add": [("x", "f", 4), ("out", "f", 4), ("n", "", 0)],
        "count": [("x", "i", 4), ("total", "i", 8)],
        "halves": [("x", "f", 2), ("out", "f", 8)],
        "words": [("x", "i", 4), ("out", "i", 4)],
        "others": [("x", "", 0), ("p", "", 0), ("c", "", 0), ("v", "", 0), ("table", "", 0), ("by_value", "", 0)],
    }


@pytest.mark.parametrize(
    "source",
    [
        "__global__ void f(void (*g)(int), float* x) {}",
        "__global__ void f(Box<float> b) {}",
        "__global__ void f(\n#ifdef A\nfloat* x\n#else\ndouble* x\n#endif\n) {}",
        "__global__ void f(float* x) {} __global__ void f(double* x) {}",
        "__global__ void f() {}",
    ],
)
def test_what_is_not_plain_is_left_open(source):
    assert kernels_in(source) == {"f": ()}


@pytest.mark.parametrize(
    ("kernel", "args", "expected", "hint"),
    [
        ("add", (np.zeros(8), np.zeros(8, "f4"), 8),
         "Expected a float32 array for 'const float* __restrict__ x' of kernel 'add', got a float64 array of shape",
         "x.astype(np.float32)"),
        ("add", (np.arange(8), np.zeros(8, "f4"), 8), "got an int64 array of shape (8,).", "x.astype(np.float32)"),
        ("add", (torch.zeros(8), torch.zeros(8).half(), 8),
         "Expected a float32 array for 'float* out' of kernel 'add', got a float16 tensor of shape (8,).",
         "out.to(torch.float32)"),
        ("count", (torch.arange(8), torch.zeros(1, dtype=torch.int64)),
         "Expected an int32 array for 'const int x[]' of kernel 'count', got an int64 tensor", "x.to(torch.int32)"),
        ("count", (np.zeros(8, "i4"), np.zeros(1, "i4")), "an int64 array for 'unsigned long long *total'", ""),
        ("halves", (torch.zeros(8), torch.zeros(1).double()), "Expected a float16 array for 'const __half* x'", ""),
        ("add", (np.zeros(8, "f4"), 8), "Expected 3 arguments for kernel 'add', got 2.",
         "it takes const float* __restrict__ x, float* out, int n."),
    ],
)  # fmt: skip
def test_arrays_of_other_numbers_are_refused(module, kernel, args, expected, hint):
    with pytest.raises(LaunchError) as caught:
        module[kernel][1, 8](*args)
    assert expected in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "x",
    [
        np.arange(4, dtype="u4"),
        np.arange(4, dtype="i4"),
        np.arange(4, dtype="f4"),
        np.arange(4, dtype="f2"),
        np.arange(16, dtype="u1"),
        torch.arange(8).half(),
        np.arange(4, dtype="c8"),
        None,
    ],
    ids=lambda x: str(getattr(x, "dtype", x)),
)
def test_bytes_that_are_taken_for_something_else_are_not(module, x):
    out = np.zeros(1, "u4")
    if x is None:
        module["others"][1, 1](np.zeros(8), np.zeros(8, "i8"), np.zeros(8, "f4"), np.zeros(2), np.zeros(1, "u8"), 1.0)
    else:
        module["words"][1, 1](x, out)
        assert out[0] == np.frombuffer(np.asarray(x).tobytes(), "u4")[0]


def test_void_is_no_parameter():
    assert kernels_in("__global__ void f(void) {} __global__ void g( void\n) {} __global__ void h() {}") == {
        "f": (), "g": (), "h": ()
    }  # fmt: skip
    module = tk.compile_cuda_c("__device__ int x; __global__ void f(void) { x = threadIdx.x; }")
    module["f"][1, 8]()
    assert module.get_global("x").view("i4")[0] == 7


def test_faults_call_arguments_by_their_names_in_the_source(module):
    with pytest.raises(tk.errors.KernelFault) as caught:
        module["count"][1, 1](np.zeros(0, "i4"), np.zeros(1, "u8"))
    assert caught.value.argument == "x"
