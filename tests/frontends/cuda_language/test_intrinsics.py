"""Integer, SIMD and half-precision intrinsics of CUDA C++, each a row against Python integers or PyTorch."""

from pathlib import Path

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.frontends.cuda_headers import include_folders

N = 64
M32 = (1 << 32) - 1


def signed(x, bits=32):
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> bits - 1 else x


def lanes(function, n, is_signed, n_words=2):
    """A function of n parts of each of the first words."""
    bits = 32 // n

    def compute(*words):
        total = 0
        for i in range(n):
            part = [w >> bits * i & (1 << bits) - 1 for w in words[:n_words]]
            part = [signed(p, bits) for p in part] if is_signed else part
            total |= (int(function(*part)) & (1 << bits) - 1) << bits * i
        return total

    return compute


def limit(x, bits, is_signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    return min(max(x, low), high)


def permuted(a, b, s):
    octets = [(b << 32 | a) >> 8 * i & 255 for i in range(8)]
    return sum(octets[s >> 4 * i & 7] << 8 * i for i in range(4))


# Call: what it gives for unsigned 32-bit a, b, c.
INTEGERS = {
    "__popc(a)": lambda a, b, c: a.bit_count(),
    "__clz(a)": lambda a, b, c: 32 - a.bit_length(),
    "__ffs(a)": lambda a, b, c: (a & -a).bit_length(),
    "__brev(a)": lambda a, b, c: int(f"{a:032b}"[::-1], 2),
    "__byte_perm(a, b, c)": permuted,
    "__funnelshift_l(a, b, c)": lambda a, b, c: (b << 32 | a) << (c & 31) >> 32,
    "__funnelshift_r(a, b, c)": lambda a, b, c: (b << 32 | a) >> (c & 31),
    "__funnelshift_lc(a, b, c % 40)": lambda a, b, c: (b << 32 | a) << min(c % 40, 32) >> 32,
    "__funnelshift_rc(a, b, c % 40)": lambda a, b, c: (b << 32 | a) >> min(c % 40, 32),
    "__umulhi(a, b)": lambda a, b, c: a * b >> 32,
    "__mulhi((int)a, (int)b)": lambda a, b, c: signed(a) * signed(b) >> 32,
    "__umul24(a, b)": lambda a, b, c: (a & 0xFFFFFF) * (b & 0xFFFFFF),
    "__mul24((int)a, (int)b)": lambda a, b, c: signed(a, 24) * signed(b, 24),
    "__usad(a, b, c)": lambda a, b, c: abs(a - b) + c,
    "__sad((int)a, (int)b, c)": lambda a, b, c: abs(signed(a) - signed(b)) + c,
    "__hadd((int)a, (int)b)": lambda a, b, c: signed(a) + signed(b) >> 1,
    "__rhadd((int)a, (int)b)": lambda a, b, c: signed(a) + signed(b) + 1 >> 1,
    "__uhadd(a, b)": lambda a, b, c: a + b >> 1,
    "__urhadd(a, b)": lambda a, b, c: a + b + 1 >> 1,
    "__dp4a(a, b, c)": lambda a, b, c: sum((a >> i & 255) * (b >> i & 255) for i in (0, 8, 16, 24)) + c,
    "__dp4a((int)a, (int)b, (int)c)": lambda a, b, c: sum(
        signed(a >> i, 8) * signed(b >> i, 8) for i in (0, 8, 16, 24)) + c,
    "__dp2a_lo(a, b, c)": lambda a, b, c: (a & 65535) * (b & 255) + (a >> 16) * (b >> 8 & 255) + c,
    "__dp2a_hi(a, b, c)": lambda a, b, c: (a & 65535) * (b >> 16 & 255) + (a >> 16) * (b >> 24) + c,
    "__fns(a, b % 32, (int)(c % 9) - 4)": lambda a, b, c: nth(a, b % 32, c % 9 - 4),
    "min(a, b) ^ max(b, c)": lambda a, b, c: min(a, b) ^ max(b, c),
    "abs((int)a)": lambda a, b, c: abs(signed(a)),
    "a / (b | 1) + a % (b | 1)": lambda a, b, c: a // (b | 1) + a % (b | 1),
    "__float_as_uint(__uint2float_rz(a))": lambda a, b, c: int(np.float32(a & ~((1 << max(a.bit_length() - 24, 0)) - 1))
                                                               .view(np.uint32)),
    "__double2uint_rz(__uint2double_rn(a))": lambda a, b, c: a,
    "__double2hiint(__hiloint2double(a & 0x3fffffff, b))": lambda a, b, c: a & 0x3FFFFFFF,
}  # fmt: skip

for _n in (2, 4):
    _bits = 32 // _n
    for _name, _function, _is_signed in (
        (f"__vadd{_n}", lambda a, b: a + b, False),
        (f"__vsub{_n}", lambda a, b: a - b, False),
        (f"__vaddus{_n}", lambda a, b, w=_bits: limit(a + b, w, False), False),
        (f"__vaddss{_n}", lambda a, b, w=_bits: limit(a + b, w, True), True),
        (f"__vsubus{_n}", lambda a, b, w=_bits: limit(a - b, w, False), False),
        (f"__vsubss{_n}", lambda a, b, w=_bits: limit(a - b, w, True), True),
        (f"__vabsdiffu{_n}", lambda a, b: abs(a - b), False),
        (f"__vabsdiffs{_n}", lambda a, b: abs(a - b), True),
        (f"__vavgu{_n}", lambda a, b: a + b + 1 >> 1, False),
        (f"__vhaddu{_n}", lambda a, b: a + b >> 1, False),
        (f"__vmaxs{_n}", max, True),
        (f"__vmaxu{_n}", max, False),
        (f"__vmins{_n}", min, True),
        (f"__vminu{_n}", min, False),
        (f"__vcmpeq{_n}", lambda a, b: -(a == b), False),
        (f"__vcmpgts{_n}", lambda a, b: -(a > b), True),
        (f"__vcmpleu{_n}", lambda a, b: -(a <= b), False),
        (f"__vsetltu{_n}", lambda a, b: a < b, False),
        (f"__vsetges{_n}", lambda a, b: a >= b, True),
    ):
        INTEGERS[f"{_name}(a, b)"] = lanes(_function, _n, _is_signed)
    for _name, _function in ((f"__vabs{_n}", abs), (f"__vneg{_n}", lambda a: -a)):
        INTEGERS[f"{_name}(a)"] = lanes(_function, _n, True, 1)
    INTEGERS[f"__vabsss{_n}(a)"] = lanes(lambda a, w=_bits: limit(abs(a), w, True), _n, True, 1)
    INTEGERS[f"__vsadu{_n}(a, b)"] = lambda a, b, c, n=_n: sum(
        abs((a >> 32 // n * i & (1 << 32 // n) - 1) - (b >> 32 // n * i & (1 << 32 // n) - 1)) for i in range(n)
    )


def nth(mask, start, number):
    order = [start] if number == 0 else range(start, 32) if number > 0 else range(start, -1, -1)
    found = [i for i in order if mask >> i & 1]
    return found[max(abs(number), 1) - 1] if len(found) >= max(abs(number), 1) else M32


def test_integers():
    calls = list(INTEGERS)
    parts = [calls[k : k + 16] for k in range(0, len(calls), 16)]
    source = "".join(
        f"__global__ void part{p}(const unsigned* x, unsigned* out) {{\n"
        "unsigned i = threadIdx.x, a = x[i], b = x[64 + i], c = x[128 + i];\n"
        + "".join(f"out[{k} * 64 + i] = {call};\n" for k, call in enumerate(part))
        + "}\n"
        for p, part in enumerate(parts)
    )
    module = tk.compile_cuda_c(source, options=["-w"])
    x = np.random.default_rng(1).integers(0, 1 << 32, (3, N)).astype(np.uint32)
    x[:, :4] = [[0, M32, 1 << 31, 0x80FF7F01], [M32, M32, 1, 0x017F80FF], [0, 31, 32, 33]]
    for p, part in enumerate(parts):
        out = np.zeros((len(part), N), np.uint32)
        module[f"part{p}"][1, N](x, out)
        for call, row in zip(part, out.tolist(), strict=True):
            for a, b, c, got in zip(*x.tolist(), row, strict=True):
                assert got == INTEGERS[call](a, b, c) & M32, (call, a, b, c)


# Of a pair of halves: computed by PyTorch in float32 and rounded once, with the distance that is allowed.
HALVES = {
    "__hadd(a, b)": (lambda a, b, c: a + b, 0),
    "__hsub(a, b)": (lambda a, b, c: a - b, 0),
    "__hmul(a, b)": (lambda a, b, c: a * b, 0),
    "__hfma(a, b, c)": (lambda a, b, c: (a.double() * b.double() + c.double()).float(), 1),
    "__hdiv(a, b)": (lambda a, b, c: a / b, 1),
    "__hadd_sat(a, b)": (lambda a, b, c: (a + b).clamp(0, 1), 0),
    "__hfma_relu(a, b, c)": (lambda a, b, c: (a.double() * b.double() + c.double()).float().relu(), 1),
    "__hneg(a)": (lambda a, b, c: -a, 0),
    "__habs(a)": (lambda a, b, c: a.abs(), 0),
    "__hmax(a, b)": (lambda a, b, c: torch.maximum(a, b), 0),
    "__hmin(a, b)": (lambda a, b, c: torch.minimum(a, b), 0),
    "hsqrt(__habs(a))": (lambda a, b, c: a.abs().sqrt(), 1),
    "hrsqrt(__habs(a))": (lambda a, b, c: a.abs().rsqrt(), 1),
    "hrcp(a)": (lambda a, b, c: 1 / a, 1),
    "hexp(a)": (lambda a, b, c: a.exp(), 1),
    "hexp2(a)": (lambda a, b, c: a.exp2(), 1),
    "hlog(__habs(a))": (lambda a, b, c: a.abs().log(), 1),
    "hlog2(__habs(a))": (lambda a, b, c: a.abs().log2(), 1),
    "hsin(a)": (lambda a, b, c: a.sin(), 1),
    "hcos(a)": (lambda a, b, c: a.cos(), 1),
    "hfloor(a)": (lambda a, b, c: a.floor(), 0),
    "hceil(a)": (lambda a, b, c: a.ceil(), 0),
    "htrunc(a)": (lambda a, b, c: a.trunc(), 0),
    "hrint(a)": (lambda a, b, c: a.round(), 0),
    "T(__hlt(a, b) ? 1.0f : __heq(a, a) ? 2.0f : 3.0f)": (lambda a, b, c: torch.where(a < b, 1.0, 2.0), 0),
    "T((float)__hisnan(a))": (lambda a, b, c: torch.zeros_like(a), 0),
    "T(float(a) * float(b))": (lambda a, b, c: a * b, 0),
}


@pytest.mark.skipif(not include_folders(), reason="CUDA's headers are not installed here (nvidia-cuda-runtime)")
@pytest.mark.parametrize("kind", ["half", "__nv_bfloat16"])
def test_halves(kind):
    dtype = torch.float16 if kind == "half" else torch.bfloat16
    calls = list(HALVES)
    parts = [calls[k : k + 9] for k in range(0, len(calls), 9)]
    source = f"#include <cuda_fp16.h>\n#include <cuda_bf16.h>\nusing T = {kind};\n" + "".join(
        f"__global__ void part{p}(const T* x, T* out) {{\n"
        "int i = threadIdx.x; T a = x[i], b = x[64 + i], c = x[128 + i];\n"
        + "".join(f"out[{k} * 64 + i] = {call};\n" for k, call in enumerate(part))
        + "}\n"
        for p, part in enumerate(parts)
    )
    module = tk.compile_cuda_c(source, options=["-w"])
    x = torch.randn(3, N, generator=torch.Generator().manual_seed(1)).to(dtype)
    a, b, c = x.float()
    for p, part in enumerate(parts):
        out = torch.zeros(len(part), N, dtype=dtype)
        module[f"part{p}"][1, N](x, out)
        for call, got in zip(part, out, strict=True):
            function, ulp = HALVES[call]
            expected = function(a, b, c).to(dtype)
            apart = (got.view(torch.int16).int() - expected.view(torch.int16).int()).abs()
            same = got == expected  # zeros of either sign
            assert torch.where(same, 0, apart).max() <= ulp, (call, x[:, apart.argmax()], got[apart.argmax()])


PRODUCT = r"""
#include <mma.h>
using namespace nvcuda;

__global__ void product(const half* a, const half* b, float* c, int m, int n, int k) {
    int row = 16 * blockIdx.y, column = 16 * blockIdx.x;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> left;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> right;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::fill_fragment(sum, 0.0f);
    for (int i = 0; i < k; i += 16) {
        wmma::load_matrix_sync(left, a + row * k + i, k);
        wmma::load_matrix_sync(right, b + column * k + i, k);
        wmma::mma_sync(sum, left, right, sum);
    }
    for (int i = 0; i < sum.num_elements; i++) sum.x[i] *= 2;
    wmma::store_matrix_sync(c + row * n + column, sum, n, wmma::mem_row_major);
}
"""


@pytest.mark.skipif(
    not any(Path(folder, "crt", "mma.h").exists() for folder in include_folders()),
    reason="mma.h is not installed here (nvidia-cuda-crt)",
)
def test_tensor_cores_through_their_header():
    m, n, k = 48, 32, 64
    generator = torch.Generator().manual_seed(2)
    a, b = (torch.randn(size, k, generator=generator).half() for size in (m, n))
    c = torch.zeros(m, n)
    module = tk.compile_cuda_c(PRODUCT)
    with tk.profile() as prof:
        module["product"][(n // 16, m // 16), 32](a, b, c, m, n, k)
    torch.testing.assert_close(c, 2 * (a.float() @ b.float().t()), rtol=1e-5, atol=1e-5)  # the order of 64 additions
    assert prof.total.flop_tensor == 2 * m * n * k


def test_a_missing_header_says_where_it_comes_from():
    from teachkit.errors import CompileError

    with pytest.raises(
        CompileError, match=r'cannot open source file "curand_kernel.h"[\s\S]*pip install nvidia-curand'
    ):
        tk.compile_cuda_c("#include <curand_kernel.h>\n__global__ void f() {}")
    with pytest.raises(CompileError, match=r"device code has no <iostream>"):
        tk.compile_cuda_c("#include <iostream>\n__global__ void f() {}")
    with pytest.raises(CompileError, match=r"nvidia-cuda-cccl \d\S*, which is installed, has no <cub/cup\.cuh>"):
        tk.compile_cuda_c("#include <cub/cup.cuh>\n__global__ void f() {}")


def test_headers_of_the_standard_library():
    module = tk.compile_cuda_c(
        """
        #include <cstdint>
        #include <cmath>
        #include <cfloat>
        #include <cstdio>
        __global__ void f(float* x, std::uint8_t* b, int64_t* n) {
            x[0] = std::sqrt(x[0]) + std::fabs(-1.0f); x[1] = FLT_MAX; x[2] = INFINITY; x[3] = M_PI;
            b[0] = UINT8_MAX; n[0] = INT64_MIN;
        }"""
    )
    x, b, n = torch.full((4,), 4.0), torch.zeros(1, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    module["f"][1, 1](x, b, n)
    assert x.tolist() == [3.0, torch.finfo(torch.float32).max, float("inf"), np.float32(np.pi)]
    assert (b.item(), n.item()) == (255, torch.iinfo(torch.int64).min)


def test_memory_of_its_own_and_virtual_functions():
    module = tk.compile_cuda_c(
        """
        struct Shape { __device__ virtual int area() const = 0; };
        struct Square : Shape {
            int a;
            __device__ Square(int a) : a(a) {}
            __device__ int area() const { return a * a; }
        };
        struct Bar : Shape {
            int a;
            __device__ Bar(int a) : a(a) {}
            __device__ int area() const { return 3 * a; }
        };
        __global__ void f(int* out) {
            Shape* shape = threadIdx.x % 2 ? (Shape*)new Square(threadIdx.x) : (Shape*)new Bar(threadIdx.x);
            int* room = (int*)malloc(4 * sizeof(int));
            for (int i = 0; i < 4; i++) room[i] = shape->area() + i;
            out[threadIdx.x] = room[0] + room[3];
            free(room);
        }"""
    )
    out = np.zeros(64, np.int32)
    module["f"][1, 64](out)
    np.testing.assert_array_equal(out, [2 * (i * i if i % 2 else 3 * i) + 3 for i in range(64)])
