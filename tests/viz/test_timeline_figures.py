"""Figures of eager programs in time: what Python answers to the controls, what is drawn, what is said in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from teachkit.emulator.counters import Counters
from teachkit.measure.report import KernelReport
from teachkit.model.timeline import timeline
from teachkit.viz.explore_timeline import TimelineExplorer, explore_timeline, total_text
from teachkit.viz.plot_timeline import plot_cost_of_size, plot_timeline, short_bytes

N = 2**20
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
GPUS = ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB")


def operator(name: str, n: int = N) -> KernelReport:
    counters = Counters(n_launches=1, dram_read_bytes=4 * n, dram_write_bytes=4 * n, flop_fp32=n)
    return KernelReport(name, None, None, counters, kind="operator")


EIGHT = [operator("aten.mul")] * 8
PROGRAMS = {"by hand": EIGHT, "built in": [operator("aten.gelu")]}


def send(figure: TimelineExplorer, **settings: Any) -> dict[str, Any]:
    """What the browser does when the learner moves a control, and the answer."""
    figure.request = {"id": figure.report["id"] + 1} | settings
    return json.loads(json.dumps(figure.report))  # what reaches the browser is JSON


@pytest.mark.parametrize("log2", [8, 10, 20, 24])
@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("wait", [False, True])
def test_the_answer_is_the_timeline_of_programs_of_that_size(log2: int, gpu: str, wait: bool) -> None:
    report = send(explore_timeline(PROGRAMS, N), log2_elements=log2, host_us=2.5, gpu=gpu, wait=wait)
    scaled = [operator("aten.mul", 2**log2)] * 8
    expected = timeline(scaled, gpu, host_s=2.5e-6, wait_after=range(8) if wait else ())
    shown = report["programs"][0]
    assert shown["total_text"] == total_text(expected)
    assert [step["device_us"] for step in shown["steps"]] == [
        [pytest.approx(step.device_start_s * 1e6), pytest.approx(step.device_end_s * 1e6)] for step in expected.steps
    ]
    assert [step["bytes_text"] for step in shown["steps"]] == [short_bytes(8 * 2**log2)] * 8
    assert report["end_us"] >= max(step["device_us"][1] for step in shown["steps"]) * 0.999


@pytest.mark.parametrize(
    "nonsense",
    [
        {"log2_elements": 4},
        {"log2_elements": 99},
        {"log2_elements": "many"},
        {"host_us": -1},
        {"host_us": None},
        {"gpu": "abacus"},
        {"wait": "yes"},
        {},
    ],
)
def test_nonsense_is_answered_with_the_settings_there_were(nonsense: dict[str, Any]) -> None:
    figure = explore_timeline(PROGRAMS, N)
    before = figure.settings
    assert send(figure, **nonsense)["id"] == 1
    assert figure.settings == before


def test_labels_replace_names() -> None:
    names = [f"step {index}" for index in range(8)]
    report = explore_timeline(PROGRAMS, N, labels={"by hand": names}).report
    assert [step["name"] for step in report["programs"][0]["steps"]] == names
    assert [step["name"] for step in report["programs"][1]["steps"]] == ["gelu"]


def test_without_a_running_kernel_a_table_is_shown() -> None:
    data, _ = explore_timeline(PROGRAMS, N)._repr_mimebundle_()
    assert {"text/plain", "text/html", WIDGET_VIEW} == set(data)
    for text in ("by hand", "8 launches", "1 launch,", "67,108,864", "Modelled for A100-SXM4-40GB"):
        assert text in data["text/html"]
    assert "modelled" in data["text/plain"]


def test_the_figure_fetches_nothing_from_anywhere() -> None:
    figure = explore_timeline(PROGRAMS, N)
    for text in (str(figure._esm), str(figure._css)):
        text = text.replace("http://www.w3.org/2000/svg", "")
        assert "import " not in text
        assert "http" not in text
        assert "fetch(" not in text


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_the_printed_timeline_shows_bytes_and_totals() -> None:
    small = timeline([operator("aten.mul", 1024)] * 8, "A100", host_s=5e-6)
    waiting = timeline([operator("aten.mul")] * 8, "A100", host_s=5e-6, wait_after=range(8))
    figure = plot_timeline({"small": small, "waiting": waiting}, labels={"small": [f"s{i}" for i in range(8)]})
    shown = texts(figure)
    assert sum("8.2 kB" in text for text in shown) == 8
    assert sum("8.4 MB" in text for text in shown) == 8
    assert any(text.startswith("small\n8 launches, 65.5 kB moved") for text in shown)
    assert any("host waits" in text for text in shown)
    assert "small: 8 launches" in figure.alt_text
    assert "GPU idle" in figure.alt_text


def test_the_cost_of_size_says_where_its_numbers_are_from() -> None:
    figure = plot_cost_of_size({"one": {1: 1e-6, 1024: 2e-6}, "two": {1: 1e-6, 8: 8e-6}}, how="measured on a clock")
    assert any("measured on a clock" in text for text in texts(figure))
    assert "one: 1.00 us for 1, 2.00 us for 1,024" in figure.alt_text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (8192, "8.2 kB"), (99_960, "100 kB"), (999_600, "1.0 MB"), (134_217_728, "134 MB")],
)
def test_short_bytes(n_bytes: int, text: str) -> None:
    assert short_bytes(n_bytes) == text
