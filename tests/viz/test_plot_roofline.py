"""Where the points of a roofline lie, what it says in words, and that nothing on it overlaps."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from teachkit.emulator.counters import Counters
from teachkit.errors import PredictionError
from teachkit.hardware.cpu import cpu, cpu_names
from teachkit.hardware.spec import gpu, gpu_names
from teachkit.measure.report import KernelReport
from teachkit.model import predict
from teachkit.viz.plot_roofline import plot_roofline, roofline_points


def report(name: str, n_bytes: int, seconds: float | None = None, **flop: int) -> KernelReport:
    return KernelReport(name, None, None, Counters(n_launches=1, dram_read_bytes=n_bytes, **flop), None, seconds)


KERNELS = [
    report("add", 12 << 20, flop_fp32=1 << 20),
    report("mul", 12 << 20, flop_fp32=1 << 20),
    report("mul", 12 << 20, flop_fp32=1 << 20),
    report("copy", 8 << 20),
    report("matmul", 1 << 20, flop_tensor=1 << 30),
    report("measured", 1 << 20, 1e-4, flop_fp32=1 << 24),
]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_points_by_hand() -> None:
    spec = gpu("A100")
    points, left_out = roofline_points(KERNELS, spec)
    assert left_out == ["copy"]
    assert [point.label for point in points] == ["add, mul ×2", "matmul", "measured"]
    assert points[0].intensity_flop_per_byte == pytest.approx(1 / 12)
    assert points[0].flop_per_s == pytest.approx((1 << 20) / predict(KERNELS[0], gpu=spec).seconds)
    assert points[2].flop_per_s == pytest.approx((1 << 24) / 1e-4)
    assert [point.is_measured for point in points] == [False, False, True]


@pytest.mark.parametrize("name", gpu_names())
def test_no_modelled_point_lies_above_its_roof(name: str) -> None:
    spec = gpu(name)
    points, _ = roofline_points(KERNELS[:5], spec)
    for point in points:
        top = max(spec.tensor_fp16_flop_per_s or 0, spec.fp16_flop_per_s or 0, spec.fp32_flop_per_s or 0)
        assert point.flop_per_s < min(point.intensity_flop_per_byte * spec.dram_bytes_per_s, top)


def test_the_figure_says_what_is_measured_and_what_is_modelled() -> None:
    before = dict(mpl.rcParams)
    figure = plot_roofline(KERNELS, gpu="A100")
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
    shown = texts(figure)
    assert "arithmetic intensity, FLOP per byte of DRAM traffic" in shown
    assert "speed, FLOP/s" in shown
    assert "Roofline of A100-SXM4-40GB" in shown
    assert "ridge 14.3 FLOP/byte" in shown
    assert "achievable (cited), 1.36 TB/s" in shown
    assert "kernels (filled: time measured, hollow: modelled)" in shown
    assert any(text.endswith("no DRAM traffic): copy") for text in shown)
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    fills = {str(line.get_markerfacecolor()) for line in axes.lines if line.get_marker() not in ("None", "", None)}
    assert "white" in fills
    assert len(fills) == 2


def test_the_text_alternative_holds_the_numbers() -> None:
    words = plot_roofline(KERNELS, gpu="H100").alt_text  # type: ignore[attr-defined]
    assert words.startswith("Roofline of H100-SXM5-80GB: DRAM 3.35 TB/s by the data sheet, 2.9 TB/s cited;")
    assert "FP32 66.9 TFLOP/s" in words
    assert "measured: 16 FLOP/byte, 168 GFLOP/s measured." in words
    assert words.endswith("Without FLOP or DRAM traffic: copy.")


def test_half_precision_without_tensor_cores_has_its_own_roof() -> None:
    assert "FP16: 18.7 TFLOP/s" in texts(plot_roofline((), gpu="P100"))
    assert not any(text.startswith("FP16:") for text in texts(plot_roofline((), gpu="V100")))


def test_a_what_if_device_says_so() -> None:
    spec = gpu("V100").replace(fp32_flop_per_s=1e15)
    assert "Roofline of V100-SXM2-16GB (changed: fp32_flop_per_s)" in texts(plot_roofline((), gpu=spec))


@pytest.mark.parametrize("name", gpu_names())
def test_no_text_overlaps_another(name: str) -> None:
    figure = plot_roofline(KERNELS, gpu=name)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    axes = figure.axes[0]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in axes.texts]
    legends = figure.findobj(mpl.legend.Legend)
    assert len(legends) == 2
    boxes += [(f"legend {n}", legend.get_window_extent(renderer)) for n, legend in enumerate(legends)]
    boxes += [("label", axes.xaxis.label.get_window_extent(renderer))]
    for text, box in boxes:
        assert figure.bbox.padded(1).contains(*box.min), text
        assert figure.bbox.padded(1).contains(*box.max), text
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        assert first == second or not a.overlaps(b), (first, second)


def test_many_kernels_are_cut_short_in_the_legend() -> None:
    many = [report(f"kernel_{n}", 1 << 20, flop_fp32=1000 * n) for n in range(1, 30)]
    figure = plot_roofline(many, gpu="A100")
    assert "and 16 more" in texts(figure)
    assert "kernel_29" in figure.alt_text  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", cpu_names())
def test_the_roofline_of_a_processor(name: str) -> None:
    figure = plot_roofline(KERNELS, gpu=name)
    spec = cpu(name)
    assert any(f"Roofline of {name}" in text for text in texts(figure))
    assert "FP32: 22.1 TFLOP/s" in texts(figure) or "FP32: 16.4 TFLOP/s" in texts(figure)
    assert not any("tensor" in text for text in texts(figure))
    points, _ = roofline_points(KERNELS, spec)
    modelled = [point for point in points if not point.is_measured]
    for point in modelled:
        assert point.flop_per_s <= point.intensity_flop_per_byte * (spec.dram_bytes_per_s or 0)


def test_a_sheet_without_a_rate_has_no_roofline() -> None:
    with pytest.raises(PredictionError, match="with an FP32 rate"):
        plot_roofline(gpu=cpu("EPYC-9755").replace(fp32_flop_per_s=None))
