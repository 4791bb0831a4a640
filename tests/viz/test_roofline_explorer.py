"""The interactive roofline and the figure of several roofs: what Python answers, and what is said in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from teachkit.emulator.counters import Counters
from teachkit.hardware.spec import gpu
from teachkit.kernels import tanh_gelu
from teachkit.measure.accesses import record_accesses
from teachkit.model.cached_traffic import with_cache
from teachkit.model.time_model import achievable_dram_bytes_per_s, predict
from teachkit.viz.explore_roofline import RooflineExplorer, Settings, explore_roofline, place, roofs, what_if
from teachkit.viz.plot_rooflines import Roof, plot_rooflines, roof_of

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
A100 = "A100-SXM4-40GB"
X = torch.empty(1 << 24, device="meta")
W = torch.empty(4096, 4096, device="meta", dtype=torch.bfloat16)
PROGRAMS = {
    "add": record_accesses(lambda: X + torch.empty_like(X)),
    "chain": record_accesses(lambda: tanh_gelu.eager_gelu(X)),
    "product": record_accesses(lambda: W @ torch.empty_like(W)),
    "copy": record_accesses(lambda: X.clone()),
}


def send(figure: RooflineExplorer, **settings: Any) -> dict[str, Any]:
    """What the browser does when the learner moves a control, and the answer."""
    figure.request = {"id": figure.report["id"] + 1} | settings
    return json.loads(json.dumps(figure.report))  # what reaches the browser is JSON


def test_as_on_the_data_sheet() -> None:
    report = explore_roofline(PROGRAMS).report
    spec = gpu(A100)
    assert report["gpu"] == A100
    assert report["bandwidth_bytes_per_s"] == achievable_dram_bytes_per_s(spec)[0]
    assert [ceiling["flop_per_s"] for ceiling in report["ceilings"]] == [
        spec.fp32_flop_per_s,
        spec.tensor_fp16_flop_per_s,
    ]
    assert [row["name"] for row in report["rows"]] == list(PROGRAMS)
    for row, (name, program) in zip(report["rows"], PROGRAMS.items(), strict=True):
        counters = with_cache(program, spec.l2_bytes)
        total = sum(counters, Counters())
        assert row["flop_per_byte"] == pytest.approx(total.flop / total.dram_bytes), name
        assert row["flop_per_s"] == pytest.approx(total.flop / predict(counters, A100).seconds), name


@pytest.mark.parametrize("log2", [-3.0, -0.5, 1.0, 3.0])
def test_the_sliders_change_the_device(log2: float) -> None:
    spec = gpu(A100)
    wider = what_if(Settings(A100, bandwidth=log2))
    assert roofs(wider)["bandwidth"] == pytest.approx(2**log2 * roofs(spec)["bandwidth"])
    faster = what_if(Settings(A100, arithmetic=log2))
    for name in ("FP32", "half precision"):
        assert roofs(faster)[name] == pytest.approx(2**log2 * roofs(spec)[name])
    assert roofs(faster)["bandwidth"] == roofs(spec)["bandwidth"]
    assert what_if(Settings(A100, cache=log2)).l2_bytes == int(2**log2 * spec.l2_bytes)


def test_who_moves_with_what() -> None:
    before = {name: place(program, gpu(A100)) for name, program in PROGRAMS.items()}
    large = {name: place(program, what_if(Settings(A100, cache=6))) for name, program in PROGRAMS.items()}
    small = {name: place(program, what_if(Settings(A100, cache=-6))) for name, program in PROGRAMS.items()}
    assert large["chain"].dram_bytes * 9 == before["chain"].dram_bytes
    assert large["add"].dram_bytes == small["add"].dram_bytes == before["add"].dram_bytes
    assert small["product"].dram_bytes > 5 * before["product"].dram_bytes
    assert small["product"].bound == "bandwidth"
    assert before["product"].bound == "arithmetic"
    assert before["copy"].flop_per_byte == before["copy"].flop_per_s == 0


@pytest.mark.parametrize("name", ["P100-SXM2-16GB", A100, "B200-SXM6-180GB"])
@pytest.mark.parametrize("cache", [-6.0, 0.0, 6.0])
def test_no_program_lies_above_its_roof(name: str, cache: float) -> None:
    spec = what_if(Settings(name, cache=cache))
    top = max(rate for kind, rate in roofs(spec).items() if kind != "bandwidth")
    for program in PROGRAMS.values():
        where = place(program, spec)
        assert where.flop_per_s <= min(top, where.flop_per_byte * spec.dram_bytes_per_s)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"bandwidth": 9},
        {"arithmetic": float("nan")},
        {"cache": "large"},
        {"gpu": "abacus"},
        {"shown": ["no such program"]},
        {"shown": "add"},
        {},
    ],
)
def test_nonsense_is_answered_with_the_settings_there_were(nonsense: dict[str, Any]) -> None:
    figure = explore_roofline(PROGRAMS)
    before = figure.settings
    assert send(figure, **nonsense)["id"] == 1
    assert figure.settings == before


def test_programs_can_be_taken_off_and_keep_their_numbers() -> None:
    figure = explore_roofline(PROGRAMS)
    report = send(figure, shown=["product", "add"])
    assert [(row["number"], row["name"]) for row in report["rows"]] == [(1, "add"), (3, "product")]
    assert set(figure.places) == {"add", "product"}
    assert send(figure, shown=[])["rows"] == []


def test_without_a_running_kernel_a_table_is_shown() -> None:
    data, _ = explore_roofline(PROGRAMS)._repr_mimebundle_()
    assert {"text/plain", "text/html", WIDGET_VIEW} == set(data)
    for text in ("chain", "201 MB", "no FLOP", "Modelled for A100-SXM4-40GB", "FLOP/byte"):
        assert text in data["text/html"]
    assert "modelled" in data["text/plain"]


def test_the_figure_fetches_nothing_from_anywhere() -> None:
    figure = explore_roofline(PROGRAMS)
    for text in (str(figure._esm), str(figure._css)):
        text = text.replace("http://www.w3.org/2000/svg", "")
        assert "import " not in text
        assert "http" not in text
        assert "fetch(" not in text


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_several_roofs_in_one_figure() -> None:
    here = Roof("this CPU", 2e10, 2e11, "measured")
    assert here.ridge_flop_per_byte == 10
    figure = plot_rooflines([roof_of("V100-SXM2-16GB"), roof_of(A100), here], {"add": 1 / 12, "mul": 0.1, "gemm": 300})
    shown = texts(figure)
    for name in ("V100", "A100", "this CPU", "add, mul", "gemm"):
        assert name in shown
    assert "this CPU: 10 FLOP/byte (measured)" in shown
    assert "this CPU: 20 GB/s, 200 GFLOP/s, ridge at 10 FLOP/byte (measured)" in figure.alt_text
    assert "gemm 300" in figure.alt_text
