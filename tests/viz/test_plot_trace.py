"""Figures of a trace: who has which element, and which lanes were at work."""

from __future__ import annotations

import numpy as np
import pytest

from teachkit import cuda, emulator
from teachkit.emulator import Trace
from teachkit.viz.plot_trace import BLOCK_FILLS, name_of, plot_lanes, plot_owner_map

N = 100


@cuda.jit
def halves(x, y):
    i = cuda.grid(1)
    if i < x.size:
        if i % 2 == 0:
            for _ in range(x.size // 50):
                x[i] = x[i] * x[i]
        y[i] = x[i]


@pytest.fixture(scope="module")
def trace() -> Trace:
    with emulator.trace() as traces:
        halves[2, 64](np.ones(N, np.float32), np.zeros(N, np.float32))
    return traces[0]


def test_the_map_draws_every_element_in_the_colour_of_its_block(trace: Trace) -> None:
    figure = plot_owner_map({"kernel": trace}, "y", N)
    (panel,) = figure.axes
    fills = [patch.get_facecolor() for patch in panel.patches]
    assert len(fills) == N
    assert len({*fills}) == 2
    assert fills[:64] == fills[:1] * 64
    assert fills[64:] == fills[64:65] * 36
    assert {text.get_text() for text in panel.texts} == {"B0 W0", "B0 W1", "B1 W0", "B1 W1"}
    assert "block 0 64, block 1 36 elements; up to 32 elements a warp" in figure.alt_text


def test_what_nobody_touched_is_crossed_out(trace: Trace) -> None:
    figure = plot_owner_map({"kernel": trace}, "x", N)  # odd elements are read and not written
    whites = [patch for patch in figure.axes[0].patches if patch.get_facecolor() == (1, 1, 1, 1)]
    assert len(whites) == N // 2
    assert len(BLOCK_FILLS) == len({*BLOCK_FILLS})


def test_an_argument_may_be_named_by_its_position(trace: Trace) -> None:
    assert name_of(trace, 1) == "y"
    assert plot_owner_map({"kernel": trace}, 1, N).alt_text == plot_owner_map({"kernel": trace}, "y", N).alt_text


def test_lanes_are_those_of_the_trace(trace: Trace) -> None:
    figure = plot_lanes({"first": trace, "again": trace}, block=1, warp=1)
    for panel in figure.axes:
        drawn = np.asarray(panel.collections[0].get_array()).reshape(32, -1).T.astype(bool)
        assert (drawn == trace.lanes(1, 1)).all()
    n_steps = len(trace.of_warp(1, 1))
    assert f"{n_steps} steps" in figure.alt_text
    assert "step" in figure.axes[-1].get_xlabel()
