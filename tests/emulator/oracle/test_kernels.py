"""Kernels of all front ends, run by the oracle, against NumPy and torch."""

import math

import numpy as np
import pytest
import torch

from teachkit.emulator.oracle import run
from teachkit.emulator.ptx import parse

TORCH = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp64": torch.float64}
TORCH |= {f"i{bits}": getattr(torch, f"int{bits}") for bits in (8, 16, 32, 64)} | {"u8": torch.uint8}
TORCH |= {"fp8e5": torch.float8_e5m2}


@pytest.fixture
def triton(samples):
    def launch(kernel, grid, *arguments, multiples=False, **wanted):
        """Run the sample of ``kernel`` whose pointer types match the arguments and that has constants ``wanted``."""
        tensors = [argument.dtype for argument in arguments if isinstance(argument, torch.Tensor)]
        for sample in samples.TRITON:
            types = [TORCH[name[1:]] for name in sample.types.split() if name[0] == "*"]
            is_wanted = wanted.items() <= sample.constants.items() and multiples == ("/16" in sample.types)
            if sample.kernel == kernel and types == tensors and is_wanted:
                break
        else:
            raise LookupError(f"no sample of {kernel} for {tensors} and {wanted}")
        module = parse(samples.triton_ptx(sample))
        (name,) = (f.name for f in module.functions.values() if f.is_entry)
        hidden = (None, None)  # Triton's pointers to scratch memory
        block = 32 * sample.num_warps
        shared_bytes = samples.triton_shared_bytes(sample)
        result = run(module, name, grid, block, (*arguments, *hidden), shared_bytes=shared_bytes)
        assert not result.faults
        return result.counters

    return launch


