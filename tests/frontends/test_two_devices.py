"""Kernels on arrays of a GPU, on a real one where there is one; everywhere else the emulated driver plays it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.frontends import two_device_cases

CASES = [case.__name__ for case in two_device_cases.CASES]
ONLY_PRETENDED = [
    "an_older_gpu_gets_code_that_it_can_run",
    "only_kernels_that_wait_for_all_blocks_need_room_for_all",
    "the_driver_says_no",
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    program = Path(__file__).with_name("pretended_gpu.py")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("case", [*CASES, *ONLY_PRETENDED])
def test_on_the_emulated_driver(case: str, outcomes: dict[str, str]) -> None:
    assert not outcomes[case], outcomes[case]


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_on_a_gpu(case: str) -> None:
    getattr(two_device_cases, case)(torch.Tensor.cuda)
