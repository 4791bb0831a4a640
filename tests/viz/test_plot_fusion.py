from __future__ import annotations

import base64
import io

import matplotlib as mpl
import pytest
import torch
from matplotlib import image
from matplotlib import pyplot as plt

from teachkit.measure import Profile, profile
from teachkit.model.fusion import eager, tanh_gelu_graph
from teachkit.viz.plot_fusion import plot_fusion_graph, plot_traffic_waterfall
from teachkit.viz.style import PALETTE, CourseFigure, apply_style

N = 4096


@pytest.fixture(scope="module")
def two_operators() -> Profile:
    x = torch.ones(N)
    with profile() as prof:
        2 * x + x
    return prof


def test_the_waterfall_draws_the_counted_bytes(two_operators: Profile) -> None:
    figure = plot_traffic_waterfall({"eager": two_operators}, element_bytes=4 * N)
    assert "2 launches, 0.1 MB (5N elements)" in figure.alt_text
    bars = [bar for bar in figure.axes[0].patches if bar.get_width() > 0]
    drawn = sorted((round(bar.get_x() * 1e6), round(bar.get_width() * 1e6)) for bar in bars)
    step = 4 * N
    # (start, width): 2 * x reads 1, writes 1; + reads 2, writes 1; the total reads 3, writes 2.
    assert drawn == sorted((a * step, b * step) for a, b in [(0, 1), (1, 1), (2, 2), (4, 1), (0, 3), (3, 2)])
    assert "MB" in figure.axes[0].get_xlabel()


def test_the_waterfall_takes_labels(two_operators: Profile) -> None:
    figure = plot_traffic_waterfall({"eager": two_operators}, labels={"eager": ["twice", "plus"]})
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["twice", "plus", "eager: 2 launches"]


def test_the_graph_has_a_panel_a_grouping_and_a_number_a_kernel() -> None:
    graph = tanh_gelu_graph(N)
    figure = plot_fusion_graph(graph, {"alone": eager(graph), "one": [set(graph.names)]}, labels={"cube": "x ** 3"})
    alone, one = ({text.get_text() for text in panel.texts} for panel in figure.axes)
    assert {f"K{i}" for i in range(1, 9)} <= alone
    assert "K1" in one
    assert "K2" not in one
    assert "cube\nx ** 3" in alone
    assert "alone: 8 launches" in figure.alt_text
    assert "one: 1 launch" in figure.alt_text


def test_a_figure_is_closed_and_gives_a_picture_and_its_text_alternative(two_operators: Profile) -> None:
    figure = plot_traffic_waterfall({"eager": two_operators})
    assert plt.get_fignums() == []
    data, metadata = figure._repr_mimebundle_()
    picture = image.imread(io.BytesIO(base64.b64decode(data["image/png"])), format="png")
    assert picture.shape[1] == 800
    assert data["text/plain"] == figure.alt_text == metadata["image/png"]["alt"] != ""


def test_the_style_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    with apply_style():
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"][0] == PALETTE["blue"]
    assert dict(mpl.rcParams) == before


def test_two_pictures_of_one_figure_are_equal(two_operators: Profile) -> None:
    figure = plot_traffic_waterfall({"eager": two_operators})
    assert isinstance(figure, CourseFigure)
    assert figure._repr_mimebundle_()[0] == figure._repr_mimebundle_()[0]