def randn(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def integers(n, low, high, dtype=torch.int32, seed=0):
    return torch.randint(low, high, (n,), generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16", "fp64", "i32", "i8", "i64"])
def test_vector_add(triton, name):
    dtype, n = TORCH[name], 1500
    x, y = randn(n, seed=1) * 20, randn(n, seed=2) * 20
    x, y = x.to(dtype), y.to(dtype)
    out = torch.zeros_like(x)
    counters = triton("vector_add", 2, x, y, out, n)
    assert torch.equal(out, x + y)
    size = x.element_size()
    assert (counters.global_load_bytes, counters.global_store_bytes) == (2 * n * size, n * size)
    sectors = math.ceil(n * size / 32)
    assert counters.compulsory_read_bytes == 2 * 32 * sectors
    assert counters.compulsory_write_bytes == 32 * sectors


def test_vector_add_counts_of_a_full_block(triton):
    x = torch.ones(1024)
    out = torch.zeros_like(x)
    counters = triton("vector_add", 1, x, x.clone(), out, 1024, multiples=True)
    # 4 warps, 8 elements a thread as two 16-byte accesses of each tensor: 16 requests and 256 sectors to load.
    assert counters.global_load_requests == 16
    assert counters.global_load_sectors == 2 * 1024 * 4 // 32
    assert counters.global_store_sectors == 1024 * 4 // 32
    assert counters.flop_fp32 == 1024
    assert counters.flop_fp64 == counters.flop_fp16 == counters.sfu_ops == counters.flop_tensor == 0
    assert counters.branches == counters.divergent_branches == counters.barriers == 0


@pytest.mark.parametrize(("stride", "sectors"), [(1, 16), (2, 32), (4, 32)])
def test_strided_copy_touches_more_sectors(triton, stride, sectors):
    # A thread owns four neighbouring elements, so the lanes of one load are 16 * stride bytes apart.
    n = 1024
    x = torch.arange(n * stride, dtype=torch.float32)
    out = torch.zeros(n)
    counters = triton("strided_copy", 1, x, out, n, stride)
    assert torch.equal(out, x[::stride])
    assert counters.global_load_sectors == sectors * n // 32
    assert counters.global_load_bytes == 4 * n


@pytest.mark.parametrize("name", ["fp32", "fp16", "fp64", "i8"])
def test_transpose(triton, name):
    x = (randn(70, 45) * 30).to(TORCH[name])
    out = torch.zeros(45, 70, dtype=x.dtype)
    counters = triton("transpose", (3, 2), x, out, 70, 45)
    assert torch.equal(out, x.T)
    assert counters.shared_store_wavefronts > 0
    assert counters.barriers == 4 * 6  # one barrier, 4 warps, 6 blocks


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_gelu(triton, name):
    x = (randn(1500) * 3).to(TORCH[name])
    out = torch.zeros_like(x)
    triton("gelu_tanh", 2, x, out, 1500)
    expected = torch.nn.functional.gelu(x.double(), approximate="tanh").to(x.dtype)
    # libdevice's tanh is good to 2 units in the last place of float32.
    torch.testing.assert_close(out, expected, rtol=2e-6 if name == "fp32" else 1e-2, atol=1e-6)


UNARY = {
    "exp": torch.exp,
    "log": lambda x: torch.log(x.abs() + 0.1),
    "sin": torch.sin,
    "cos": torch.cos,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "erf": torch.erf,
    "floor": lambda x: torch.floor(x) + torch.ceil(x),
    "div_rn": lambda x: x / (x + 3),
    "sqrt_rn": torch.sqrt,
    "pow": lambda x: x**x,
    "log1p": torch.log1p,
    "lgamma": torch.lgamma,
    "fmod": lambda x: torch.fmod(x, (x.float() * 0.3).double()),
    "expm1": torch.expm1,
    "sigmoid": torch.sigmoid,
    "nearbyint": lambda x: torch.round(x) + torch.trunc(x) + torch.sign(x) * torch.floor(x.abs() + 0.5),
    "fma": lambda x: x * x + x + x.abs() - x.clamp(min=1) + x.clamp(max=2),
}


@pytest.mark.parametrize("which", UNARY)
def test_maths_float32(triton, which):
    x = randn(256).abs() * 4 + 0.01
    if which == "log":
        x = x.abs() + 0.1
    out = torch.zeros_like(x)
    triton("unary_maths", 1, x, out, 256, WHICH=which)
    reference = torch.log if which == "log" else UNARY[which]
    # Two to three units in the last place of float32, which is what libdevice promises; exp and pow scale it.
    torch.testing.assert_close(out.double(), reference(x.double()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["exp", "log", "sqrt", "rsqrt", "erf", "floor", "fma"])
def test_maths_float64(triton, which):
    x = randn(256, dtype=torch.float64).abs() * 4 + 0.01
    out = torch.zeros_like(x)
    triton("unary_maths", 1, x, out, 256, WHICH=which)
    reference = torch.log if which == "log" else UNARY[which]
    torch.testing.assert_close(out, reference(x), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_softmax(triton, name):
    x = randn(3, 781).to(TORCH[name])
    out = torch.zeros_like(x)
    counters = triton("softmax", 3, x, out, 781, 781)
    expected = torch.softmax(x.double(), 1).to(x.dtype)
    torch.testing.assert_close(out, expected, rtol=3e-6 if name == "fp32" else 1e-2, atol=1e-7)
    assert counters.global_load_bytes == counters.global_store_bytes == x.numel() * x.element_size()
    assert counters.sfu_ops > 0


def test_softmax_float64(triton):
    x = randn(2, 100, dtype=torch.float64)
    out = torch.zeros_like(x)
    counters = triton("softmax", 2, x, out, 100, 100)
    # Triton's float64 softmax computes in float32, as the kernel asks.
    torch.testing.assert_close(out, torch.softmax(x, 1), rtol=1e-6, atol=1e-8)
    assert counters.n_launches == 1


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_layer_norm(triton, name):
    x, weight, bias = randn(2, 2500).to(TORCH[name]), randn(2500, seed=1).to(TORCH[name]), randn(2500, seed=2)
    bias = bias.to(TORCH[name])
    out, mean, rstd = torch.zeros_like(x), torch.zeros(2), torch.zeros(2)
    counters = triton("layer_norm", 2, x, out, weight, bias, mean, rstd, 2500, 2500, 1e-5)
    expected = torch.nn.functional.layer_norm(x.double(), (2500,), weight.double(), bias.double()).to(x.dtype)
    torch.testing.assert_close(
        out, expected, rtol=1e-5 if name == "fp32" else 2e-2, atol=1e-5 if name == "fp32" else 2e-2
    )
    torch.testing.assert_close(mean.double(), x.double().mean(1), rtol=1e-5, atol=1e-6)
    size = x.element_size()
    assert counters.global_load_bytes == 5 * 2 * 2500 * size  # the row three times, weight and bias once a row
    assert counters.compulsory_read_bytes == 32 * (math.ceil(2 * 2500 * size / 32) + 2 * math.ceil(2500 * size / 32))


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_dropout_is_the_philox_of_triton(triton, name):
    n, p, seed = 1500, 0.25, 1234
    x = randn(n).to(TORCH[name])
    out = torch.zeros_like(x)
    counters = triton("dropout", 2, x, out, n, p, seed)
    keep = philox_uniform(seed, n) > np.float32(p)
    expected = torch.where(torch.from_numpy(keep), x.float() / (1 - p), 0.0).to(x.dtype)
    torch.testing.assert_close(out, expected, rtol=1e-6 if name == "fp32" else 1e-3, atol=0)
    assert counters.int_ops > 10 * 4 * n  # ten rounds of Philox


def philox_uniform(seed, n):
    """Salmon et al. 2011, Philox 4x32-10 with counter (i, 0, 0, 0); float32 in [0, 1) as Triton makes it."""
    c = [np.arange(n, dtype=np.uint64), *(np.zeros(n, np.uint64) for _ in range(3))]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
        c = [(b >> high) ^ c[1] ^ np.uint64(k0), b & low, (a >> high) ^ c[3] ^ np.uint64(k1), a & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    x = c[0].astype(np.uint32).view(np.int32)
    x = np.where(x < 0, -x - 1, x)
    return x.astype(np.float32) * np.float32(4.6566127342e-10)


@pytest.mark.parametrize(
    ("types", "precision", "rtol"),
    [
        ("fp16 fp16 fp16", "ieee", 1e-3),
        ("bf16 bf16 fp32", "ieee", 1e-5),
        ("fp32 fp32 fp32", "tf32", 2e-2),
        ("fp32 fp32 fp32", "ieee", 1e-5),
        ("fp64 fp64 fp64", "ieee", 1e-13),
    ],
)
def test_matmul(triton, types, precision, rtol):
    a_type, b_type, c_type = (TORCH[name] for name in types.split())
    m, n, k = 70, 40, 50
    a, b = randn(m, k).to(a_type), randn(k, n, seed=1).to(b_type)
    c = torch.zeros(m, n, dtype=c_type)
    tile = 32 if precision == "ieee" and a_type in (torch.float32, torch.float64) else 64
    grid = (-(-m // tile), -(-n // tile))
    counters = triton("matmul", grid, a, b, c, m, n, k, PRECISION=precision)
    torch.testing.assert_close(c.double(), a.double() @ b.double(), rtol=rtol, atol=rtol * 5)
    if tile == 64:
        assert counters.flop_tensor == 2 * 128 * 64 * 64  # the tiles, padding included
        assert counters.shared_load_wavefronts > 0


def test_matmul_int8(triton):
    m, n, k = 64, 64, 100
    a, b = integers(m * k, -128, 128, torch.int8).view(m, k), integers(k * n, -128, 128, torch.int8, 1).view(k, n)
    c = torch.zeros(m, n, dtype=torch.int32)
    triton("matmul", (1, 1), a, b, c, m, n, k)
    assert torch.equal(c, (a.long() @ b.long()).int())


@pytest.mark.parametrize("name", ["fp32", "fp16", "i32", "fp64"])
def test_atomic_add(triton, name):
    n = 400
    x = integers(n, -4, 5, TORCH[name])
    out = torch.zeros(16, dtype=x.dtype)
    counters = triton("atomics", 2, x, out, n, KIND="add")
    expected = torch.zeros(16, dtype=torch.float64).index_add(0, torch.arange(n) % 7, x.double())
    assert torch.equal(out.double(), expected)
    assert counters.atomic_max_conflict == 5  # 32 consecutive indices modulo 7 in a warp


def test_other_atomics(triton):
    n = 300
    x = integers(n, -1000, 1000)
    index = torch.arange(n) % 7
    for kind, start, amount in (("max", -5000, "amax"), ("and", -1, None)):
        out = torch.full((8,), start, dtype=torch.int32)
        triton("atomics", 2, x, out, n, KIND=kind)
        for i in range(7):
            mine = x[index == i]
            expected = mine.max() if amount else torch.from_numpy(np.bitwise_and.reduce(mine.numpy(), keepdims=True))[0]
            assert out[i] == expected
    values, out = x.clone(), torch.arange(n + 1, dtype=torch.int32)
    triton("atomics", 2, values, out, n, KIND="xchg")
    assert torch.equal(values, torch.arange(1, n + 1, dtype=torch.int32))
    assert torch.equal(out[1:], x)


def test_float_atomic_max(triton):
    x = randn(256)
    out = torch.full((8,), -100.0)
    triton("atomics", 1, x, out, 256, KIND="max")
    assert torch.equal(out[:7], torch.stack([x[i::7].max() for i in range(7)]))


def test_lock(triton):
    x, total, lock = integers(1000, 0, 9).float(), torch.zeros(1), torch.zeros(1, dtype=torch.int32)
    triton("locked_sum", 4, x, total, lock, 1000)
    assert (total.item(), lock.item()) == (x.sum().item(), 0)


def test_scan_sort_argmax_histogram(triton):
    x = integers(500, -50, 50)
    out = torch.zeros_like(x)
    triton("scan", 1, x, out, 500)
    assert torch.equal(out, x.cumsum(0).int())
    x = integers(256, -500, 500)
    out = torch.zeros_like(x)
    triton("sort", 1, x, out, 256)
    assert torch.equal(out, x.sort().values)
    x = randn(128)
    out = torch.zeros_like(x)
    triton("sort", 1, x, out, 128)
    assert torch.equal(out, x.sort().values)
    x = randn(3, 500)
    out = torch.zeros(3, dtype=torch.int32)
    triton("argmax", 3, x, out, 500)
    assert torch.equal(out, x.argmax(1).int())
    x = integers(900, 0, 64)
    out = torch.zeros(64, dtype=torch.int32)
    triton("histogram", 2, x, out, 900)
    assert torch.equal(out, torch.bincount(x, minlength=64).int())


@pytest.mark.parametrize("name", ["i32", "i64", "i16"])
def test_integer_arithmetic(triton, name):
    dtype = TORCH[name]
    x, y = integers(256, -9999, 9999, dtype), integers(256, 1, 99, dtype, 1)
    out = torch.zeros_like(x)
    triton("integers", 1, x, y, out, 256)
    quotient = torch.div(x, y, rounding_mode="trunc")
    z = quotient * 3 + (x - quotient * y) - (x << 2) + (x >> 3) ^ (y & 255) | (~x & 15)
    z = z + torch.maximum(x, y) - torch.minimum(x, y) + x.abs()
    assert torch.equal(out, z.to(dtype))


@pytest.mark.parametrize(
    "pair",
    [
        *("fp32 fp16", "fp32 bf16", "fp16 fp32", "bf16 fp32", "fp32 i32", "i32 fp32", "i8 fp16", "fp64 fp32"),
        *("fp32 fp64", "fp16 bf16", "i64 fp64", "fp64 i64", "i32 i8", "i8 i64", "u8 fp32", "fp8e5 fp32"),
    ],
)
def test_conversions(triton, pair):
    source, target = (TORCH[name] for name in pair.split())
    x = (randn(256, dtype=torch.float64) * (60 if source.itemsize == 1 else 3000)).to(source)
    out = torch.zeros(256, dtype=target)
    triton("convert", 1, x, out, 256)
    expected = x.to(target)
    assert torch.equal(out.view(torch.uint8), expected.view(torch.uint8))


def test_conversion_to_fp8_is_the_bit_trick_that_triton_uses(triton):
    x = (randn(256) * 3000).half()
    out = torch.zeros(256, dtype=torch.float8_e5m2)
    triton("convert", 1, x, out, 256)
    expected = ((x.view(torch.int16).int() & 0xFFFE) + 0x80) >> 8
    assert torch.equal(out.view(torch.uint8), expected.to(torch.uint8))


def test_attention(triton):
    n, d = 100, 64
    q, k, v = (randn(n, d, seed=i).half() for i in range(3))
    out = torch.zeros(n, d)
    counters = triton("attention", 2, q, k, v, out, n, 0.125 * math.log2(math.e))
    expected = torch.nn.functional.scaled_dot_product_attention(q.double()[None], k.double()[None], v.double()[None])[0]
    # The probabilities are rounded to float16 before the second product.
    torch.testing.assert_close(out.double(), expected, rtol=5e-3, atol=5e-3)
    assert counters.flop_tensor == 2 * 2 * 2 * 64 * 128 * 64


def test_inline_assembly(triton):
    x = integers(256, -999, 999)
    out = torch.zeros_like(x)
    triton("inline_assembly", 1, x, out, 256)
    assert torch.equal(out, 2 * x + 1)
