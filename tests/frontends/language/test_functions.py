"""Functions, control flow, prints and assertions, inline assembly and libdevice, against PyTorch or plain Python."""

import typing

import pytest
import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import libdevice

from teachkit.errors import KernelFault

N = 128


@triton.constexpr_function
def next_prime(n):
    while any(n % d == 0 for d in range(2, n)):
        n += 1
    return n


@triton.jit
def _collatz(n, LIMIT: tl.constexpr):
    steps = 0
    while n != 1 and steps < LIMIT:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


@triton.jit
def _polynomial(x, a, b):
    return a * x * x + b


@triton.jit(noinline=True)
def _called(n, factor):
    """A function of its own in the PTX: scalars only."""
    return n * factor + 1


@triton.jit
def _twice(function: tl.constexpr, x, a, b):
    return function(function(x, a, b), a, b)


class Pair(typing.NamedTuple):
    low: tl.tensor
    high: tl.tensor


@triton.jit
def _ends(x):
    return Pair(tl.min(x), tl.max(x))


@triton.jit
def functions_kernel(x_ptr, out_ptr, ints_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + at, _twice(_polynomial, x, 0.5, 1.0))
    ends = _ends(x)
    tl.store(out_ptr + N, ends.low)
    tl.store(out_ptr + N + 1, ends.high)
    tl.store(ints_ptr, _collatz(tl.to_tensor(27), 1000))
    tl.store(ints_ptr + 1, _collatz(tl.to_tensor(27), 10))
    tl.store(ints_ptr + 2, next_prime(90))
    tl.store(ints_ptr + 3, _called(_called(tl.load(ints_ptr + 2), 3), 2))


def test_functions():
    x = torch.randn(N)
    out, ints = torch.empty(N + 2), torch.empty(4, dtype=torch.int32)
    kernel = functions_kernel[(1,)](x, out, ints, N)
    assert "call.uni" in kernel.asm["ptx"]
    once = 0.5 * x * x + 1
    torch.testing.assert_close(out[:N], 0.5 * once * once + 1)
    assert out[N:].tolist() == [x.min().item(), x.max().item()]
    assert ints.tolist() == [111, 10, 97, 585]  # 27 needs 111 steps


@triton.jit
def grid_kernel(out_ptr):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n_x, n_y, n_z = tl.num_programs(0), tl.num_programs(1), tl.num_programs(2)
    tl.store(out_ptr + (z * n_y + y) * n_x + x, (z * 100 + y * 10 + x) * 1000 + n_x * 100 + n_y * 10 + n_z)


def test_three_axes_of_the_grid():
    out = torch.empty(4, 3, 2, dtype=torch.int32)
    grid_kernel[(2, 3, 4)](out)
    expected = [[[(z * 100 + y * 10 + x) * 1000 + 234 for x in range(2)] for y in range(3)] for z in range(4)]
    assert out.tolist() == expected


@triton.jit
def swizzle_kernel(out_ptr, n_rows, n_cols, GROUP: tl.constexpr):
    row, col = tl.swizzle2d(tl.program_id(0), tl.program_id(1), n_rows, n_cols, GROUP)
    tl.store(out_ptr + row * n_cols + col, 1)


def test_swizzled_tiles_are_all_of_them():
    out = torch.zeros(5, 7, dtype=torch.int32)
    swizzle_kernel[(5, 7)](out, 5, 7, 3)
    assert out.all()


@triton.jit
def loops_kernel(x_ptr, out_ptr, n, STAGES: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, n, BLOCK, num_stages=STAGES, loop_unroll_factor=2):
        total += tl.load(x_ptr + start + at, mask=start + at < n, other=0.0)
    for i in tl.static_range(3):
        total += i
    last = tl.sum(total)
    if last > 0:
        sign = 1
    elif last < 0:
        sign = -1
    else:
        sign = 0
    tl.store(out_ptr, last)
    tl.store(out_ptr + 1, sign)
    if sign == 0:
        return
    tl.store(out_ptr + 2, 7.0)


@pytest.mark.parametrize("num_stages", [1, 2, 4])
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_loops_and_branches(n, num_stages):
    x = -torch.rand(max(n, 1))
    out = torch.zeros(3)
    loops_kernel[(1,)](x, out, n, num_stages, 64)
    expected = -x[:n].abs().sum() + 64 * 3
    torch.testing.assert_close(out[0], expected)
    assert out[1:].tolist() == ([1.0, 7.0] if expected > 0 else [-1.0, 7.0])


