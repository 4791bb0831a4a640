"""What Numba-CUDA's language offers, through ``@tk.cuda.jit``, against NumPy."""

import enum
import math

import numba
import numpy as np
import pytest
import torch
from numba import float32, int32

from teachkit import cuda
from teachkit.errors import CompileError, LaunchError

CONSTANTS = np.arange(8, dtype=np.float32) ** 2


class Mode(enum.IntEnum):
    ADD = 0
    MULTIPLY = 1


@cuda.jit(device=True)
def combine(mode, a, b):
    return a + b if mode == Mode.ADD else a * b


@cuda.jit
def many_arguments(mode, pair, z, flag, out):
    i = cuda.grid(1)
    if i < out.size and flag:
        x, scale = pair
        out[i] = combine(mode, x[i], scale) + z.real * z.imag


@pytest.mark.parametrize("mode", list(Mode))
def test_enums_tuples_complex_numbers_and_device_functions(mode):
    x, out = np.arange(40, dtype=np.float64), np.zeros(40)
    many_arguments[2, 32](mode, (x, np.float64(3)), 2 + 5j, np.True_, out)
    np.testing.assert_array_equal(out, (x + 3 if mode is Mode.ADD else x * 3) + 10)


@cuda.jit
def copy_3d(x, y):
    i, j, k = cuda.grid(3)
    if i < x.shape[0] and j < x.shape[1] and k < x.shape[2]:
        y[i, j, k] = x[i, j, k]


@pytest.mark.parametrize("order", ["C", "F", "strided", "negative"])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "float16", "complex64", "complex128", "bool", "datetime64[s]"])
def test_layouts_and_types(order, dtype):
    x = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(dtype)
    if order == "strided":
        x = np.repeat(x, 2, axis=2)[:, :, ::2]
    elif order == "negative":
        x = x[:, ::-1]
    else:
        x = np.asarray(x, order=order)
    y = np.zeros((2, 3, 5), dtype)
    copy_3d[(1, 1, 2), (2, 3, 4)](x, y)
    np.testing.assert_array_equal(y, x)


def test_zero_dimensions_and_empty_arrays():
    @cuda.jit
    def size(x, y, out):
        out[()] = y.size + x[()]

    out = np.zeros((), np.int64)
    size[1, 1](np.array(7), np.zeros(0, np.float32), out)
    assert out == 7


def test_records():
    kind = np.dtype([("x", np.float32), ("n", np.int64)], align=True)
    rows = np.zeros(10, kind)

    @cuda.jit
    def fill(rows, one):
        i = cuda.grid(1)
        if i < rows.size:
            rows[i].x, rows[i].n = i / 2, one.n + i
        if i == 0:
            one.x = 9

    one = np.zeros(1, kind)[0]
    one["n"] = 100
    fill[1, 32](rows, one)
    np.testing.assert_array_equal(rows["x"], np.arange(10) / 2)
    np.testing.assert_array_equal(rows["n"], 100 + np.arange(10))
    assert one["x"] == 9


def test_shared_dynamic_local_and_constant_memory():
    @cuda.jit
    def memories(x, out):
        table = cuda.const.array_like(CONSTANTS)
        fixed = cuda.shared.array(32, float32)
        dynamic = cuda.shared.array(0, int32)
        own = cuda.local.array(4, int32)
        i = cuda.threadIdx.x
        fixed[i], dynamic[32 + i] = x[i], i
        cuda.syncthreads()
        for k in range(4):
            own[k] = dynamic[32 + (i + k) % 32]
        out[i] = fixed[31 - i] + table[i % 8]
        for k in range(4):
            out[i] += own[k]

    x, out = np.arange(32, dtype=np.float32), np.zeros(32, np.float32)
    memories[1, 32, 0, 256](x, out)
    i = np.arange(32)
    np.testing.assert_array_equal(out, x[::-1] + CONSTANTS[i % 8] + sum((i + k) % 32 for k in range(4)))


def test_atomics():
    @cuda.jit
    def atomics(n, x, r):
        i = cuda.grid(1)
        if i < x.size:
            cuda.atomic.add(n, 0, 1)
            cuda.atomic.sub(n, 1, 2)
            cuda.atomic.max(n, 2, x[i])
            cuda.atomic.min(n, 3, x[i])
            cuda.atomic.and_(n, 4, ~(1 << (i % 8)))
            cuda.atomic.or_(n, 5, 1 << (i % 8))
            cuda.atomic.xor(n, 6, i)
            cuda.atomic.inc(n, 7, 9)
            cuda.atomic.cas(n, 8, 0, 5)
            cuda.atomic.exch(n, 9, 77)
            cuda.atomic.nanmax(r, 0, float32(x[i]))

    n = np.zeros(10, np.uint32)
    n[[1, 3, 4]] = 1000, 10**6, 255
    x = np.random.default_rng(0).permutation(100).astype(np.uint32)
    r = np.full(1, np.nan, np.float32)
    atomics[4, 32](n, x, r)
    xor = np.bitwise_xor.reduce(np.arange(100))
    assert n.tolist() == [100, 800, 99, 0, 0, 255, xor, 0, 5, 77]
    assert r[0] == 99


def test_warps_and_mathematics():
    @cuda.jit(fastmath=True)
    def warp(x, out):
        i = cuda.grid(1)
        v = math.exp(x[i])
        for step in (16, 8, 4, 2, 1):
            v += cuda.shfl_xor_sync(0xFFFFFFFF, v, step)
        out[i] = v * cuda.popc(cuda.ballot_sync(0xFFFFFFFF, i % 2 == 0)) + cuda.laneid

    x = np.linspace(-1, 1, 64, dtype=np.float32)
    out = np.zeros(64, np.float32)
    warp[2, 32](x, out)
    expected = np.repeat(np.exp(x).reshape(2, 32).sum(1), 32) * 16 + np.arange(64) % 32
    np.testing.assert_allclose(out, expected, rtol=1e-5)  # 32 float32 sums and an approximate exponential


