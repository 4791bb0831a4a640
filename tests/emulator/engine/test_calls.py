"""Functions called from many places: with a copy for each call or one body for all, the same results and counts."""

import numpy as np
import pytest

from teachkit.emulator.engine import inline

SHAPES = [(1, 32), (2, 96), (3, 46)]  # blocks, threads


@pytest.fixture(params=[0, inline.MOST_COPIED], ids=["one body", "copies"])
def text(request, samples, monkeypatch):
    monkeypatch.setattr(inline, "MOST_COPIED", request.param)
    return f"{samples.cuda_ptx('calls')}\n// {request.param}\n".replace("\0", "")  # code on disk goes by the text


@pytest.mark.parametrize(("grid", "block"), SHAPES)
@pytest.mark.parametrize("name", ["through_pointers", "by_name"])
def test_results_and_counts(text, both, name, grid, block):
    which, out = both.array(grid * block, np.int32), both.array(grid * block, np.float32)
    which[:] = np.random.default_rng(block).integers(0, 60, which.size)
    run = both.run_both(text, name, grid, block, [which, out])
    assert np.isfinite(out).all()
    assert len(np.unique(out)) > out.size // 2
    run.check_memory()
    run.check_counters()
