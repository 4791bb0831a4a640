"""Where a training step's FLOPs go and where its time goes: three classes of operators, counted and modelled.

Modelled: the time of each operator on a data sheet's GPU by :func:`teachkit.model.predict`. FLOPs and bytes are counted
from the operators that PyTorch really runs, forward and backward. Classes follow the paper: *tensor contraction* is
every matrix product; *statistical normalisation* is softmax with the scaling and dropout of the attention scores that
belong to it, layer normalisation, and the sums over rows that give the gradients of biases; *element-wise* is the rest.
Not modelled: how far real kernels stay behind the roofline. Nothing is fitted to the published shares: matrix products
take their FLOPs at the data sheet's tensor rate, the others their bytes at the bandwidth that a triad was measured to
reach. The biases of matrix products are part of them here (``addmm``) and operators of their own in the paper.
Source: A. Ivanov et al., "Data Movement Is All You Need", arXiv:2007.00072, section 3 and table 1 (BERT-large encoder
layer, forward and backward, batch 8, sequence 512, mixed precision, PyTorch on V100).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch

from teachkit.hardware.spec import GpuSpec
from teachkit.measure.by_shape import CountByShape, CountedOperator
from teachkit.model.bert_layer import EncoderLayer, EncoderSizes
from teachkit.model.time_model import predict

CLASSES = ("tensor contraction", "statistical normalisation", "element-wise")

PUBLISHED_FLOP_PERCENT = {"tensor contraction": 99.80, "statistical normalisation": 0.17, "element-wise": 0.03}
"""Source: Ivanov et al., arXiv:2007.00072, table 1."""
PUBLISHED_TIME_PERCENT = {"tensor contraction": 61.0, "statistical normalisation": 25.5, "element-wise": 13.5}
"""Source: Ivanov et al., arXiv:2007.00072, table 1."""

_NORMALISES = ("softmax", "layer_norm", "batch_norm", "group_norm", "rms_norm")
_SUMS = ("aten.sum", "aten.mean")


@dataclasses.dataclass(frozen=True)
class ClassShare:
    """What one class of operators does.

    Attributes
    ----------
    n_operators
        Launches.
    n_flop, n_bytes
        Counted.
    seconds
        Modelled.
    flop_percent, time_percent
        Shares of the whole.
    """

    n_operators: int
    n_flop: int
    n_bytes: int
    seconds: float
    flop_percent: float
    time_percent: float

    @property
    def flop_per_s(self) -> float:
        """FLOP rate that the class achieves, modelled."""
        return self.n_flop / self.seconds if self.seconds else 0.0


def count_training_step(sizes: EncoderSizes | None = None, dtype: torch.dtype = torch.float16) -> CountByShape:
    """Count one encoder layer forward and backward, from shapes alone.

    Parameters
    ----------
    sizes
        Sizes of the layer; default BERT-large as published.
    dtype
        Of activations and weights.

    Returns
    -------
    CountByShape
        ``operators`` in the order in which PyTorch runs them.
    """
    sizes = sizes or EncoderSizes()
    with torch.device("meta"):
        layer = EncoderLayer(sizes).to(dtype)
    shape = (sizes.sequence, sizes.batch, sizes.width)
    x = torch.empty(shape, device="meta", dtype=dtype, requires_grad=True)
    gradient = torch.empty(shape, device="meta", dtype=dtype)
    with CountByShape() as counted:
        layer(x).backward(gradient)
    return counted


def class_of(operator: CountedOperator, sizes: EncoderSizes) -> str:
    """Return the class of an operator of an encoder layer.

    Whatever works on the attention scores, ``[batch * heads, sequence, sequence]``, and is no matrix product is part
    of the scaled softmax, as in the paper's table A.1.
    """
    if operator.is_contraction:
        return CLASSES[0]
    scores = (sizes.batch * sizes.n_heads, sizes.sequence, sizes.sequence)
    if operator.name in _SUMS or scores in operator.shapes or any(name in operator.name for name in _NORMALISES):
        return CLASSES[1]
    return CLASSES[2]


def class_shares(
    counted: CountByShape,
    classify: Callable[[CountedOperator], str],
    gpu: str | GpuSpec = "V100-SXM2-16GB",
) -> dict[str, ClassShare]:
    """Return what each class of operators does, and takes on a GPU.

    Parameters
    ----------
    counted
        A training step.
    classify
        Gives each operator one of ``CLASSES``.
    gpu
        Name or data sheet.
    """
    times = [kernel.seconds for kernel in predict(counted, gpu=gpu).kernels]
    n_flop, n_bytes = dict.fromkeys(CLASSES, 0), dict.fromkeys(CLASSES, 0)
    seconds, n_operators = dict.fromkeys(CLASSES, 0.0), dict.fromkeys(CLASSES, 0)
    for operator, time in zip(counted.operators, times, strict=True):
        name = classify(operator)
        n_operators[name] += 1
        n_flop[name] += operator.counters.flop
        n_bytes[name] += operator.counters.dram_bytes
        seconds[name] += time
    all_flop, all_seconds = sum(n_flop.values()), sum(seconds.values())
    return {
        name: ClassShare(
            n_operators[name],
            n_flop[name],
            n_bytes[name],
            seconds[name],
            100 * n_flop[name] / all_flop,
            100 * seconds[name] / all_seconds,
        )
        for name in CLASSES
    }


def bert_on(gpu: str | GpuSpec = "V100-SXM2-16GB", sizes: EncoderSizes | None = None) -> dict[str, ClassShare]:
    """Return the published table for BERT-large's encoder layer: shares of FLOPs (counted) and of time (modelled).

    Parameters
    ----------
    gpu
        Name or data sheet; the paper measured on a V100.
    sizes
        Default: as published.
    """
    sizes = sizes or EncoderSizes()
    return class_shares(count_training_step(sizes), lambda operator: class_of(operator, sizes), gpu)


def slower_than_contractions(shares: Mapping[str, Any]) -> dict[str, float]:
    """Return how many times lower the achieved FLOP rate of the other classes is than that of the contractions."""
    rate = shares[CLASSES[0]].flop_per_s
    return {name: rate / shares[name].flop_per_s for name in CLASSES[1:]}
