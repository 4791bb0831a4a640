"""How GPUs and models grew: ratios between data sheets, and the parameters of published models by year.

Modelled: nothing; ratios of data-sheet numbers, and cited sizes.
Not modelled: price, power, what a kernel reaches of a data sheet's rate.
"""

from __future__ import annotations

import dataclasses
import math

from teachkit.errors import ModelInputError
from teachkit.hardware.spec import GpuSpec, gpu

YEAR_OF = {
    "P100-SXM2-16GB": 2016,
    "V100-SXM2-16GB": 2017,
    "A100-SXM4-40GB": 2020,
    "H100-SXM5-80GB": 2022,
    "H200-SXM5-141GB": 2023,
    "B200-SXM6-180GB": 2024,
}
"""Year of the announcement. Source: NVIDIA, at GTC 2016, 2017, 2020, 2022, at SC23 and at GTC 2024."""


@dataclasses.dataclass(frozen=True)
class Generation:
    """What matters of one GPU for the trend.

    Attributes
    ----------
    name, year
        Data sheet, and year of the announcement.
    half_flop_per_s
        Best dense half-precision rate with float32 accumulation where there are tensor cores.
    dram_bytes_per_s, dram_bytes
        As promised.
    """

    name: str
    year: int
    half_flop_per_s: float
    dram_bytes_per_s: float
    dram_bytes: int

    @property
    def flop_per_byte(self) -> float:
        """Ridge point: FLOPs that one byte from memory has to feed."""
        return self.half_flop_per_s / self.dram_bytes_per_s


def generations() -> tuple[Generation, ...]:
    """Return the data-centre GPUs from P100 to B200 in the order of their years.

    Examples
    --------
    >>> [generation.name.split("-")[0] for generation in generations()]
    ['P100', 'V100', 'A100', 'H100', 'H200', 'B200']
    """
    found = []
    for name, year in YEAR_OF.items():
        spec = gpu(name)
        rate = spec.tensor_fp16_flop_per_s or spec.fp16_flop_per_s
        assert rate is not None, name
        found.append(Generation(name, year, rate, spec.dram_bytes_per_s, spec.dram_bytes))
    return tuple(found)


def ratio(newer: str | GpuSpec, older: str | GpuSpec, field: str, older_field: str | None = None) -> float:
    """Return how many times more a newer GPU has of something.

    Parameters
    ----------
    newer, older
        Names or data sheets.
    field
        A number of :class:`~teachkit.hardware.spec.GpuSpec`.
    older_field
        The number of the older one to compare with; default the same.

    Raises
    ------
    ModelInputError
        If one of the data sheets lacks the number.

    Examples
    --------
    >>> round(ratio("H100", "A100-80GB", "dram_bytes_per_s"), 2)
    1.64
    """
    above, below = _number(gpu(newer), field), _number(gpu(older), older_field or field)
    return above / below


def _number(spec: GpuSpec, field: str) -> float:
    value = getattr(spec, field, None)
    if not isinstance(value, (int, float)):
        raise ModelInputError(
            f"Expected a number {field!r} on the data sheet of {spec.name}, got {value!r}.",
            hint="tensor_fp16_flop_per_s, dram_bytes_per_s and dram_bytes are on all since V100.",
        )
    return float(value)


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """A language model as published.

    Attributes
    ----------
    name, year
        As in its paper.
    n_parameters
        All of them.
    is_sparse
        A mixture of experts: a token meets a part of them.
    source
        The paper.
    """

    name: str
    year: int
    n_parameters: float
    is_sparse: bool
    source: str


PUBLISHED_MODELS = (
    PublishedModel("ELMo", 2018, 94e6, False, "M. Peters et al., arXiv:1802.05365"),
    PublishedModel("BERT-large", 2018, 340e6, False, "J. Devlin et al., arXiv:1810.04805, section 3"),
    PublishedModel("GPT-2", 2019, 1.5e9, False, "A. Radford et al., 2019, table 2"),
    PublishedModel("Megatron-LM", 2019, 8.3e9, False, "M. Shoeybi et al., arXiv:1909.08053"),
    PublishedModel("T5-11B", 2019, 11e9, False, "C. Raffel et al., arXiv:1910.10683"),
    PublishedModel("GPT-3", 2020, 175e9, False, "T. Brown et al., arXiv:2005.14165, table 2.1"),
    PublishedModel("Switch-C", 2021, 1.571e12, True, "W. Fedus et al., arXiv:2101.03961, table 9"),
    PublishedModel("Gopher", 2021, 280e9, False, "J. Rae et al., arXiv:2112.11446, table 1"),
    PublishedModel("MT-NLG", 2022, 530e9, False, "S. Smith et al., arXiv:2201.11990"),
    PublishedModel("PaLM", 2022, 540e9, False, "A. Chowdhery et al., arXiv:2204.02311, table 1"),
    PublishedModel("Llama 3.1 405B", 2024, 405e9, False, "Llama Team, arXiv:2407.21783"),
    PublishedModel("DeepSeek-V3", 2024, 671e9, True, "DeepSeek-AI, arXiv:2412.19437"),
)
"""Sizes of language models, each with its source."""


def orders_of_magnitude(newer: float, older: float) -> float:
    """Return the decimal logarithm of a ratio.

    Raises
    ------
    ModelInputError
        If a number is not positive.

    Examples
    --------
    >>> orders_of_magnitude(540e9, 0.54e9)
    3.0
    """
    if not (newer > 0 and older > 0):
        raise ModelInputError(f"Expected two positive numbers, got {newer!r} and {older!r}.")
    return math.log10(newer / older)
