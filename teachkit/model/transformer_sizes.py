"""Sizes of published decoder-only transformers, and how many parameters they have.

Modelled: parameters of embeddings, attention (with grouped keys and values), feed-forward layers (gated or not), norms
and biases. Not modelled: mixtures of experts, low-rank attention.
"""

from __future__ import annotations

import dataclasses
import difflib

from teachkit.errors import ModelInputError


@dataclasses.dataclass(frozen=True)
class Transformer:
    """A decoder-only transformer.

    Attributes
    ----------
    name
        As published.
    n_layers, width, n_heads, n_kv_heads, inner
        Layers; numbers a token; attention heads; heads of keys and values; width of the feed-forward layer.
    vocabulary
        Tokens.
    is_gated
        Three matrices in the feed-forward layer instead of two.
    has_biases
        Biases and shifts, as GPT has; Llama has none.
    shares_embedding
        One matrix for reading and for writing tokens.
    n_positions
        Learned positions; 0 where they are computed.
    source
        Where the sizes are from.
    """

    name: str
    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    inner: int
    vocabulary: int
    is_gated: bool = True
    has_biases: bool = False
    shares_embedding: bool = False
    n_positions: int = 0
    source: str = ""

    @property
    def head_width(self) -> int:
        """Numbers a head."""
        return self.width // self.n_heads

    @property
    def layer_parameters(self) -> int:
        """Parameters of one layer."""
        kv_width = self.n_kv_heads * self.head_width
        n_matrices = 3 if self.is_gated else 2
        weights = 2 * self.width * (self.width + kv_width) + n_matrices * self.width * self.inner
        biases = 2 * self.width + 2 * kv_width + self.inner + self.width if self.has_biases else 0
        norms = 2 * self.width * (2 if self.has_biases else 1)
        return weights + biases + norms

    @property
    def n_parameters(self) -> int:
        """All parameters."""
        n_embeddings = 1 if self.shares_embedding else 2
        embeddings = n_embeddings * self.vocabulary * self.width + self.n_positions * self.width
        last_norm = self.width * (2 if self.has_biases else 1)
        return embeddings + self.n_layers * self.layer_parameters + last_norm


_LLAMA_2 = "H. Touvron et al., arXiv:2307.09288, and the config.json that Meta published with the weights"
_LLAMA_3 = "Llama Team, arXiv:2407.21783, table 3, and the config.json that Meta published with the weights"
_GPT_3 = "T. Brown et al., arXiv:2005.14165, table 2.1"
_MT_NLG = "S. Smith et al., arXiv:2201.11990, section 3.2"

TRANSFORMERS = {
    model.name: model
    for model in (
        Transformer("Llama 2 7B", 32, 4096, 32, 32, 11_008, 32_000, source=_LLAMA_2),
        Transformer("Llama 2 13B", 40, 5120, 40, 40, 13_824, 32_000, source=_LLAMA_2),
        Transformer("Llama 2 70B", 80, 8192, 64, 8, 28_672, 32_000, source=_LLAMA_2),
        Transformer("Llama 3.1 8B", 32, 4096, 32, 8, 14_336, 128_256, source=_LLAMA_3),
        Transformer("Llama 3.1 405B", 126, 16_384, 128, 8, 53_248, 128_256, source=_LLAMA_3),
        Transformer("GPT-3 175B", 96, 12_288, 96, 96, 49_152, 50_257, False, True, True, 2048, _GPT_3),
        Transformer("MT-NLG 530B", 105, 20_480, 128, 128, 81_920, 51_200, False, True, True, 2048, _MT_NLG),
    )
}
"""Published models by name."""


def transformer(name: str | Transformer) -> Transformer:
    """Return a published model by its name.

    Raises
    ------
    ModelInputError
        If there is none of that name; the message lists what exists.

    Examples
    --------
    >>> transformer("Llama 2 7B").n_parameters
    6738415616
    """
    if isinstance(name, Transformer):
        return name
    if name not in TRANSFORMERS:
        near = difflib.get_close_matches(name, TRANSFORMERS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else "Transformer(...) describes any other."
        raise ModelInputError(f"Expected one of {', '.join(TRANSFORMERS)}, got {name!r}.", hint=hint)
    return TRANSFORMERS[name]
