"""How findings say where something is: pointers in structures, null pointers, shared memory that the launch sizes."""

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.emulator import check

SOURCE = """
struct One { int* at; };
struct Pair { int* first; int* second; };
extern __shared__ int dynamic[];
extern "C" {
__global__ void through_one(One one) { one.at[threadIdx.x] = 1; }
__global__ void through_structure(Pair pair, int n) { if (threadIdx.x < n) pair.second[threadIdx.x] = 1; }
__global__ void all_at_one(Pair pair, int n) { pair.second[n] = threadIdx.x; }
__global__ void off_by_a_byte(char* x) { *(int*)(x + 1) = 5; }
__global__ void one_lane_too_many(int* x) { if (threadIdx.x <= 16) __syncwarp(0xffff); x[threadIdx.x] = 1; }
__global__ void one_place(int* x) { x[3] = threadIdx.x; }
__global__ void sized_by_the_launch(int* x) {
    dynamic[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = dynamic[31 - threadIdx.x];
}
}
"""


@pytest.fixture(scope="module")
def module():
    return tk.compile_cuda_c(SOURCE)


def finding_of(kernel, arguments, **options):
    with check(raises=False) as report:
        kernel[1, 32](*arguments, **options)
    return report.findings[0]


def pair_of(*arrays):
    return np.array([array.ctypes.data for array in arrays], np.uint64).tobytes()


def test_an_address_in_a_structure_whose_array_was_not_named(module):
    array = np.zeros(32, np.int32)
    found = finding_of(module["through_one"], [pair_of(array)])
    assert f"at address {array.ctypes.data:#x}, computed from argument 'one', which is" in found.message
    assert found.hint.endswith("by an address in memory or in a structure needs memory=[array].")
    assert (found.argument, found.element) == ("one", None)


def test_past_the_end_of_an_array_that_a_structure_points_to(module):
    arrays = np.zeros(32, np.int32), np.zeros(20, np.int32)
    found = finding_of(module["through_structure"], [pair_of(*arrays), 32], memory=arrays)
    assert (found.argument, found.element, found.thread.thread) == ("memory[1]", 20, (20, 0, 0))


def test_a_race_in_an_array_that_a_structure_points_to(module):
    arrays = np.zeros(32, np.int32), np.zeros(20, np.int32)
    found = finding_of(module["all_at_one"], [pair_of(*arrays), 7], memory=arrays)
    assert (found.kind, found.element, found.argument) == ("race", 7, "memory[1]")
    assert "element 7 (byte 28) of argument 'memory[1]', an int32 array of shape (20,)" in found.message


def test_a_null_pointer(module):
    found = finding_of(module["one_place"], [None])
    assert "at address 0xc, computed from argument 'x', which is None" in found.message


@pytest.mark.parametrize(("make", "kind"), [(torch.zeros, "tensor"), (np.zeros, "array")])
def test_the_article_of_a_type(module, make, kind):
    x = make(32, dtype=torch.int32 if make is torch.zeros else np.int32)
    assert f"argument 'x', an int32 {kind} of shape (32,)" in finding_of(module["one_place"], [x]).message


def test_shared_memory_that_the_launch_did_not_size(module):
    found = finding_of(module["sized_by_the_launch"], [np.zeros(32, np.int32)])
    assert (found.what, found.offset) == ("out of bounds", 0)
    assert "has the size that the launch gives: [grid, block, bytes]" in found.hint


def test_misaligned_and_past_the_end(module):
    found = finding_of(module["off_by_a_byte"], [np.zeros(4, np.uint8)])
    assert (found.what, found.offset) == ("misaligned", 1)


def test_one_lane_is_and_several_are(module):
    assert (
        "lane 16 runs this and is not in the mask"
        in finding_of(module["one_lane_too_many"], [np.zeros(32, np.int32)]).message
    )
