"""The published table of BERT-large's encoder layer, from counted operators and data sheets."""

from __future__ import annotations

import pytest
import torch

from teachkit.errors import ModelInputError
from teachkit.model.bert_layer import EncoderLayer, EncoderSizes
from teachkit.model.operator_classes import (
    CLASSES,
    PUBLISHED_FLOP_PERCENT,
    PUBLISHED_TIME_PERCENT,
    bert_on,
    class_of,
    count_training_step,
    slower_than_contractions,
)


def test_flop_shares_are_within_a_tenth_of_a_point_of_the_paper() -> None:
    shares = bert_on("V100")
    for name in CLASSES:
        assert shares[name].flop_percent == pytest.approx(PUBLISHED_FLOP_PERCENT[name], abs=0.1)


def test_time_shares_are_within_five_points_of_the_paper() -> None:
    shares = bert_on("V100")
    for name in CLASSES:
        assert shares[name].time_percent == pytest.approx(PUBLISHED_TIME_PERCENT[name], abs=5.0)
    assert sum(shares[name].time_percent for name in CLASSES) == pytest.approx(100)
    slower = slower_than_contractions(shares)
    assert 245 / 1.5 < slower["statistical normalisation"] < 245 * 1.5
    assert 736 / 1.5 < slower["element-wise"] < 736 * 1.5


def test_contractions_are_counted_exactly() -> None:
    sizes = EncoderSizes()
    tokens, width = sizes.batch * sizes.sequence, sizes.width
    weights = 4 * width * width + 2 * width * sizes.inner
    forward = 2 * tokens * weights + 2 * 2 * tokens * sizes.sequence * width
    # Backward, each product makes two: one for its input's gradient and one for its weight's.
    assert count_training_step(sizes).total.flop_tensor == 3 * forward


def test_every_operator_has_the_class_of_the_paper() -> None:
    sizes = EncoderSizes()
    of = {name: set() for name in CLASSES}
    for operator in count_training_step(sizes).operators:
        of[class_of(operator, sizes)].add(operator.name)
    assert of["tensor contraction"] == {"aten.addmm", "aten.mm", "aten.bmm"}
    assert of["statistical normalisation"] >= {"aten._softmax", "aten.native_layer_norm", "aten.sum", "aten.mul"}
    assert of["element-wise"] >= {"aten.relu", "aten.add", "aten.native_dropout", "aten.clone"}
    assert "aten.mul" not in of["element-wise"]  # the only one scales the attention scores


def test_faster_tensor_cores_leave_a_larger_share_to_the_rest() -> None:
    rest = [100 - bert_on(name)["tensor contraction"].time_percent for name in ("V100", "A100", "H100")]
    assert rest == sorted(rest)


def test_the_layer_is_a_real_one() -> None:
    """Against PyTorch's own encoder layer with the same weights, without dropout."""
    sizes = EncoderSizes(batch=3, sequence=7, width=16, n_heads=4, inner=24)
    ours = EncoderLayer(sizes, dropout=0.0)
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0)
    pairs = {
        theirs.self_attn.in_proj_weight: ours.qkv.weight,
        theirs.self_attn.in_proj_bias: ours.qkv.bias,
        theirs.self_attn.out_proj.weight: ours.out.weight,
        theirs.self_attn.out_proj.bias: ours.out.bias,
        theirs.linear1.weight: ours.first.weight,
        theirs.linear1.bias: ours.first.bias,
        theirs.linear2.weight: ours.second.weight,
        theirs.linear2.bias: ours.second.bias,
    }
    with torch.no_grad():
        for mine, other in pairs.items():
            mine.copy_(other)
    x = torch.randn(7, 3, 16)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)  # float32 sums in another order


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"batch": 0}, "1 or more for batch, got 0"),
        ({"width": 10, "n_heads": 3}, "width that 3 heads divide, got 10"),
        ({"sequence": 1.5}, "sequence, got 1.5"),
    ],
)
def test_sizes_that_make_no_layer_are_refused(sizes: dict[str, int], words: str) -> None:
    with pytest.raises(ModelInputError, match=words):
        EncoderSizes(**sizes)