def test_halves():
    @cuda.jit
    def halves(x, a, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = x[i] * a + x[i]

    x, out = np.linspace(0, 4, 33, dtype=np.float16), np.zeros(33, np.float16)
    halves[2, 32](x, np.float16(1.5), out)
    np.testing.assert_allclose(out, x * np.float16(2.5), rtol=2**-10)  # one fused rounding, or two


def test_bfloat16_tensors():
    @cuda.jit
    def widen(x, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = float32(x[i])

    x, out = torch.linspace(-3, 3, 33).bfloat16(), np.zeros(33, np.float32)
    widen[2, 32](x, out)
    np.testing.assert_array_equal(out, x.float().numpy())


def test_declared_signatures():
    @cuda.jit(["void(float32[:], float32)", (numba.int64[::1], numba.int64)])
    def add(x, a):
        i = cuda.grid(1)
        if i < x.size:
            x[i] += a

    assert len(add.signatures) == 2
    x, n = np.zeros(4, np.float32)[::2], np.zeros(2, np.int64)
    add[1, 32](x, 3)  # an int for a float32
    add[1, 32](n, 4)
    assert x.tolist() == [3, 3]
    assert n.tolist() == [4, 4]
    with pytest.raises(LaunchError, match=r"Expected array\(float32, 1d, A\) for argument 'x'.*got array\(float64"):
        add[1, 32](np.zeros(4), 1.0)
    with pytest.raises(LaunchError, match="argument 'x'"):
        add[1, 32](np.zeros(4, np.int64)[::2], 1)


def test_bad_signatures_and_options():
    with pytest.raises(CompileError, match="no_such_type"):
        cuda.jit("void(no_such_type)")
    with pytest.raises(CompileError, match="returns void, not int32"):
        cuda.jit("int32(int32)")
    with pytest.raises(LaunchError, match="got colour"):
        cuda.jit(colour="red")
    with pytest.raises(LaunchError, match=r"forall\(n\)"):
        copy_3d(np.zeros(3), np.zeros(3))
    with pytest.raises(LaunchError, match="array of Python objects"):
        copy_3d[1, 1](np.array([None]), np.zeros(3))
    with pytest.raises(LaunchError, match=r"a type that Numba knows for argument .*, got >f4\.\n.*astype\('float32'\)"):
        copy_3d[1, 1](np.zeros(3, ">f4"), np.zeros(3))
    with pytest.raises(LaunchError, match=r"got float128\.\n.*astype\('float64'\)"):
        copy_3d[1, 1](np.zeros(3, np.longdouble), np.zeros(3))


def test_forall():
    @cuda.jit
    def ones(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] = 1

    x = np.zeros(1000)
    ones.forall(1000)(x)
    assert x.sum() == 1000


def test_exceptions_are_raised_where_debug_is_on():
    @cuda.jit(debug=True, opt=False)
    def picky(x):
        i = cuda.grid(1)
        if x[i] < 0:
            raise ValueError("negative")

    x = np.ones(64)
    picky[2, 32](x)
    x[40] = -1
    with pytest.raises(
        ValueError, match=r"negative \(.*test_numba_cuda_language.py:\d+, in block \(1, 0, 0\), thread \(8,"
    ):
        picky[2, 32](x)
    x[40] = 1
    picky[2, 32](x)


def test_print(capfd):
    @cuda.jit
    def say(x):
        print("thread", cuda.threadIdx.x, x)

    say[1, 2](1.5)
    assert capfd.readouterr().out.splitlines() == ["thread 0 1.500000", "thread 1 1.500000"]


def test_linked_cuda_source(tmp_path):
    source = tmp_path / "triple.cu"
    source.write_text('extern "C" __device__ int triple(int *out, int x) { *out = 3 * x; return 0; }')
    triple = cuda.declare_device("triple", "int32(int32)")

    @cuda.jit(link=[str(source)])
    def use(x):
        i = cuda.grid(1)
        x[i] = triple(x[i])

    x = np.arange(32, dtype=np.int32)
    use[1, 32](x)
    np.testing.assert_array_equal(x, 3 * np.arange(32))


@cuda.jit(device=True)
def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


@cuda.jit(device=True)
def permutations(digits, at):
    """How many orders of the digits from ``at`` on keep neighbours apart by more than one."""
    if at == digits.size:
        return 1
    found = 0
    for i in range(at, digits.size):
        digits[at], digits[i] = digits[i], digits[at]
        if at == 0 or abs(digits[at] - digits[at - 1]) > 1:
            found += permutations(digits, at + 1)
        digits[at], digits[i] = digits[i], digits[at]
    return found


@pytest.mark.filterwarnings("ignore:Context.call_conv is deprecated")  # by Numba, of Numba
def test_functions_that_call_themselves():
    """Each thread to its own depth, with an array of its own that the calls share."""

    @cuda.jit
    def kernel(out):
        i = cuda.grid(1)
        digits = cuda.local.array(6, np.int32)
        for k in range(6):
            digits[k] = k
        out[0, i] = fibonacci(i % 14)
        out[1, i] = permutations(digits[: 1 + i % 6], np.int64(0))

    out = np.zeros((2, 64), np.int64)
    kernel[2, 32](out)
    fib = [0, 1]
    while len(fib) < 14:
        fib.append(fib[-1] + fib[-2])
    assert out[0].tolist() == [fib[i % 14] for i in range(64)]
    orders = [1, 0, 0, 2, 14, 90]  # OEIS A002464
    assert out[1].tolist() == [orders[i % 6] for i in range(64)]
