"""Every instruction row on the LLVM engine; on a GPU where there is one; the NumPy oracle runs the same rows
next door."""

import functools

import pytest
import torch

from teachkit.emulator import load_ptx
from tests.frontends.two_device_cases import execute_on_gpu


def execute(text, n_threads, arrays):
    load_ptx(text)["row"][1, n_threads](*arrays)


def test_row(row, rows):
    rows.check(row, execute)


@pytest.mark.gpu
def test_row_on_a_gpu(row, rows):
    major, minor = torch.cuda.get_device_capability()
    if row.target > max(90, 10 * major + minor):
        pytest.skip(f"the instruction is of sm_{row.target}")
    rows.check(row, functools.partial(execute_on_gpu, place=torch.Tensor.cuda))
