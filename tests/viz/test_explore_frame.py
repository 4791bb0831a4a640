"""The figure of lanes and blocks: each schedule takes every pixel once, as the trace says, and a table stands in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from teachkit import cuda, emulator
from teachkit.viz.explore_frame import FrameExplorer, explore_frame
from teachkit.viz.frame_schedule import Schedule, cpu_schedule, gpu_schedule, pixels_of_warps

WIDTH, HEIGHT = 64, 40
N = WIDTH * HEIGHT
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@cuda.jit
def backwards(rgb, yuv):
    i = rgb.shape[1] - 1 - cuda.grid(1)
    if i >= 0:
        yuv[0, i] = rgb[0, i]
        yuv[1, i] = 128
        yuv[2, i] = 128


@pytest.fixture(scope="module")
def figure() -> FrameExplorer:
    rgb, yuv = np.full((3, N), 90, np.uint8), np.zeros((3, N), np.uint8)
    with emulator.trace() as traces:
        backwards[N // 256, 256](rgb, yuv)
    return explore_frame(traces[0], rgb, yuv, width=WIDTH)


def test_every_machine_takes_every_pixel_once(figure: FrameExplorer) -> None:
    assert len(figure.schedules) == 7
    for schedule in figure.schedules:
        assert sorted(pixel for step in schedule.steps for pixel in step) == list(range(N)), schedule.title


def test_how_many_steps_each_machine_takes(figure: FrameExplorer) -> None:
    # 2,560 pixels; 10 blocks of 8 warps, 4 warps a step on each SM.
    assert [len(schedule.steps) for schedule in figure.schedules] == [2560, 160, 20, 20, 6, 6, 2]
    assert [schedule.n_lanes for schedule in figure.schedules] == [1, 16, 128, 128, 512, 512, 1280]


def test_pixels_belong_to_the_warps_that_wrote_them(figure: FrameExplorer) -> None:
    first_of_gpu = figure.schedules[3].steps[0]
    assert sorted(first_of_gpu) == list(range(N - 128, N))  # block 0 has the last pixels
    assert figure.picture["block_of"][-1] == 0
    assert figure.picture["block_of"][0] == 9


def test_other_orders_take_other_blocks_first(figure: FrameExplorer) -> None:
    in_order, shuffled = figure.schedules[4], figure.schedules[5]
    assert in_order.steps[0] != shuffled.steps[0]


def test_a_last_piece_may_be_short() -> None:
    schedule = cpu_schedule(10, n_cores=3, n_lanes=2)
    assert schedule == Schedule("CPU, 3 cores, vectors of 2 lanes", ((0, 1, 4, 5, 8, 9), (2, 3, 6, 7)))
    assert gpu_schedule([[(0, 1), ()], [(2,)]], 1).steps == ((0, 1), (2,))


def test_planes_beyond_the_first_do_not_count(figure: FrameExplorer) -> None:
    rgb, yuv = np.zeros((3, 256), np.uint8), np.zeros((3, 256), np.uint8)
    with emulator.trace() as traces:
        backwards[1, 256](rgb, yuv)
    (block,) = pixels_of_warps(traces[0], "yuv", 256)
    assert [len(warp) for warp in block] == [32] * 8


def test_what_the_browser_gets_is_json_of_modest_size(figure: FrameExplorer) -> None:
    assert len(json.dumps(figure.picture)) < 300_000
    for machine, schedule in zip(figure.picture["machines"], figure.schedules, strict=True):
        assert machine["ends"][-1] == N
        assert f"{len(schedule.steps):,} steps" in machine["summary"]


def test_without_a_running_kernel_a_table_is_shown(figure: FrameExplorer) -> None:
    data, _ = figure._repr_mimebundle_()
    assert {"text/plain", "text/html", WIDGET_VIEW} == set(data)
    for text in ("2,560", "GPU, 108 SMs", "modelled"):
        assert text in data["text/html"]


def test_the_figure_fetches_nothing_from_anywhere(figure: FrameExplorer) -> None:
    for text in (figure._esm, figure._css):
        assert "http" not in str(text)
        assert "import " not in str(text)
        assert "fetch(" not in str(text)
