"""How much memory a model needs to be trained and to be run: weights, gradients, optimiser, activations, KV cache.

Modelled: mixed-precision training with Adam, 16 bytes a parameter; the activations that the backward pass needs; keys
and values of every token for inference.
Not modelled: fragmentation, buffers of communication, temporary tensors, parallelism (divide by the devices yourself).

Source: S. Rajbhandari et al., "ZeRO", arXiv:1910.02054, section 3.1 (2 + 2 + 12 bytes a parameter); V. Korthikanti et
al., "Reducing Activation Recomputation in Large Transformer Models", arXiv:2205.05198, equation 2 and table 2 (the
activations of a GPT layer: a gated feed-forward layer keeps somewhat more).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from teachkit.errors import ModelInputError
from teachkit.hardware.spec import GpuSpec, gpu
from teachkit.model.transformer_sizes import Transformer, transformer

Recomputation = Literal["none", "selective", "full"]

ADAM_BYTES = {"float32 weights": 4, "momentum": 4, "variance": 4}
"""Bytes a parameter that Adam keeps beside half-precision weights. Source: arXiv:1910.02054, section 3.1."""


@dataclasses.dataclass(frozen=True)
class TrainingMemory:
    """Bytes by what they are for."""

    weights: int
    gradients: int
    optimiser: int
    activations: int

    @property
    def states(self) -> int:
        """Weights, gradients and optimiser."""
        return self.weights + self.gradients + self.optimiser

    @property
    def total(self) -> int:
        """Everything."""
        return self.states + self.activations


@dataclasses.dataclass(frozen=True)
class InferenceMemory:
    """Bytes by what they are for."""

    weights: int
    kv_cache: int

    @property
    def total(self) -> int:
        """Everything."""
        return self.weights + self.kv_cache


def training_memory(
    model: str | Transformer,
    batch: int = 1,
    sequence: int = 2048,
    *,
    weight_bytes: int = 2,
    recomputation: Recomputation = "none",
) -> TrainingMemory:
    """Return the bytes that training needs, all devices together.

    Parameters
    ----------
    model
        Name or sizes.
    batch, sequence
        Sequences that are under way at once, and tokens in each.
    weight_bytes
        Bytes of a weight, and of its gradient; 4 means that no second copy in float32 is kept.
    recomputation
        ``"none"`` keeps all activations; ``"selective"`` recomputes those of attention's inside; ``"full"`` keeps the
        input of each layer alone.

    Raises
    ------
    ModelInputError
        If a number is not positive or a word is unknown.

    Examples
    --------
    >>> training_memory("Llama 2 7B").states // 10**9
    107
    """
    sizes = transformer(model)
    _require_counts(batch=batch, sequence=sequence)
    if weight_bytes not in (2, 4):
        raise ModelInputError(f"Expected weights of 2 or 4 bytes, got {weight_bytes!r}.")
    n = sizes.n_parameters
    optimiser = sum(ADAM_BYTES.values()) if weight_bytes == 2 else ADAM_BYTES["momentum"] + ADAM_BYTES["variance"]
    kept = sizes.n_layers * layer_activation_bytes(sizes, batch, sequence, recomputation)
    return TrainingMemory(weight_bytes * n, weight_bytes * n, optimiser * n, kept)


def layer_activation_bytes(
    model: str | Transformer, batch: int, sequence: int, recomputation: Recomputation = "none"
) -> int:
    """Return the bytes of half-precision activations that one layer keeps for its backward pass.

    ``batch * sequence * width * (34 + 5 * n_heads * sequence / width)``; the second term is the attention scores.

    Examples
    --------
    >>> layer_activation_bytes("GPT-3 175B", 1, 2048) / layer_activation_bytes("GPT-3 175B", 1, 2048, "selective")
    3.3529411764705883
    """
    sizes = transformer(model)
    _require_counts(batch=batch, sequence=sequence)
    tokens_by_width = batch * sequence * sizes.width
    scores = 5 * batch * sizes.n_heads * sequence * sequence
    kept = {"none": 34 * tokens_by_width + scores, "selective": 34 * tokens_by_width, "full": 2 * tokens_by_width}
    if recomputation not in kept:
        raise ModelInputError(f"Expected recomputation to be one of {', '.join(kept)}, got {recomputation!r}.")
    return kept[recomputation]


def kv_cache_bytes(model: str | Transformer, batch: int, sequence: int, element_bytes: int = 2) -> int:
    """Return the bytes of keys and values of every token, layer and head of keys.

    Examples
    --------
    >>> kv_cache_bytes("Llama 2 7B", 1, 4096) == 2 * 2**30
    True
    """
    sizes = transformer(model)
    _require_counts(batch=batch, sequence=sequence, element_bytes=element_bytes)
    return 2 * sizes.n_layers * sizes.n_kv_heads * sizes.head_width * batch * sequence * element_bytes


def inference_memory(
    model: str | Transformer, batch: int = 1, sequence: int = 4096, *, weight_bytes: float = 2
) -> InferenceMemory:
    """Return the bytes that running a model needs, all devices together.

    Parameters
    ----------
    model
        Name or sizes.
    batch, sequence
        Sequences at once, and tokens in each.
    weight_bytes
        Bytes of a weight: 2 for half precision, 1 for 8 bits, 0.5 for 4 bits.

    Raises
    ------
    ModelInputError
        If a number is not positive.
    """
    if not weight_bytes > 0:
        raise ModelInputError(f"Expected weight_bytes to be positive, got {weight_bytes!r}.")
    sizes = transformer(model)
    return InferenceMemory(math.ceil(weight_bytes * sizes.n_parameters), kv_cache_bytes(sizes, batch, sequence))


def n_gpus_for(n_bytes: int, on: str | GpuSpec = "A100-SXM4-80GB") -> int:
    """Return how many GPUs hold that much at least, if every byte of their memory could be used.

    Examples
    --------
    >>> n_gpus_for(inference_memory("GPT-3 175B").weights)
    5
    """
    return math.ceil(n_bytes / gpu(on).dram_bytes)


def _require_counts(**counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ModelInputError(f"Expected {name} to be a whole number of 1 or more, got {value!r}.")
