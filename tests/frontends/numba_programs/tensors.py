"""PyTorch's CPU tensors in ``numba.cuda`` kernels, checks of Numba's own memory, names in errors, mixed links."""

import warnings

import numpy as np
import pytest
import torch
from numba import cuda

import teachkit as tk
from teachkit.errors import KernelCheckError, KernelFault, LaunchError
from teachkit.frontends.cuda_driver.memory import memory

warnings.simplefilter("ignore")
tk.cuda.emulate()


@cuda.jit
def fill(x, more):
    i, j = cuda.grid(2)
    if i < x.shape[0] and j < x.shape[1]:
        x[i, j] = 10 * i + j + more[0][1] * more[1]


@cuda.jit(lineinfo=True)
def increase(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] += 1


t = torch.zeros(5, 3, dtype=torch.int32).T
fill[1, (8, 8)](t, (torch.tensor([0.0, 5.0]), 20))
assert torch.equal(t, 100 + 10 * torch.arange(3)[:, None] + torch.arange(5).int())
room = torch.zeros(40)
increase[1, 32](room[5:25])
assert room.sum() == 20
assert not [a for a in memory.all() if a.kind == "lent"], "a tensor is lent for a launch only"


# A device array of a tensor is the tensor's memory, and kernels may touch it for as long as the array lives.
table = torch.zeros(6, 4)
array = cuda.as_cuda_array(table.T)
assert array.shape == (4, 6)
assert array.strides == (4, 16)
fill[1, (8, 8)](array, (torch.tensor([0.0, 0.0]), 0))
row = array[1]
del array
increase[1, 32](row)
assert torch.equal(table.T, 10 * torch.arange(4)[:, None] + torch.arange(6) + (torch.arange(4) == 1)[:, None])
np.testing.assert_array_equal(row.copy_to_host(), table[:, 1])
cuda.as_cuda_array(torch.zeros(3, dtype=torch.int64))[:] = 5
assert cuda.as_cuda_array(torch.zeros(0)).size == 0
assert [a.kind for a in memory.all()].count("lent") == 1
del row
assert "lent" not in [a.kind for a in memory.all()]
with pytest.raises(RuntimeError, match="requires grad"):
    cuda.as_cuda_array(torch.zeros(3, requires_grad=True))
with pytest.raises(TypeError, match="cuda array interface"):
    cuda.as_cuda_array(np.zeros(3))


@cuda.jit
def past(x):
    x[cuda.grid(1)] = 1


with pytest.raises(KernelFault, match=r"argument 'x', a float32 tensor in an allocation of 80 bytes"):
    past[1, 32](torch.zeros(20))

# Memory of device_array holds nothing until a kernel or a copy has written it.
x = np.arange(64.0)
with tk.emulator.check() as report:
    out = cuda.device_array(64)
    out.copy_to_device(x)
    increase[2, 32](out)
    half = cuda.device_array(64)
    half[:32] = 1.0
    increase[1, 32](half[:32])
assert report.is_clean, report
# Such a launch has addresses, and no views to be held to.
with tk.emulator.check(views=True) as report:
    increase[1, 32](half[:32])
    increase[1, 32](room[5:25])
assert report.n_launches == 2, report
assert report.is_clean, report
with tk.emulator.check(raises=False) as report:
    out = cuda.device_array(64)
    increase[2, 32](out)
    increase[1, 64](half)
assert [(f.what, f.argument, f.element, f.line) for f in report.findings] == [
    ("uninitialised read", "x", 0, increase.py_func.__code__.co_firstlineno + 4)
], report
with tk.emulator.check():
    late = cuda.device_array(64)
    late[:32] = 1.0
    with pytest.raises(KernelCheckError):
        increase[1, 64](late)


# Errors of a launch name the function as the program does.
@cuda.jit(launch_bounds=64)
def bounded(x):
    x[0] = 1


with pytest.raises(LaunchError, match="at most 64 threads in a block of kernel 'bounded', got 128"):
    bounded[1, 128](x)
with pytest.raises(LaunchError, match=r"Expected 0 to 65535 for grid.y of kernel 'increase', got 65536"):
    increase[(1, 65536), 32](x)
with pytest.raises(LaunchError, match=r"bytes of shared memory.*for kernel 'increase'"):
    increase[1, 32, 0, 200_000](x)

# PTX that calls functions of which Numba's linker has only LTO-IR.
source = 'extern "C" __device__ float half_of(float); extern "C" __device__ int use(float *out, float x) {'
ptx = tk.compile_cuda_c(source + " *out = half_of(x); return 0; }", options=["--relocatable-device-code=true"]).ptx
use = cuda.declare_device("use", "float32(float32)")
parts = [
    cuda.PTXSource(ptx.encode()),
    cuda.CUSource('extern "C" __device__ float half_of(float x) { return x / 2; }'),
]


def halve(x):
    i = cuda.grid(1)
    x[i] = use(x[i])


y = np.arange(32, dtype=np.float32)
cuda.jit(link=parts)(halve)[1, 32](y)
np.testing.assert_array_equal(y, np.arange(32) / 2)
print("all tensors")
