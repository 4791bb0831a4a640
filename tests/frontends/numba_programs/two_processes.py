"""Device memory that another process opens by its handle, through NVIDIA's bindings."""

import ctypes
import subprocess
import sys

import numpy as np
from cuda.bindings import driver

from teachkit.frontends.cuda_driver import install

install()
OK = driver.CUresult.CUDA_SUCCESS
BAD = driver.CUresult.CUDA_ERROR_INVALID_VALUE


def must(answer):
    assert answer[0] == OK, answer
    return answer[1] if len(answer) > 1 else None


def read(pointer, n):
    out = np.zeros(n, np.int32)
    must(driver.cuMemcpyDtoH(out.ctypes.data, pointer, 4 * n))
    return out


must(driver.cuInit(0))
must(driver.cuCtxSetCurrent(must(driver.cuDevicePrimaryCtxRetain(0))))
if len(sys.argv) > 1:
    handle = driver.CUipcMemHandle()
    ctypes.memmove(handle.getPtr(), bytes.fromhex(sys.argv[1]), 64)
    pointer = must(driver.cuIpcOpenMemHandle(handle, 1))
    assert read(pointer, 3000).tolist() == list(range(3000))
    must(driver.cuMemsetD32(int(pointer) + 400, 7, 10))
    assert driver.cuMemcpyDtoH(bytearray(12001), pointer, 12001)[0] == BAD, "one byte past the other's allocation"
    must(driver.cuIpcCloseMemHandle(pointer))
    assert driver.cuMemsetD32(pointer, 7, 1)[0] == BAD, "closed"
    sys.exit()

pointers = [must(driver.cuMemAlloc(12000)) for _ in range(3)]
data = np.arange(3000, dtype=np.int32)
for pointer in pointers:
    must(driver.cuMemcpyHtoD(pointer, data.ctypes.data, 12000))
handle = must(driver.cuIpcGetMemHandle(pointers[1]))
assert bytes(ctypes.string_at(handle.getPtr(), 64)) == bytes(
    ctypes.string_at(must(driver.cuIpcGetMemHandle(pointers[1])).getPtr(), 64)
)
assert driver.cuIpcOpenMemHandle(handle, 1)[0] == driver.CUresult.CUDA_ERROR_INVALID_CONTEXT, "its own process"
text = ctypes.string_at(handle.getPtr(), 64).hex()
subprocess.run([sys.executable, __file__, text], check=True)
changed = data.copy()
changed[100:110] = 7
assert (read(pointers[1], 3000) == changed).all(), "what the other process stored"
assert (read(pointers[0], 3000) == data).all()
assert (read(pointers[2], 3000) == data).all()
must(driver.cuMemFree(pointers[1]))
gone = subprocess.run([sys.executable, __file__, text], check=False, capture_output=True, text=True)
assert gone.returncode != 0
assert "CUDA_ERROR_MAP_FAILED" in gone.stderr, gone.stderr
again = must(driver.cuMemAlloc(12000))
must(driver.cuMemsetD32(again, 5, 3000))
assert (read(again, 3000) == 5).all()
print("both processes")
