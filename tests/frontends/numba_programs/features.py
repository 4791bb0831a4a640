"""A Numba-CUDA program that knows nothing of teachkit: many features, each against NumPy."""

import math
import warnings

import numpy as np
from numba import cuda, float32, guvectorize, vectorize
from numba.cuda.random import create_xoroshiro128p_states, xoroshiro128p_uniform_float32

warnings.simplefilter("ignore")

assert cuda.is_available()
assert cuda.detect()
assert len(cuda.gpus) == 1
device = cuda.get_current_device()
assert b"teachkit" in device.name.encode(), device.name
assert (device.WARP_SIZE, device.MAX_THREADS_PER_BLOCK) == (32, 1024)
assert device.compute_capability >= (7, 5)
cuda.select_device(0)


@cuda.jit
def saxpy(a, x, y, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a * x[i] + y[i]


x, y = np.random.default_rng(0).standard_normal((2, 1000), dtype=np.float32)
out = np.zeros_like(x)
saxpy[8, 128](2.0, x, y, out)  # host arrays, copied there and back
np.testing.assert_allclose(out, 2 * x + y, rtol=1e-6, atol=1e-6)  # one rounding or two

# Memory: device arrays, slices, pinned, mapped and managed arrays, streams in order.
stream = cuda.stream()
d_x, d_y = cuda.to_device(x, stream=stream), cuda.to_device(y)
d_out = cuda.device_array_like(d_x)
assert isinstance(d_out, cuda.cudadrv.devicearray.DeviceNDArray)
with stream.auto_synchronize():
    saxpy[8, 128, stream](3.0, d_x, d_y, d_out)
    host = d_out.copy_to_host(stream=stream)
np.testing.assert_allclose(host, 3 * x + y, rtol=1e-6, atol=1e-6)  # one rounding or two
saxpy[1, 128](1.0, d_x[100:150], d_y[::2][:50], d_out[:50])
np.testing.assert_allclose(
    d_out[:50].copy_to_host(), x[100:150] + y[::2][:50], rtol=1e-6, atol=1e-6
)  # one rounding or two
d_out[10:20] = np.float32(7)
assert (d_out.copy_to_host()[10:20] == 7).all()
pinned, mapped = cuda.pinned_array(64, np.float32), cuda.mapped_array(64, np.float32)
managed = cuda.managed_array(64, np.float32)
pinned[:], mapped[:], managed[:] = 1, 2, 3
saxpy[1, 64](1.0, mapped, managed, mapped)
cuda.synchronize()
assert (mapped == 5).all()
d_x[:64].copy_to_device(pinned)
assert (d_x.copy_to_host()[:64] == 1).all()
assert cuda.current_context().get_memory_info().free > 0


class Interface:
    """Another library's array."""

    __cuda_array_interface__ = d_y.__cuda_array_interface__


np.testing.assert_array_equal(cuda.as_cuda_array(Interface()).copy_to_host(), y)

# Events: modelled time, more for more work.
start, end = cuda.event(), cuda.event()
start.record()
for _ in range(3):
    saxpy[8, 128](1.0, d_x, d_y, d_out)
end.record()
end.synchronize()
three = cuda.event_elapsed_time(start, end)
assert three > 0
assert math.isclose(start.elapsed_time(end), three)


# Shared memory, reductions, ufuncs, generalised ufuncs, random numbers, warps, atomics, cooperative groups.
@cuda.jit
def reverse_blocks(x):
    part = cuda.shared.array(128, float32)
    i = cuda.threadIdx.x
    part[i] = x[cuda.grid(1)]
    cuda.syncthreads()
    x[cuda.grid(1)] = part[127 - i]


d = cuda.to_device(np.arange(256, dtype=np.float32))
reverse_blocks[2, 128](d)
np.testing.assert_array_equal(d.copy_to_host(), np.arange(256).reshape(2, 128)[:, ::-1].ravel())

total = cuda.reduce(lambda a, b: a + b)
assert total(np.arange(1001, dtype=np.float64)) == 500500


@vectorize(["float32(float32, float32)"], target="cuda")
def hypotenuse(a, b):
    return math.sqrt(a * a + b * b)


np.testing.assert_allclose(hypotenuse(x, y), np.hypot(x, y), rtol=1e-6)


@guvectorize(["void(float32[:], float32[:], float32[:])"], "(n),(n)->()", target="cuda")
def dot(a, b, out):
    s = 0.0
    for i in range(a.shape[0]):
        s += a[i] * b[i]
    out[0] = s


rows = x.reshape(10, 100)
np.testing.assert_allclose(dot(rows, rows), (rows * rows).sum(1), rtol=1e-5)


@cuda.jit
def throw(states, hits):
    i = cuda.grid(1)
    a, b = xoroshiro128p_uniform_float32(states, i), xoroshiro128p_uniform_float32(states, i)
    if a * a + b * b < 1:
        cuda.atomic.add(hits, 0, 1)


hits = np.zeros(1, np.int32)
throw[32, 128](create_xoroshiro128p_states(4096, seed=1), hits)
assert abs(4 * hits[0] / 4096 - math.pi) < 0.1


@cuda.jit
def waves(m):
    column = cuda.grid(1)
    grid = cuda.cg.this_grid()
    for row in range(1, m.shape[0]):
        m[row, column] = m[row - 1, m.shape[1] - column - 1] + 1
        grid.sync()


m = np.zeros((5, 256), np.int32)
waves[8, 32](m)  # blocks that wait for each other
np.testing.assert_array_equal(m, np.repeat(np.arange(5)[:, None], 256, axis=1))


@cuda.jit(debug=True, opt=False)
def picky(x):
    if x[cuda.grid(1)] > 2:
        raise ValueError("too large")


said = ""
try:
    picky[1, 4](np.arange(4))
except ValueError as error:
    said = str(error)
assert "too large" in said, said
assert "tid=[0, 0, 3]" in said, said

assert saxpy.signatures
assert all(n > 0 for n in saxpy.get_regs_per_thread().values())
print("all features")
