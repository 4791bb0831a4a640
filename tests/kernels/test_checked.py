"""No rung races, reads what was never written, or leaves a barrier out; the published last warp does, without waits."""

from __future__ import annotations

import pytest
import torch

import teachkit as tk
from teachkit.errors import KernelCheckError, KernelInputError
from teachkit.kernels import LADDERS, ladder
from teachkit.kernels.rungs import Ladder, Rung, read_cuda_source

RUNGS = [pytest.param(ladder(name), rung, id=f"{name}: {rung.name}") for name in LADDERS for rung in ladder(name)]


@pytest.mark.parametrize(("steps", "rung"), RUNGS)
def test_a_rung_passes_every_check(steps: Ladder, rung: Rung) -> None:
    n_checked = 0
    for size in steps.sizes[-3:]:
        inputs = steps.inputs(*size)
        try:
            with tk.emulator.check() as report:
                rung.run(*inputs)
        except KernelInputError:
            continue
        assert report.findings == []
        n_checked += 1
    assert n_checked > 0


def test_a_last_warp_that_trusts_its_lanes_to_run_in_step_races() -> None:
    """As in the slides of 2007, when a warp had one program counter."""
    source = read_cuda_source("reduction.cu")
    kernel = tk.compile_cuda_c(source.replace("__syncwarp();", ""))["sum_unrolled"]
    x, sums = torch.arange(1000, dtype=torch.int32), torch.empty(4, dtype=torch.int32)
    with pytest.raises(KernelCheckError, match=r"(?s)data race.*part\[t\] = sum;"), tk.emulator.check():
        kernel[4, 128](x, sums, 1000)
