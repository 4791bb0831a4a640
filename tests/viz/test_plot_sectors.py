from __future__ import annotations

import pytest

from teachkit.viz.plot_sectors import plot_sectors, sectors_touched


@pytest.mark.parametrize(("stride", "n_sectors"), [(1, 128), (2, 256), (8, 1024), (32, 1024)])
def test_sectors_of_strided_reads(stride: int, n_sectors: int) -> None:
    assert sectors_touched(stride, 1024) == n_sectors


def test_the_figure_shows_each_stride_with_its_sectors() -> None:
    figure = plot_sectors((1, 2, 8))
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "stride 1: 2 sectors",
        "stride 2: 4 sectors",
        "stride 8: 16 sectors",
    ]
    assert "stride 8: 16 sectors" in figure.alt_text
    assert "bytes" in axes.get_xlabel()
