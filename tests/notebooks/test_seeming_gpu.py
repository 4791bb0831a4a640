"""Lectures print with a CUDA device what they print without one; here the emulator plays the device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from teachkit.authoring.project import find_project

PROJECT = find_project(Path(__file__))


@pytest.mark.slow
@pytest.mark.parametrize("slug", PROJECT.lectures())
def test_the_same_is_printed_with_a_cuda_device(slug: str) -> None:
    program = [sys.executable, str(Path(__file__).with_name("seeming_gpu.py")), str(PROJECT.lecture(slug))]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["problems"] == []
    assert sum(found["launches"].values()) > 0, "nothing ran on what plays the GPU"
