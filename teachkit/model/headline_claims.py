"""The source article's headline numbers, each beside what the model finds: claims C09 to C18.

Modelled: by the modules that each function calls; a finding says how its number came about. What the article claims is
written here once, and nothing is fitted to it.
Not modelled: claims about compilers and kernels (C01 to C08, C19 to C32), which are counted in their chapters.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from teachkit.errors import ModelInputError
from teachkit.hardware.spec import gpu
from teachkit.measure.by_shape import CountByShape
from teachkit.model import memory_capacity, memory_cost, mfu, operator_classes, regimes, trends, width_sweep
from teachkit.model.bert_layer import EncoderSizes
from teachkit.model.finding import INF, Finding, about
from teachkit.model.transformer_sizes import TRANSFORMERS, transformer


def c09_sram() -> list[Finding]:
    """On-chip memory: sizes of L2, and what a gigabyte of SRAM takes on TSMC 5 nm."""
    cost = memory_cost.sram_cost()
    a100, h100 = gpu("A100"), gpu("H100")
    cells, wafer = "cell of 0.021 um2 (IEDM 2019)", "wafer of 16,988 USD (CSET 2020)"
    in_400_mm2 = cost.cost_usd * 400 / cost.area_mm2
    return [
        Finding("C09", "L2 of A100, MiB", 40, 40, a100.l2_bytes / 2**20, "data sheet", a100.sources["l2_bytes"]),
        Finding("C09", "L2 of H100, MiB", 50, 50, h100.l2_bytes / 2**20, "data sheet", h100.sources["l2_bytes"]),
        Finding(
            "C09", "1 GB of SRAM, cells alone, mm2", *about(200, 15), cost.cells_mm2, "modelled", cells, "about 200"
        ),
        Finding(
            "C09",
            "1 GB with control logic, mm2",
            400,
            INF,
            cost.area_mm2,
            "modelled",
            f"{cells}; cells are 35 % of the area, as in AMD's 3D V-Cache (ISSCC 2022)",
        ),
        Finding(
            "C09",
            "1 GB of SRAM in 400 mm2, USD",
            *about(100, 25),
            in_400_mm2,
            "modelled",
            f"{wafer}, no margin",
            "about 100",
        ),
        Finding(
            "C09", "1 GB of SRAM, USD", *about(100, 25), cost.cost_usd, "modelled", f"{wafer}, no margin", "about 100"
        ),
    ]


def c10_hbm() -> list[Finding]:
    """Memory beside the chip: stacked DRAM is dearer than plain, and DRAM is half of a server."""
    cost = memory_cost.dram_cost(memory_cost.GIGABYTE)
    premium, share = memory_cost.HBM_PREMIUM, 100 * memory_cost.DRAM_SHARE_OF_SERVER
    prices = "lowest retail price of 2023 (McCallum); the market moves"
    return [
        Finding("C10", "plain DRAM, USD/GB", 1, 9, cost.dram_usd, "cited", prices, "a few"),
        Finding("C10", "HBM, times the price of DDR5", 1, INF, premium, "cited", "TrendForce, December 2025", "dearer"),
        Finding(
            "C10", "DRAM's share of a server, %", *about(50, 10), share, "cited", "Pond, ASPLOS 2023: Azure", "about 50"
        ),
    ]


def c11_a100_to_h100() -> list[Finding]:
    """A100 to H100: which FLOPS grew sixfold, and how memory bandwidth lagged behind."""
    eight_bits = trends.ratio("H100", "A100", "tensor_fp8_flop_per_s", "tensor_fp16_flop_per_s")
    same = trends.ratio("H100", "A100", "tensor_fp16_flop_per_s")
    bandwidth = trends.ratio("H100", "A100-80GB", "dram_bytes_per_s")
    return [
        Finding(
            "C11", "FLOPS, FP8 of H100 over FP16 of A100", 6, 7, eight_bits, "data sheet", "dense, both", "more than 6"
        ),
        Finding(
            "C11",
            "FLOPS, FP16 over FP16",
            6,
            7,
            same,
            "data sheet",
            "dense, both: the claim compares unlike",
            "more than 6",
        ),
        Finding("C11", "memory bandwidth", *about(1.65, 2), bandwidth, "data sheet", "SXM5 over SXM4 80 GB", "1.65"),
    ]


def c12_p100_to_h100() -> list[Finding]:
    """P100 to H100: memory against half-precision FLOPS."""
    memory = trends.ratio("H100", "P100-SXM2", "dram_bytes")
    flops = trends.ratio("H100", "P100-SXM2", "tensor_fp16_flop_per_s", "fp16_flop_per_s")
    return [
        Finding("C12", "memory capacity", 5, 5, memory, "data sheet", "80 over 16 GB"),
        Finding("C12", "FP16 FLOPS", *about(46, 3), flops, "data sheet", "tensor cores over plain FP16, dense", "46"),
    ]


def c13_bert() -> list[Finding]:
    """BERT on V100: shares of FLOPs and of time of three classes of operators."""
    shares = operator_classes.bert_on("V100-SXM2-16GB")
    findings = []
    for name in operator_classes.CLASSES:
        claimed = operator_classes.PUBLISHED_FLOP_PERCENT[name]
        found = shares[name].flop_percent
        note = "encoder layer of BERT-large, forward and backward, 8 x 512 tokens"
        findings.append(
            Finding(
                "C13", f"{name}, % of FLOPs", claimed - 0.1, claimed + 0.1, found, "counted", note, f"{claimed:.2f}"
            )
        )
    for name in operator_classes.CLASSES:
        claimed, found = operator_classes.PUBLISHED_TIME_PERCENT[name], shares[name].time_percent
        note = "FP16; matrix products at the data sheet's tensor rate, the rest at measured triad bandwidth"
        findings.append(
            Finding("C13", f"{name}, % of time", claimed - 5, claimed + 5, found, "modelled", note, f"{claimed:.1f}")
        )
    for (name, found), claimed in zip(
        operator_classes.slower_than_contractions(shares).items(), (245, 736), strict=True
    ):
        note = "the article rounds to 250 and 700"
        quantity = f"contractions' FLOP rate over that of {name}"
        findings.append(Finding("C13", quantity, claimed / 1.5, claimed * 1.5, found, "modelled", note, f"{claimed}"))
    return findings


def c14_growth() -> list[Finding]:
    """Since BERT: orders of magnitude of parameters against those of the fastest GPU."""
    by_name = {model.name: model for model in trends.PUBLISHED_MODELS}
    start = by_name["BERT-large"].n_parameters
    rates = {generation.name: generation.half_flop_per_s for generation in trends.generations()}
    gpus = trends.orders_of_magnitude(rates["H100-SXM5-80GB"], rates["V100-SXM2-16GB"])
    latest = trends.orders_of_magnitude(rates["B200-SXM6-180GB"], rates["V100-SXM2-16GB"])
    return [
        Finding(
            "C14",
            f"orders of magnitude of parameters, BERT-large to {name}",
            3,
            4,
            trends.orders_of_magnitude(by_name[name].n_parameters, start),
            "cited",
            by_name[name].source,
        )
        for name in ("PaLM", "Switch-C", "Llama 3.1 405B")
    ] + [
        Finding("C14", "orders of magnitude of FLOPS, V100 to H100", 0.8, 1.2, gpus, "data sheet", "FP16 dense", "1"),
        Finding("C14", "orders of magnitude of FLOPS, V100 to B200", 0.8, 1.2, latest, "data sheet", "FP16 dense", "1"),
    ]


def c15_mfu() -> list[Finding]:
    """Utilisation: an eager layer on an A100, and the best published training runs."""
    small = 100 * mfu.eager_mfu("A100", EncoderSizes(batch=1, sequence=128))
    large = 100 * mfu.eager_mfu("A100")
    best = max(mfu.PUBLISHED_RUNS, key=lambda run: run.mfu_percent)
    note = "an upper bound: eager operators on the roofline, launches queued without a gap"
    return [
        Finding("C15", "eager BERT layer, 1 x 128 tokens, MFU %", 0, 20, small, "modelled", note, "very low"),
        Finding("C15", "eager BERT layer, 8 x 512 tokens, MFU %", 0, 60, large, "modelled", note),
        Finding(
            "C15",
            "best tuned training run, MFU %",
            *about(60, 8),
            best.mfu_percent,
            "cited",
            f"{best.model}, {best.source}",
            "about 60",
        ),
    ]


def c16_regimes() -> list[Finding]:
    """Three regimes: what does not help a program that waits for something else."""
    with CountByShape() as memory:
        torch.empty(1 << 28, device="meta") + 1
    with CountByShape() as compute:
        matrix = torch.empty(8192, 8192, device="meta", dtype=torch.float16)
        matrix @ matrix
    with CountByShape() as overhead:
        torch.empty(1024, device="meta") + 1
    addition, product, small = (regimes.regime(counted, "A100").speedups for counted in (memory, compute, overhead))
    note = "modelled on A100-SXM4-40GB and what-if devices"
    unchanged = (1.0, 1.01)
    return [
        Finding("C16", "large addition, gain of twice the FLOPS", *unchanged, addition["compute"], "modelled", note),
        Finding("C16", "large addition, gain of twice the bandwidth", 1.9, 2, addition["bandwidth"], "modelled", note),
        Finding("C16", "large product, gain of free launches", *unchanged, product["overhead"], "modelled", note),
        Finding("C16", "large product, gain of twice the FLOPS", 1.9, 2, product["compute"], "modelled", note),
        Finding("C16", "small addition, gain of free launches", 2, INF, small["overhead"], "modelled", note),
    ]


def c17_width() -> list[Finding]:
    """Width: powers with which FLOPs, traffic and capacity grow."""
    products = width_sweep.sweep(width_sweep.square_product, [2048, 4096])
    layers = width_sweep.sweep(width_sweep.layer_step, [4096, 8192])
    square, layer = "product of square matrices", "training step of a layer at a fixed number of tokens"
    exponent = width_sweep.growth_exponent
    return [
        Finding("C17", "FLOPs, power of the width", 3, 3, exponent(products, "n_flop"), "counted", square),
        Finding("C17", "bytes, power of the width", 2, 2, exponent(products, "n_bytes"), "counted", square),
        Finding("C17", "capacity, power of the width", 2, 2, exponent(products, "capacity_bytes"), "counted", square),
        Finding(
            "C17", "layer's FLOPs, power of the width", 3, 3, round(exponent(layers, "n_flop"), 3), "counted", layer
        ),
        Finding(
            "C17",
            "layer's intensity, power of the width",
            0.01,
            INF,
            exponent(layers, "flop_per_byte"),
            "counted",
            f"{layer}: wider is still better used",
        ),
    ]


def c18_capacity() -> list[Finding]:
    """Capacity: weights alone, of published models in half precision."""
    findings = []
    for name in TRANSFORMERS:
        weights = memory_capacity.inference_memory(name).weights / 1e9
        states = memory_capacity.training_memory(name).states / 1e9
        note = f"half precision; {states:,.0f} GB with gradients and Adam; {transformer(name).source}"
        findings.append(Finding("C18", f"weights of {name}, GB", 100, INF, weights, "modelled", note))
    return findings


CLAIMS: dict[str, Callable[[], list[Finding]]] = {
    "C09": c09_sram,
    "C10": c10_hbm,
    "C11": c11_a100_to_h100,
    "C12": c12_p100_to_h100,
    "C13": c13_bert,
    "C14": c14_growth,
    "C15": c15_mfu,
    "C16": c16_regimes,
    "C17": c17_width,
    "C18": c18_capacity,
}
"""The claims of this module, in order."""


@functools.cache
def findings_of(claim: str) -> tuple[Finding, ...]:
    """Return what was found for a claim.

    Parameters
    ----------
    claim
        ``"C09"`` to ``"C18"``.

    Raises
    ------
    ModelInputError
        If it is no claim of this module.
    """
    if claim not in CLAIMS:
        raise ModelInputError(f"Expected one of {', '.join(CLAIMS)}, got {claim!r}.")
    return tuple(CLAIMS[claim]())
