"""Counting from shapes alone gives what counting a real run gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from teachkit.measure.by_shape import CountByShape
from teachkit.measure.profiler import profile
from teachkit.measure.traffic import distinct_bytes
from teachkit.model import predict
from teachkit.model.bert_layer import EncoderLayer, EncoderSizes

SMALL = EncoderSizes(batch=2, sequence=16, width=32, n_heads=4, inner=64)


def step(device: str) -> CountByShape:
    """One training step of a small encoder layer."""
    torch.manual_seed(0)
    layer = EncoderLayer(SMALL).to(device)
    shape = (SMALL.sequence, SMALL.batch, SMALL.width)
    x = torch.ones(shape, device=device, requires_grad=True)
    gradient = torch.ones(shape, device=device)
    with CountByShape() as counted:
        layer(x).backward(gradient)
    return counted


def test_shapes_alone_give_the_counts_of_a_real_run() -> None:
    real, meta = step("cpu"), step("meta")
    assert [one.name for one in meta.operators] == [one.name for one in real.operators]
    assert [one.counters for one in meta.operators] == [one.counters for one in real.operators]
    assert [one.shapes for one in meta.operators] == [one.shapes for one in real.operators]
    assert len(meta.operators) > 40


def test_a_profile_of_the_same_run_agrees() -> None:
    layer = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16))
    x = torch.ones(4, 8)
    with profile() as prof:
        layer(x)
    with CountByShape() as counted:
        layer(x)
    assert counted.total == prof.total


def test_meta_tensors_are_told_apart_by_their_storage() -> None:
    a, b = (torch.empty(100, device="meta") for _ in range(2))
    assert distinct_bytes([a, b]) == 800
    assert distinct_bytes([a, a, a[:50]]) == 400
    with CountByShape() as counted:
        a + b
        a + a
    assert [one.counters.dram_read_bytes for one in counted.operators] == [800, 400]


def test_views_are_free_and_a_model_of_any_size_can_be_counted() -> None:
    with CountByShape() as counted:
        x = torch.empty(1 << 20, 1 << 20, device="meta", dtype=torch.float16)
        x.t().reshape(-1, 1 << 10)[::2]
    assert [one.name for one in counted.operators] == ["aten.clone"]  # the reshape of a transposed matrix copies
    with CountByShape() as counted:
        x @ x
    assert counted.total.flop_tensor == 2 * 2**60
    assert predict(counted, gpu="A100").binding == "tensor"


def test_an_operator_that_depends_on_data_cannot_be_counted_without_it() -> None:
    with pytest.raises(NotImplementedError), CountByShape():
        torch.empty(4, device="meta").nonzero()