@triton.jit
def print_kernel(x_ptr, N: tl.constexpr):
    tl.device_print("x", tl.load(x_ptr + tl.arange(0, N)))


def test_device_print(capfd):
    print_kernel[(1,)](torch.arange(32, dtype=torch.int32) + 500, 32, num_warps=1)
    lines = capfd.readouterr().out.splitlines()
    assert [line.endswith(f"x: {500 + i}") for i, line in enumerate(lines)] == [True] * 32


@triton.jit
def assert_kernel(x_ptr, N: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, N))
    tl.device_assert(x > 0, "expected positive numbers")
    tl.store(x_ptr + tl.arange(0, N), x + 1)


def test_device_assert():
    x = torch.ones(64)
    assert_kernel[(1,)](x, 64, debug=True)
    assert (x == 2).all()
    x[40] = -1
    with pytest.raises(KernelFault, match="expected positive numbers"):
        assert_kernel[(1,)](x, 64, debug=True)
    # What programs look for that are written for a GPU.
    with pytest.raises(RuntimeError, match="device-side assert"):
        assert_kernel[(1,)](x, 64, debug=True)
    assert_kernel[(1,)](x, 64)  # without debug it is not compiled in
    assert x[40] == 0


@triton.jit
def assembly_kernel(x_ptr, y_ptr, sum_ptr, high_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, y = tl.load(x_ptr + at), tl.load(y_ptr + at)
    # Four bytes at once, in one register each; and two results of one instruction sequence.
    packed = tl.inline_asm_elementwise(
        "{ .reg .b32 a, b; and.b32 a, $1, 0x7f7f7f7f; and.b32 b, $2, 0x7f7f7f7f; add.u32 $0, a, b; }",
        "=r,r,r",
        [x, y],
        dtype=tl.int8,
        is_pure=True,
        pack=4,
    )
    tl.store(sum_ptr + at, packed)
    low, high = tl.inline_asm_elementwise(
        "mul.lo.u32 $0, $2, $3; mul.hi.u32 $1, $2, $3;",
        "=r,=r,r,r",
        [x.to(tl.int32) * 0x01010101, y.to(tl.int32) * 0x01010101],
        dtype=(tl.uint32, tl.uint32),
        is_pure=True,
        pack=1,
    )
    tl.store(high_ptr + at, (high.to(tl.uint64) << 32) | low)


def test_inline_assembly():
    x, y = (torch.randint(0, 128, (N,), dtype=torch.int8) for _ in range(2))
    total, product = torch.empty(N, dtype=torch.int8), torch.empty(N, dtype=torch.uint64)
    assembly_kernel[(1,)](x, y, total, product, N)
    assert torch.equal(total.view(torch.uint8), (x.int() + y.int()).to(torch.uint8))
    expected = [(a * 0x01010101) * (b * 0x01010101) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert product.tolist() == expected


@triton.jit
def libdevice_kernel(x_ptr, out_ptr, FUNCTION: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(out_ptr + at, FUNCTION(tl.load(x_ptr + at)))


LIBDEVICE = {
    "acos": ("acos", -1, 1), "acosh": ("acosh", 1, 9), "asin": ("asin", -1, 1), "asinh": ("asinh", -9, 9),
    "atan": ("atan", -9, 9), "atanh": ("atanh", -0.9, 0.9), "cbrt": (lambda x: x.abs() ** (1 / 3) * x.sign(), -9, 9),
    "ceil": ("ceil", -9, 9), "cos": ("cos", -300, 300), "cosh": ("cosh", -9, 9), "cyl_bessel_i0": ("i0", -4, 4),
    "erf": ("erf", -4, 4), "erfc": ("erfc", -3, 3), "erfinv": ("erfinv", -0.9, 0.9), "exp": ("exp", -9, 9),
    "exp10": (lambda x: 10.0**x, -4, 4), "exp2": ("exp2", -9, 9), "expm1": ("expm1", -2, 2), "floor": ("floor", -9, 9),
    "ilogb": (lambda x: x.abs().log2().floor(), 0.1, 9), "lgamma": ("lgamma", 0.1, 9), "log": ("log", 0.01, 9),
    "log10": ("log10", 0.01, 9), "log1p": ("log1p", -0.9, 9), "log2": ("log2", 0.01, 9),
    "normcdf": (torch.special.ndtr, -3, 3), "rcbrt": (lambda x: x ** (-1 / 3), 0.1, 9), "rint": ("round", -9, 9),
    "rsqrt": ("rsqrt", 0.1, 9), "signbit": ("signbit", -9, 9), "sin": ("sin", -300, 300), "sinh": ("sinh", -9, 9),
    "sqrt": ("sqrt", 0, 9), "tan": ("tan", -1.5, 1.5), "tanh": ("tanh", -9, 9),
    "tgamma": (lambda x: x.lgamma().exp(), 1, 9),
    "trunc": ("trunc", -9, 9), "j0": (torch.special.bessel_j0, 0.1, 9), "y1": (torch.special.bessel_y1, 0.5, 9),
}  # fmt: skip


IN_FLOAT64 = ("acosh", "cbrt", "cyl_bessel_i0", "erfinv", "exp2", "ilogb", "lgamma", "log1p", "sin", "tgamma", "y1")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, torch.float32) for name in LIBDEVICE] + [(name, torch.float64) for name in IN_FLOAT64],
    ids=str,
)
def test_libdevice(name, dtype):
    how, low, high = LIBDEVICE[name]
    x = torch.linspace(low, high, N, dtype=torch.float64).to(dtype)
    whole = name in ("signbit", "ilogb")
    out = torch.empty(N, dtype=torch.int32 if whole else dtype)
    libdevice_kernel[(1,)](x, out, getattr(libdevice, name), N)
    expected = (getattr(x.double(), how)() if isinstance(how, str) else how(x.double())).double()
    if whole:
        assert torch.equal((out != 0).double() if name == "signbit" else out.double(), expected)
        return
    # libdevice promises a few units in the last place; near roots of y1, relative to values of about 1.
    # PyTorch's own j0 and y1 are good to 1e-6 only.
    tolerance = 3e-6 if dtype == torch.float32 or name in ("j0", "y1") else 1e-13
    torch.testing.assert_close(out.double(), expected, rtol=tolerance, atol=tolerance)


