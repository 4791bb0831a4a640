"""Cost, capacity, utilisation, trends, regimes and growth: against figures that others published."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from teachkit.emulator.counters import Counters
from teachkit.errors import ModelInputError
from teachkit.hardware.spec import gpu
from teachkit.model import memory_capacity, memory_cost, mfu, regimes, trends, width_sweep
from teachkit.model.bert_layer import EncoderLayer, EncoderSizes
from teachkit.model.transformer_sizes import TRANSFORMERS, Transformer, transformer

# Exact where the weights' own files say so (Llama), else the number in the model's name.
PARAMETERS = {
    "Llama 2 7B": 6_738_415_616,
    "Llama 2 13B": 13_015_864_320,
    "Llama 2 70B": 68_976_648_192,
    "Llama 3.1 8B": 8_030_261_248,
    "Llama 3.1 405B": 405_853_388_800,
}


@pytest.mark.parametrize(("name", "n_parameters"), PARAMETERS.items())
def test_parameters_of_published_models(name: str, n_parameters: int) -> None:
    assert transformer(name).n_parameters == n_parameters


@pytest.mark.parametrize(("name", "billions"), [("GPT-3 175B", 175), ("MT-NLG 530B", 530)])
def test_parameters_of_models_whose_papers_round(name: str, billions: int) -> None:
    assert transformer(name).n_parameters == pytest.approx(billions * 1e9, rel=0.005)


def test_parameters_of_a_layer_against_pytorch() -> None:
    for bias in (True, False):
        layer = torch.nn.TransformerEncoderLayer(64, 4, 256, bias=bias)
        ours = Transformer("x", 1, 64, 4, 4, 256, 1000, is_gated=False, has_biases=bias)
        assert ours.layer_parameters == sum(parameter.numel() for parameter in layer.parameters())


def test_training_takes_sixteen_bytes_a_parameter() -> None:
    n = PARAMETERS["Llama 2 7B"]
    half, single = (memory_capacity.training_memory("Llama 2 7B", weight_bytes=size) for size in (2, 4))
    assert half.states == single.states == 16 * n
    assert (half.weights, half.gradients, half.optimiser) == (2 * n, 2 * n, 12 * n)
    assert half.total == half.states + half.activations


def test_activations_against_what_autograd_keeps() -> None:
    """A real layer's saved tensors; ours keeps 4 bytes a token and width more than the formula for GPT."""
    sizes = EncoderSizes()
    saved: dict[int, torch.UntypedStorage] = {}
    with torch.device("meta"):
        layer = EncoderLayer(sizes).half()
    weights = {parameter.untyped_storage()._cdata for parameter in layer.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (storage := tensor.untyped_storage())._cdata not in weights:
            saved[storage._cdata] = storage
        return tensor

    shape = (sizes.sequence, sizes.batch, sizes.width)
    x = torch.empty(shape, device="meta", dtype=torch.float16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = layer(x)
    assert result.requires_grad
    model = Transformer("BERT-large", 1, sizes.width, sizes.n_heads, sizes.n_heads, sizes.inner, 1)
    formula = memory_capacity.layer_activation_bytes(model, sizes.batch, sizes.sequence)
    kept = sum(storage.nbytes() for storage in saved.values())
    assert kept == pytest.approx(formula + 4 * sizes.sequence * sizes.batch * sizes.width, rel=0.001)
    selective = memory_capacity.layer_activation_bytes(model, sizes.batch, sizes.sequence, "selective")
    full = memory_capacity.layer_activation_bytes(model, sizes.batch, sizes.sequence, "full")
    assert full < selective < formula


def test_the_kv_cache_and_the_weights_for_inference() -> None:
    # 2 (K and V) x 80 layers x 8 heads x 128 numbers x 2 bytes = 320 KiB a token.
    assert memory_capacity.kv_cache_bytes("Llama 2 70B", 1, 1) == 320 * 1024
    memory = memory_capacity.inference_memory("Llama 2 70B", batch=16, sequence=4096)
    assert memory.kv_cache == 16 * 4096 * 320 * 1024
    assert memory.weights == 2 * PARAMETERS["Llama 2 70B"]
    assert memory.total > gpu("H100").dram_bytes
    assert memory_capacity.inference_memory("Llama 2 7B", weight_bytes=0.5).weights == PARAMETERS["Llama 2 7B"] // 2
    assert memory_capacity.n_gpus_for(gpu("H100").dram_bytes + 1, "H100") == 2


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_weights_alone_need_more_than_100_gb_from_70b_on(name: str) -> None:
    large = transformer(name).n_parameters > 50e9
    assert (memory_capacity.inference_memory(name).weights > 100e9) == large


def test_the_cost_of_sram_scales_as_it_should() -> None:
    one = memory_cost.sram_cost()
    two = memory_cost.sram_cost(2 * memory_cost.GIGABYTE)
    assert (two.cells_mm2, two.cost_usd) == (2 * one.cells_mm2, 2 * one.cost_usd)
    assert two.cost_usd_per_gb == one.cost_usd_per_gb
    assert one.price_usd == pytest.approx(4 * one.cost_usd)  # a margin of 75 % makes the price four times the cost
    assert memory_cost.sram_cost(yield_fraction=0.5).cost_usd == 2 * one.cost_usd
    assert memory_cost.sram_cost(gross_margin=0).price_usd == one.cost_usd
    # H100's own L2, 50 MiB on TSMC 4N, is a few percent of its 814 mm2.
    assert 15 < memory_cost.sram_cost(gpu("H100").l2_bytes).area_mm2 < 30
    assert one.cost_usd_per_gb > 10 * memory_cost.dram_cost(memory_cost.GIGABYTE).hbm_usd


@pytest.mark.parametrize(
    ("tokens_per_s", "n_devices", "peak", "layers", "width", "n_parameters", "printed"),
    [
        # PaLM and MT-NLG, tokens a second and utilisation as printed in arXiv:2204.02311, table 3 and appendix B.
        (238.3e3, 6144, 275e12, 118, 48 * 256, 540.35e9, 46.2),
        (65.43e3, 2240, 312e12, 105, 128 * 160, 529.6e9, 30.2),
    ],
)
def test_mfu_as_the_paper_works_it_out(
    tokens_per_s: float, n_devices: int, peak: float, layers: int, width: int, n_parameters: float, printed: float
) -> None:
    per_token = mfu.training_flop_per_token(n_parameters, layers, width, 2048)
    assert 100 * mfu.mfu(tokens_per_s, per_token, n_devices, peak) == pytest.approx(printed, abs=0.1)


def test_the_published_table_agrees_with_itself() -> None:
    runs = mfu.PUBLISHED_RUNS
    assert len({(run.model, run.n_devices) for run in runs}) == len(runs)
    assert all("arXiv" in run.source and 0 < run.mfu_percent < 100 for run in runs)
    for run in runs:
        if run.flop_per_s_per_device is not None:
            # Printed with two digits each.
            assert 100 * run.flop_per_s_per_device / run.peak_flop_per_s == pytest.approx(run.mfu_percent, abs=0.7)
    assert 55 < max(run.mfu_percent for run in runs) < 60


def test_eager_utilisation_falls_with_the_work() -> None:
    shares = [mfu.eager_mfu("A100", EncoderSizes(batch, 128)) for batch in (1, 4, 16)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.25 < shares[-1] < 1
    assert mfu.eager_mfu("H100") < mfu.eager_mfu("A100") < mfu.eager_mfu("V100")
    with pytest.raises(ModelInputError, match="tensor cores, got P100"):
        mfu.eager_mfu("P100")


def test_generations_grow_and_starve() -> None:
    found = trends.generations()
    assert [one.year for one in found] == sorted(one.year for one in found)
    for field in ("half_flop_per_s", "dram_bytes_per_s", "dram_bytes"):
        values = [getattr(one, field) for one in found]
        assert values == sorted(values)
    first, last = found[0], found[-1]
    # Arithmetic grew ten times as much as bandwidth.
    assert last.flop_per_byte / first.flop_per_byte == pytest.approx(9.7, abs=0.1)


def test_published_models_are_cited_in_order() -> None:
    models = trends.PUBLISHED_MODELS
    assert [model.year for model in models] == sorted(model.year for model in models)
    assert all(model.source for model in models)
    assert len({model.name for model in models}) == len(models)


@pytest.mark.parametrize(
    ("counters", "name"),
    [
        (Counters(n_launches=1, dram_read_bytes=10**9, dram_write_bytes=10**9), "bandwidth"),
        (Counters(n_launches=1, dram_read_bytes=10**6, flop_tensor=10**13), "compute"),
        (Counters(n_launches=100, dram_read_bytes=1000, dram_write_bytes=1000), "overhead"),
    ],
)
def test_the_three_regimes(counters: Counters, name: str) -> None:
    found = regimes.regime(counters, "A100")
    assert found.name == name
    assert found.speedups[name] > 1.5
    assert all(gain == pytest.approx(1.0, abs=0.1) for other, gain in found.speedups.items() if other != name)
    assert found.seconds > 0


def test_growth_with_the_width() -> None:
    points = width_sweep.sweep(width_sweep.square_product, [4096, 1024, 2048, 1024])
    assert [point.width for point in points] == [1024, 2048, 4096]
    exponents = {name: width_sweep.growth_exponent(points, name) for name in ("n_flop", "n_bytes", "flop_per_byte")}
    assert exponents == pytest.approx({"n_flop": 3.0, "n_bytes": 2.0, "flop_per_byte": 1.0})
    layers = width_sweep.sweep(width_sweep.layer_step, [1024, 2048])
    assert layers[0].capacity_bytes == 2 * (12 * 1024**2 + 13 * 1024)
    # With the tokens fixed, weights' products grow with the square only: the cube needs tokens that grow as well.
    assert 1.8 < width_sweep.growth_exponent(layers, "n_flop") < 2.0
    wider = width_sweep.layer_step(2048, tokens=8192)
    assert wider.n_flop / layers[0].n_flop == pytest.approx(8, rel=0.1)


def test_a_what_if_device_changes_one_thing() -> None:
    spec = gpu("A100")
    devices = regimes.what_if_devices(spec)
    assert devices["compute"].tensor_fp16_flop_per_s == 2 * (spec.tensor_fp16_flop_per_s or 0)
    assert devices["compute"].dram_bytes_per_s == spec.dram_bytes_per_s
    assert devices["bandwidth"].dram_triad_bytes_per_s == 2 * (spec.dram_triad_bytes_per_s or 0)
    assert {field.name for field in dataclasses.fields(spec)} >= set(devices["overhead"].changed)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: memory_cost.sram_cost(-1), "n_bytes to be a positive number, got -1"),
        (lambda: memory_cost.sram_cost(array_efficiency=1.5), "array_efficiency above 0 and at most 1"),
        (lambda: memory_cost.sram_cost(gross_margin=1.0), "gross margin of 0 to less than 1"),
        (lambda: memory_cost.dram_cost(1, hbm_premium=float("nan")), "hbm_premium"),
        (lambda: memory_cost.server_dram_share(1, 0), "rest_usd"),
        (lambda: transformer("Llama 2 8B"), r"(?s)Llama 2 7B, .*did you mean"),
        (lambda: memory_capacity.training_memory("Llama 2 7B", batch=0), "batch to be a whole number"),
        (lambda: memory_capacity.training_memory("Llama 2 7B", weight_bytes=3), "2 or 4 bytes, got 3"),
        (lambda: memory_capacity.training_memory("Llama 2 7B", recomputation="some"), "none, selective, full"),
        (lambda: memory_capacity.inference_memory("Llama 2 7B", weight_bytes=0), "weight_bytes to be positive"),
        (lambda: mfu.mfu(1, 1, 0, 1), "n_devices to be positive"),
        (lambda: mfu.mfu(10, 10, 1, 1), r"(?s)100.00 times as many.*Hint: is the peak"),
        (lambda: trends.ratio("H100", "P100", "tensor_fp16_flop_per_s"), "data sheet of P100-PCIe-16GB, got None"),
        (lambda: trends.orders_of_magnitude(0, 1), "two positive numbers"),
        (lambda: width_sweep.square_product(0), "1 or more for the width"),
        (lambda: width_sweep.layer_step(100), "width that 64 divides, got 100"),
        (lambda: width_sweep.layer_step(128, tokens=100, sequence=64), "tokens that the sequence divides"),
        (lambda: width_sweep.sweep(width_sweep.square_product, [64, 64]), "two or more different widths"),
    ],
)
def test_a_quantity_that_makes_no_sense_is_refused(call: object, words: str) -> None:
    with pytest.raises(ModelInputError, match=words):
        call()  # type: ignore[operator]
