"""Reads on the host that the dispatcher does not show, and the stack of dispatch modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from teachkit.measure import profile
from teachkit.measure.active_modes import active_modes
from teachkit.measure.host_reads import HostReads


@pytest.mark.parametrize(
    ("read", "n_unseen", "n_syncs"),
    [
        (lambda x: x.tolist(), 1, 0),
        (lambda x: x.numpy(), 1, 0),
        (lambda x: np.asarray(x), 1, 0),
        (lambda x: x.cpu(), 1, 0),
        (lambda x: x.to("cpu"), 1, 0),
        (lambda x: x.to(device=torch.device("cpu")), 1, 0),
        (lambda x: x.to(torch.float64), 0, 0),
        (lambda x: x[0].item(), 0, 1),
        (lambda x: float(x[0]), 0, 1),
        (lambda x: bool(x[0]), 0, 1),
        (lambda x: x.nonzero(), 0, 1),
        (lambda x: x[x > 0], 0, 1),
        (lambda x: x + 1, 0, 0),
    ],
)
def test_each_read_is_counted_once(read: Callable[[torch.Tensor], Any], n_unseen: int, n_syncs: int) -> None:
    x = torch.ones(3)
    with HostReads() as reads, profile() as prof:
        read(x)
    assert (reads.n_reads, prof.n_syncs) == (n_unseen, n_syncs)


def test_active_modes() -> None:
    class Mode(TorchDispatchMode):
        pass

    assert active_modes() == []
    with Mode() as outer, Mode() as inner:
        assert active_modes() == [outer, inner]
    assert active_modes() == []