@triton.jit
def maths_kernel(x_ptr, y_ptr, out_ptr, WHICH: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, y = tl.load(x_ptr + at), tl.load(y_ptr + at)
    if WHICH == "div_rn":
        z = tl.div_rn(x, y)
    elif WHICH == "fdiv":
        z = tl.fdiv(x, y)
    elif WHICH == "fma":
        z = tl.fma(x, y, x)
    elif WHICH == "maximum":
        z = tl.maximum(x, y)
    elif WHICH == "clamp":
        z = tl.clamp(x, -0.5, 0.5)
    elif WHICH == "fmod":
        z = x % y
    elif WHICH == "sqrt_rn":
        z = tl.sqrt_rn(y)
    else:
        z = tl.sigmoid(x)
    tl.store(out_ptr + at, z)


@pytest.mark.parametrize(
    ("which", "expected", "tolerance"),
    [
        ("div_rn", lambda x, y: x / y, 0.0),
        ("fdiv", lambda x, y: x / y, 3e-7),
        ("fma", lambda x, y: (x.double() * y.double() + x.double()).float(), 0.0),
        ("maximum", torch.maximum, 0.0),
        ("clamp", lambda x, y: x.clamp(-0.5, 0.5), 0.0),
        ("fmod", torch.fmod, 1e-6),
        ("sqrt_rn", lambda x, y: y.double().sqrt().float(), 0.0),
        ("sigmoid", lambda x, y: x.sigmoid(), 3e-7),
    ],
)
def test_maths(which, expected, tolerance):
    x, y, out = torch.randn(N), torch.rand(N) + 0.1, torch.empty(N)
    maths_kernel[(1,)](x, y, out, which, N)
    torch.testing.assert_close(out, expected(x, y), rtol=tolerance, atol=tolerance)


@triton.jit
def multiply_high_kernel(x_ptr, y_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(out_ptr + at, tl.umulhi(tl.load(x_ptr + at), tl.load(y_ptr + at)))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def test_umulhi(dtype):
    bits = 8 * dtype.itemsize
    x, y = (torch.randint(-(2 ** (bits - 2)), 2 ** (bits - 2), (N,), dtype=dtype) * 2 for _ in range(2))
    out = torch.empty(N, dtype=dtype)
    multiply_high_kernel[(1,)](x, y, out, N)
    expected = [((a % 2**bits) * (b % 2**bits)) >> bits for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert [value % 2**bits for value in out.tolist()] == expected
