"""Model FLOPs utilisation: what share of a machine's FLOPs a training run puts into its model.

Modelled: the FLOPs of a token by the PaLM paper's formula. The table below is cited, each row with its own source; rows
with tokens a second can be worked out again by :func:`mfu`.
Not modelled: FLOPs spent on recomputing activations (hardware utilisation, HFU, counts them too).
Source: A. Chowdhery et al., "PaLM", arXiv:2204.02311, appendix B.
"""

from __future__ import annotations

import dataclasses

from teachkit.errors import ModelInputError
from teachkit.hardware.spec import GpuSpec
from teachkit.model.bert_layer import EncoderSizes
from teachkit.model.operator_classes import count_training_step
from teachkit.model.time_model import predict


@dataclasses.dataclass(frozen=True)
class PublishedRun:
    """A training run as its authors report it.

    Attributes
    ----------
    model, device
        What was trained, on what.
    n_devices
        How many of them.
    peak_flop_per_s
        Dense half-precision rate of one.
    mfu_percent
        As printed.
    source
        Paper and table.
    flop_per_s_per_device
        As printed; ``None`` where it is not.
    """

    model: str
    device: str
    n_devices: int | None
    peak_flop_per_s: float
    mfu_percent: float
    source: str
    flop_per_s_per_device: float | None = None


_PALM = "arXiv:2204.02311, table 3"
_KORTHIKANTI = "arXiv:2205.05198, table 5"
_LLAMA_3 = "arXiv:2407.21783, table 4"

PUBLISHED_RUNS = (
    PublishedRun("GPT-3 175B", "V100", None, 125e12, 21.3, _PALM),
    PublishedRun("Gopher 280B", "TPU v3", 4096, 123e12, 32.5, _PALM),
    PublishedRun("MT-NLG 530B", "A100", 2240, 312e12, 30.2, _PALM),
    PublishedRun("PaLM 540B", "TPU v4", 6144, 275e12, 46.2, _PALM),
    PublishedRun("GPT 22B, selective recomputation", "A100", 8, 312e12, 41.5, _KORTHIKANTI),
    PublishedRun("GPT 175B, selective recomputation", "A100", 64, 312e12, 51.4, _KORTHIKANTI),
    PublishedRun("GPT 530B, selective recomputation", "A100", 280, 312e12, 56.0, _KORTHIKANTI),
    PublishedRun("GPT 1T, selective recomputation", "A100", 512, 312e12, 56.3, _KORTHIKANTI),
    PublishedRun("Llama 3 405B", "H100", 8192, 989e12, 43.0, _LLAMA_3, 430e12),
    PublishedRun("Llama 3 405B", "H100", 16_384, 989e12, 41.0, _LLAMA_3, 400e12),
    PublishedRun("Llama 3 405B, long context", "H100", 16_384, 989e12, 38.0, _LLAMA_3, 380e12),
)
"""Published utilisation; every row names its table."""


def training_flop_per_token(n_parameters: float, n_layers: int = 0, width: int = 0, sequence: int = 0) -> float:
    """Return the FLOPs that one token costs in training: ``6 N + 12 layers * width * sequence``.

    Parameters
    ----------
    n_parameters
        Parameters that each token meets.
    n_layers, width, sequence
        Layers, heads times head size, tokens a sequence: for the attention scores; 0 leaves them out.

    Examples
    --------
    >>> round(training_flop_per_token(540.35e9, 118, 48 * 256, 2048) / 1e12, 2)
    3.28
    """
    _require_positive(n_parameters=n_parameters)
    return 6 * n_parameters + 12 * n_layers * width * sequence


def mfu(tokens_per_s: float, flop_per_token: float, n_devices: int, peak_flop_per_s: float) -> float:
    """Return the share of the machine's FLOPs that goes into the model, 0 to 1.

    Parameters
    ----------
    tokens_per_s
        Of the whole machine.
    flop_per_token
        See :func:`training_flop_per_token`.
    n_devices, peak_flop_per_s
        Devices, and the dense rate of one.

    Raises
    ------
    ModelInputError
        If a quantity is not positive, or the answer would be above 1.

    Examples
    --------
    >>> palm = training_flop_per_token(540.35e9, 118, 48 * 256, 2048)
    >>> round(100 * mfu(238.3e3, palm, 6144, 275e12), 1)  # the paper prints 46.2
    46.2
    """
    _require_positive(
        tokens_per_s=tokens_per_s, flop_per_token=flop_per_token, n_devices=n_devices, peak_flop_per_s=peak_flop_per_s
    )
    share = tokens_per_s * flop_per_token / (n_devices * peak_flop_per_s)
    if share > 1:
        raise ModelInputError(
            f"Expected at most the machine's own FLOPs, got {share:.2f} times as many.",
            hint="is the peak rate the dense one, and tokens_per_s that of all devices?",
        )
    return share


def eager_mfu(on: str | GpuSpec = "A100-SXM4-40GB", sizes: EncoderSizes | None = None) -> float:
    """Return the utilisation that an eager encoder layer can reach at best on a GPU, modelled, 0 to 1.

    Parameters
    ----------
    on
        Name or data sheet, with a half-precision tensor rate.
    sizes
        Of the layer and its batch; default BERT-large with 8 sequences of 512 tokens.

    Raises
    ------
    ModelInputError
        If the GPU has no tensor cores for half precision.
    """
    estimate = predict(counted := count_training_step(sizes), gpu=on)
    peak: float | None = getattr(estimate.gpu, "tensor_fp16_flop_per_s", None)
    if peak is None:
        raise ModelInputError(f"Expected a GPU with half-precision tensor cores, got {estimate.gpu.name}.")
    return counted.total.flop_tensor / (estimate.seconds * peak)


def _require_positive(**quantities: float) -> None:
    for name, value in quantities.items():
        if not value > 0:
            raise ModelInputError(f"Expected {name} to be positive, got {value!r}.")
