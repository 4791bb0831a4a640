"""Copies and fills of two and three dimensions by NVIDIA's structures, against NumPy; the best size of a block."""

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, Program, ProgramOptions

from teachkit.frontends.cuda_driver import install

install()
OK, BAD = (driver.CUresult.CUDA_SUCCESS,), (driver.CUresult.CUDA_ERROR_INVALID_VALUE,)
HOST, ON_DEVICE = driver.CUmemorytype.CU_MEMORYTYPE_HOST, driver.CUmemorytype.CU_MEMORYTYPE_DEVICE
device = Device(0)
device.set_current()
HEIGHT, WIDTH = 5, 7

status, pointer, pitch = driver.cuMemAllocPitch(4 * WIDTH, HEIGHT, 4)
assert pitch >= 4 * WIDTH
room = np.zeros((HEIGHT, pitch), np.uint8)  # all of the memory, as the host sees it


def contents():
    assert driver.cuMemcpyDtoH(room.ctypes.data, pointer, room.nbytes) == OK
    return room[:, : 4 * WIDTH].copy().view(np.float32)


def rectangle(**fields):
    copy = driver.CUDA_MEMCPY2D()
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


picture = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
from_host = {"srcMemoryType": HOST, "srcHost": picture.ctypes.data, "srcPitch": 4 * WIDTH}
to_device = {"dstMemoryType": ON_DEVICE, "dstDevice": pointer, "dstPitch": pitch}
whole = {"WidthInBytes": 4 * WIDTH, "Height": HEIGHT}
assert driver.cuMemsetD8(pointer, 0xFF, room.nbytes) == OK
assert driver.cuMemcpy2D(rectangle(**from_host, **to_device, **whole)) == OK
np.testing.assert_array_equal(contents(), picture)
assert (room[:, 4 * WIDTH :] == 0xFF).all(), "what lies between the rows is left alone"

# A part of it, to another place.
part = {"srcXInBytes": 8, "srcY": 1, "dstXInBytes": 4, "dstY": 3, "WidthInBytes": 12, "Height": 2}
assert driver.cuMemcpy2DAsync(rectangle(**from_host, **to_device, **part), 0) == OK
expected = picture.copy()
expected[3:5, 1:4] = picture[1:3, 2:5]
np.testing.assert_array_equal(contents(), expected)

# And back.
back = np.zeros_like(picture)
home = {"dstMemoryType": HOST, "dstHost": back.ctypes.data, "dstPitch": 4 * WIDTH}
away = {"srcMemoryType": ON_DEVICE, "srcDevice": pointer, "srcPitch": pitch}
assert driver.cuMemcpy2DUnaligned(rectangle(**away, **home, **whole)) == OK
np.testing.assert_array_equal(back, expected)

too_high = whole | {"Height": HEIGHT + 1}
assert driver.cuMemcpy2D(rectangle(**away, **home, **too_high)) == BAD, "past the allocation"
assert driver.cuMemcpy2D(rectangle(**away, **(home | {"dstPitch": 4}), **whole)) == BAD, "rows that overlap"
assert driver.cuMemcpy2D(rectangle(**away, dstMemoryType=HOST, dstPitch=4 * WIDTH, **whole)) == BAD, "nowhere"
assert driver.cuMemcpy2D(rectangle(**away, **home, WidthInBytes=0, Height=3)) == OK, "nothing to do"
assert driver.cuMemcpy2D(rectangle(**away, dstMemoryType=driver.CUmemorytype.CU_MEMORYTYPE_ARRAY, **whole)) == (
    driver.CUresult.CUDA_ERROR_NOT_SUPPORTED,
)

# Fills.
assert driver.cuMemsetD2D32(pointer, pitch, 0x3F800000, 3, 4) == OK
expected[:4, :3] = 1.0
np.testing.assert_array_equal(contents(), expected)
assert driver.cuMemsetD2D8(int(pointer) + 4 * pitch, pitch, 0, 4 * WIDTH, 1) == OK
expected[4] = 0.0
assert driver.cuMemsetD2D16Async(int(pointer) + 2, pitch, 0x4000, 1, 2, 0) == OK
expected[:2, 0] = 2.0
np.testing.assert_array_equal(contents(), expected)
assert driver.cuMemsetD2D32(pointer, pitch, 0, WIDTH, HEIGHT + 1) == BAD
assert driver.cuMemsetD2D32(int(pointer) + 1, pitch, 0, 1, 1) == BAD, "not on a multiple of four"

# Three dimensions: [4, 5, 6] bytes of a [6, 7, 8] box, from one corner to another.
box = np.random.default_rng(0).integers(0, 256, (6, 7, 8), np.uint8)
status, cube = driver.cuMemAlloc(box.nbytes)
assert driver.cuMemsetD8(cube, 0, box.nbytes) == OK
copy = driver.CUDA_MEMCPY3D()
copy.srcMemoryType, copy.srcHost, copy.srcPitch, copy.srcHeight = HOST, box.ctypes.data, 8, 7
copy.dstMemoryType, copy.dstDevice, copy.dstPitch, copy.dstHeight = ON_DEVICE, cube, 8, 7
copy.srcXInBytes, copy.srcY, copy.srcZ = 2, 1, 0
copy.dstXInBytes, copy.dstY, copy.dstZ = 0, 2, 1
copy.WidthInBytes, copy.Height, copy.Depth = 6, 5, 4
assert driver.cuMemcpy3D(copy) == OK
got, wanted = np.zeros_like(box), np.zeros_like(box)
assert driver.cuMemcpyDtoH(got.ctypes.data, cube, box.nbytes) == OK
wanted[1:5, 2:7, 0:6] = box[0:4, 1:6, 2:8]
np.testing.assert_array_equal(got, wanted)
copy.Depth = 6
assert driver.cuMemcpy3DAsync(copy, 0) == BAD, "past the allocation"

# The best size of a block: all 2,048 threads of an SM at work, on all 108.
source = 'extern "C" __global__ void fill(float *out) { out[threadIdx.x] = 1.0f; }'
code = Program(source, "c++", options=ProgramOptions(arch="sm_80")).compile("ptx")
function = driver.CUfunction(int(code.get_kernel("fill").handle))
status, n_blocks, n_threads = driver.cuOccupancyMaxPotentialBlockSize(function, None, 0, 0)
assert (n_blocks, n_threads) == (216, 1024)
status, n_blocks, n_threads = driver.cuOccupancyMaxPotentialBlockSize(function, None, 0, 300)
assert (n_threads, n_blocks) == (256, 864)
print("all copies")
