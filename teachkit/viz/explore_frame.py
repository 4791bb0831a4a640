"""The interactive figure of lanes and blocks: watch machines of different width work through one frame.

Which thread has which pixel comes from the emulator's trace of the learner's kernel; in which order a machine takes
them is modelled by `teachkit.viz.frame_schedule`.
Not modelled: see there.

The browser draws; every number comes from Python with the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import numpy.typing as npt
import traitlets

from teachkit.emulator.steps import Trace
from teachkit.viz.frame_schedule import Schedule, cpu_schedule, gpu_schedule, pixels_of_warps
from teachkit.viz.html_table import html_table
from teachkit.viz.script import FOLDER, script


class FrameExplorer(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget ships no types
    """The widget behind :func:`explore_frame`."""

    _esm = script("elements.js", "player.js", "explore_frame.js")
    _css = FOLDER / "player.css"
    picture = traitlets.Dict().tag(sync=True)

    def __init__(self, picture: dict[str, Any], schedules: Sequence[Schedule]) -> None:
        self.schedules = tuple(schedules)
        super().__init__(picture=picture)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        static = {"text/plain": _fallback_text(self.schedules), "text/html": _fallback_html(self.schedules)}
        data, metadata = super()._repr_mimebundle_(**options)
        return static | {name: value for name, value in data.items() if name not in static}, metadata


def explore_frame(
    trace: Trace, rgb: npt.NDArray[np.uint8], yuv: npt.NDArray[np.uint8], *, width: int, place: str = "yuv"
) -> FrameExplorer:
    """Show how CPUs and GPUs of several widths would work through the frame that `trace` was made on.

    Parameters
    ----------
    trace : of the kernel that wrote `yuv`, from :func:`teachkit.emulator.trace`.
    rgb, yuv : uint8 ``[3, n_pixels]``, the frame before and after.
    width : pixels in a row of the picture.
    place : the trace's name of the argument that the kernel writes.
    """
    n_pixels = rgb.shape[1]
    blocks = pixels_of_warps(trace, place, n_pixels)
    schedules = [
        cpu_schedule(n_pixels),
        cpu_schedule(n_pixels, n_lanes=16),
        cpu_schedule(n_pixels, n_cores=8, n_lanes=16),
        gpu_schedule(blocks, 1),
        gpu_schedule(blocks, 4),
        gpu_schedule(blocks, 4, seed=1),
        gpu_schedule(blocks, 108),
    ]
    owner = np.zeros(n_pixels, dtype=int)
    for number, warps in enumerate(blocks):
        for warp in warps:
            owner[list(warp)] = number
    picture = {
        "title": f"A frame of {n_pixels:,} pixels, machine by machine",
        "width": width,
        "height": -(-n_pixels // width),
        "before": ["#" + "".join(f"{value:02x}" for value in pixel) for pixel in rgb.T.tolist()],
        "after": yuv[0].tolist(),
        "block_of": owner.tolist(),
        "n_blocks": len(blocks),
        "machines": [_to_picture(schedule) for schedule in schedules],
    }
    return FrameExplorer(picture, schedules)


def _to_picture(schedule: Schedule) -> dict[str, Any]:
    most = "one pixel" if schedule.n_lanes == 1 else f"up to {schedule.n_lanes:,} pixels"
    ends = np.cumsum([len(step) for step in schedule.steps]).tolist()
    return {
        "title": schedule.title,
        "is_gpu": schedule.title.startswith("GPU"),
        "order": [pixel for step in schedule.steps for pixel in step],
        "ends": ends,
        "summary": f"{len(ends):,} steps, {most} in each",
    }


def _fallback_text(schedules: Sequence[Schedule]) -> str:
    parts = [f"{schedule.title}: {len(schedule.steps):,} steps" for schedule in schedules]
    return "; ".join(parts) + " (interactive in JupyterLab)"


def _fallback_html(schedules: Sequence[Schedule]) -> str:
    """A table, for readers without a running kernel."""
    head = ("machine", "pixels in a step, at most", "steps")
    rows = [(s.title, f"{s.n_lanes:,}", f"{len(s.steps):,}") for s in schedules]
    return (
        "<p>This figure is interactive in JupyterLab while its kernel runs: it plays each machine's way through the "
        "frame. What it comes to (modelled: in a step every lane finishes one pixel):</p>"
        + html_table(head, rows, words=[0])
    )
