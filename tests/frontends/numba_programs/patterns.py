"""What Numba-CUDA programs use now and then, against NumPy or plain Python, by one that knows nothing of teachkit."""

import warnings
from collections import namedtuple

import numpy as np
from numba import cuda, float32, float64, int32

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
equal, close = np.testing.assert_array_equal, np.testing.assert_allclose


@cuda.jit
def numbers(x, total, largest, smallest, before):
    i = cuda.grid(1)
    if i < x.size:
        before[i] = cuda.atomic.add(total, (1, 2), x[i])
        cuda.atomic.sub(total, (0, 1), x[i])
        cuda.atomic.max(largest, i % 3, x[i])
        cuda.atomic.min(smallest, i % 3, x[i])


@cuda.jit
def bits(x, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.and_(out, 0, x[i])
        cuda.atomic.or_(out, 1, x[i])
        cuda.atomic.xor(out, 2, x[i])
        cuda.atomic.exch(out, 3, x[i])
        old = out[4]
        while True:
            seen = cuda.atomic.cas(out, 4, old, old + x[i])
            if seen == old:
                break
            old = seen


for kind in ("i4", "u4", "i8", "u8", "f4", "f8"):
    x = rng.integers(1, 1000, 100).astype(kind)
    total, largest, smallest = np.zeros((2, 3), kind), np.zeros(3, kind), np.full(3, 5000, kind)
    before = np.zeros(100, kind)
    total[0, 1] = 10**6
    numbers[2, 64](x, total, largest, smallest, before)
    assert (total[1, 2], total[0, 1]) == (x.sum(), 10**6 - x.sum()), kind
    equal(largest, [x[j::3].max() for j in range(3)])
    equal(smallest, [x[j::3].min() for j in range(3)])
    equal(before, np.cumsum(x) - x)
    if kind[0] != "f":
        out = np.array([2**31 - 1, 0, 0, 0, 0], kind)
        bits[2, 64](x, out)
        reduced = [op.reduce(x) for op in (np.bitwise_and, np.bitwise_or, np.bitwise_xor)]
        equal(out, [*reduced, x[-1], x.sum()])


@cuda.jit
def votes(x, out):
    i, everyone = cuda.threadIdx.x, 0xFFFFFFFF
    out[0, i] = cuda.all_sync(everyone, x[i] > 0)
    out[1, i] = cuda.any_sync(everyone, x[i] > 3)
    out[2, i] = cuda.ballot_sync(everyone, x[i] & 1)
    out[3, i] = cuda.match_any_sync(everyone, x[i])
    out[4, i], out[5, i] = cuda.match_all_sync(everyone, x[i] > 9)
    out[6, i] = cuda.lanemask_lt()
    if x[i] & 1:
        out[7, i] = cuda.activemask()
    out[8, i] = cuda.popc(x[i]) + 100 * cuda.clz(x[i]) + 10000 * cuda.ffs(x[i])
    out[9, i] = cuda.brev(x[i])


x, out = rng.integers(0, 5, 32).astype(np.uint32), np.zeros((10, 32), np.int64)
votes[1, 32](x, out)
odd = sum(1 << lane for lane in range(32) if x[lane] & 1)
same = [sum(1 << lane for lane in range(32) if x[lane] == value) for value in x]
text = [f"{value:032b}" for value in x]
equal(
    out & 0xFFFFFFFF,
    [
        np.full(32, (x > 0).all()),
        np.full(32, (x > 3).any()),
        np.full(32, odd),
        same,
        np.full(32, 0xFFFFFFFF),
        np.ones(32),
        [(1 << lane) - 1 for lane in range(32)],
        np.where(x & 1, odd, 0),
        [t.count("1") + 100 * (32 - len(t.lstrip("0"))) + 10000 * (32 - t.rfind("1")) * ("1" in t) for t in text],
        [int(t[::-1], 2) for t in text],
    ],
)

ROWS = np.zeros(4, np.dtype([("n", np.int32), ("x", np.float64)], align=True))
ROWS["n"], ROWS["x"] = range(4), rng.random(4)
PLANE = np.asfortranarray(rng.random((3, 5)))
Pair = namedtuple("Pair", "x scale")
part = np.dtype([("n", np.int16), ("m", np.float32, (2, 2))], align=True)
whole = np.dtype([("part", part), ("z", np.complex64), ("on", np.bool_)], align=True)


@cuda.jit
def memories(pair, more, body, out):
    rows, plane = cuda.const.array_like(ROWS), cuda.const.array_like(PLANE)
    own = cuda.local.array((2, 3), float64)
    i = cuda.grid(1)
    if i < out.size:
        shift, (low, high) = more
        for r in range(2):
            for c in range(3):
                own[r, c] = r * 10 + c
        out[i] = pair.x[i] * pair.scale + rows[i % 4].x + plane[i % 3, i % 5] + own[i % 2, i % 3] + shift * (high - low)
        body[i].on = body[i].part.n > 3
        body[i].part.m[0, 1] = body[i].z.imag


x, out, body = rng.random(40), np.zeros(40), np.zeros(40, whole)
body["part"]["n"], body["z"] = range(40), 1j * np.arange(40)
memories[2, 32](Pair(x, 2.0), (3, (1, 2.5)), body, out)
i = np.arange(40)
close(out, 2 * x + ROWS["x"][i % 4] + PLANE[i % 3, i % 5] + i % 2 * 10 + i % 3 + 4.5, rtol=1e-12)
equal(body["on"], i > 3)
equal(body["part"]["m"][:, 0, 1], i)


@cuda.jit(device=True)
def escapes(c, n):
    z = 0j
    for turn in range(n):
        z = z * z + c
        if z.real * z.real + z.imag * z.imag >= 4:
            return turn
    return n


@cuda.jit
def mandelbrot(out):
    start_x, start_y = cuda.grid(2)
    step_x, step_y = cuda.gridsize(2)
    for column in range(start_x, out.shape[1], step_x):
        for row in range(start_y, out.shape[0], step_y):
            out[row, column] = escapes(complex(column / 16 - 2, row / 16 - 1), 50)


def escapes_here(c):
    z = 0j
    for turn in range(50):
        z = z * z + c
        if abs(z) >= 2:
            return turn
    return 50


out = np.zeros((33, 48), np.int32)
mandelbrot[(2, 3), (8, 8)](out)
expected = np.array(
    [[escapes_here(complex(column / 16 - 2, row / 16 - 1)) for column in range(48)] for row in range(33)]
)
assert (out != expected).mean() < 0.01  # where one fused rounding decides


@cuda.jit
def scan(x, totals):
    held = cuda.shared.array(256, int32)
    i = cuda.threadIdx.x
    held[i] = x[cuda.grid(1)]
    step = 1
    while step < 256:
        cuda.syncthreads()
        at = (i + 1) * 2 * step - 1
        if at < 256:
            held[at] += held[at - step]
        step *= 2
    if i == 0:
        totals[cuda.blockIdx.x] = held[255]
        held[255] = 0
    step = 128
    while step > 0:
        cuda.syncthreads()
        at = (i + 1) * 2 * step - 1
        if at < 256:
            held[at - step], held[at] = held[at], held[at] + held[at - step]
        step //= 2
    cuda.syncthreads()
    x[cuda.grid(1)] = held[i]


x, totals = rng.integers(0, 100, (5, 256), dtype=np.int32), np.zeros(5, np.int32)
sums = x.copy()
scan[5, 256](sums.reshape(-1), totals)
equal(totals, x.sum(1))
equal(sums, x.cumsum(1) - x)


@cuda.jit
def stencil(x, y):
    k, j, i = cuda.grid(3)
    if 0 < k < x.shape[0] - 1 and 0 < j < x.shape[1] - 1 and 0 < i < x.shape[2] - 1:
        y[k, j, i] = x[k - 1, j, i] + x[k + 1, j, i] + x[k, j - 1, i] + x[k, j + 1, i] + x[k, j, i - 1] + x[k, j, i + 1]


for order in "CF":
    x = np.asarray(rng.random((9, 10, 11)), order=order)
    y, inner = np.zeros_like(x), slice(1, -1)
    stencil[(3, 3, 3), (4, 4, 4)](x, y)
    around = [np.roll(x, (-by,), axis)[inner, inner, inner] for axis in range(3) for by in (-1, 1)]
    close(y[inner, inner, inner], sum(around), rtol=1e-14)


# CUDA C++ that is linked at its declaration, kernels for one signature, launch bounds, attributes.
twice = cuda.declare_device(
    "twice",
    "float32(float32)",
    link=cuda.CUSource('extern "C" __device__ int twice(float *out, float x) { *out = 2 * x; return 0; }'),
)


@cuda.jit(launch_bounds=(64, 2), fastmath=True)
def doubled(x):
    held = cuda.shared.array(64, float32)
    i = cuda.threadIdx.x
    held[i] = twice(x[i])
    cuda.syncthreads()
    x[i] = held[63 - i]


x = rng.random(64, dtype=np.float32)
special = doubled.specialize(x)
y = x.copy()
special[1, 64](y)
equal(y, 2 * x[::-1])
assert special.get_shared_mem_per_block() == 256
assert special.get_max_threads_per_block() == 64
assert 0 < special.get_regs_per_thread() <= 255
print("all patterns")
