"""One encoder layer of BERT-large in plain PyTorch, as the published measurements of its operators take it apart.

Modelled: nothing; it is a real layer, trained and run like any other.
Not modelled: embeddings, the attention mask, the heads on top.
Source: J. Devlin et al., "BERT", arXiv:1810.04805, section 3 (sizes); A. Ivanov et al., "Data Movement Is All You
Need", arXiv:2007.00072, section 3 and table A.1 (batch, sequence, ReLU, stacked Q, K and V, sequence first).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from teachkit.errors import ModelInputError


@dataclasses.dataclass(frozen=True)
class EncoderSizes:
    """Sizes of a layer and of what it is given; the defaults are those of the published measurement.

    Attributes
    ----------
    batch, sequence
        Sequences at once, and tokens in each.
    width
        Numbers a token (hidden size).
    n_heads
        Attention heads; they share the width.
    inner
        Width of the feed-forward layer.
    """

    batch: int = 8
    sequence: int = 512
    width: int = 1024
    n_heads: int = 16
    inner: int = 4096

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ModelInputError(f"Expected a whole number of 1 or more for {field.name}, got {value!r}.")
        if self.width % self.n_heads:
            raise ModelInputError(
                f"Expected a width that {self.n_heads} heads divide, got {self.width}.",
                hint="BERT-large has 16 heads of 64.",
            )


class Dropout(nn.Module):
    """Dropout as CUDA builds of PyTorch run it: one operator that writes the result and a mask of one byte each.

    PyTorch's CPU builds make three operators of it, which no GPU would run.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop elements of ``[...]`` and scale the others."""
        out: torch.Tensor = torch.native_dropout(x, self.probability, self.training)[0]
        return out


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each with dropout, residual and layer normalisation after it."""

    def __init__(self, sizes: EncoderSizes, dropout: float = 0.1) -> None:
        super().__init__()
        self.sizes = sizes
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.out = nn.Linear(sizes.width, sizes.width)
        self.first = nn.Linear(sizes.width, sizes.inner)
        self.second = nn.Linear(sizes.inner, sizes.width)
        self.norm_1, self.norm_2 = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)
        self.drop_scores, self.drop_attention = Dropout(dropout), Dropout(dropout)
        self.drop_inner, self.drop_second = Dropout(dropout), Dropout(dropout)

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """Attend: ``[L, B, width]`` to the same shape."""
        length, batch, width = x.shape
        n_heads = self.sizes.n_heads
        head = width // n_heads
        parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.contiguous().view(length, batch * n_heads, head).transpose(0, 1) for part in parts)
        scores = torch.bmm(q, k.transpose(1, 2)) * head**-0.5
        weights = self.drop_scores(torch.softmax(scores, dim=-1))
        mixed = torch.bmm(weights, v).transpose(0, 1).reshape(length, batch, width)
        out: torch.Tensor = self.out(mixed)
        return out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to ``[L, B, width]``."""
        x = self.norm_1(x + self.drop_attention(self.attention(x)))
        inner = self.drop_inner(torch.relu(self.first(x)))
        out: torch.Tensor = self.norm_2(x + self.drop_second(self.second(inner)))
        return out
