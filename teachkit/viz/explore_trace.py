"""The interactive figure of a trace: 32 lanes, step by step, and the elements that each one touches.

Modelled: nothing; it plays what :func:`teachkit.emulator.trace` recorded of the learner's own kernel.
Not modelled: time. A step is an instruction of one warp; between warps no order is shown, since there is none.

The browser draws; every number comes from Python with the figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from teachkit.emulator.steps import LANES, Step, Touch, Trace
from teachkit.errors import TraceError
from teachkit.viz.html_table import html_table
from teachkit.viz.script import FOLDER, script

MAX_STEPS = 8000
MAX_ELEMENTS = 2048
SECTOR_BYTES = 32


class TraceExplorer(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget ships no types
    """The widget behind :func:`explore_trace`."""

    _esm = script("elements.js", "player.js", "explore_trace.js")
    _css = FOLDER / "player.css"
    picture = traitlets.Dict().tag(sync=True)

    def __init__(self, trace: Trace, picture: dict[str, Any]) -> None:
        self.trace = trace
        super().__init__(picture=picture)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        static = {"text/plain": _fallback_text(self.trace), "text/html": _fallback_html(self.trace)}
        data, metadata = super()._repr_mimebundle_(**options)
        return static | {name: value for name, value in data.items() if name not in static}, metadata


def explore_trace(
    trace: Trace, *, source: str | None = None, names: Mapping[int, str] | None = None, warp: tuple[int, int] = (0, 0)
) -> TraceExplorer:
    """Show a trace: choose a block and a warp, and step through its instructions.

    Parameters
    ----------
    trace : from :func:`teachkit.emulator.trace`.
    source : text of the kernel, for CUDA C++; a Python kernel's lines are found without it.
    names : what to call the arguments that are memory, by position; their PTX names where missing.
    warp : block and warp to begin with.

    Raises
    ------
    TraceError
        For a trace of too many steps to look at.
    """
    if len(trace.steps) > MAX_STEPS:
        raise TraceError(
            f"Expected a trace of at most {MAX_STEPS:,} steps to show, got {len(trace.steps):,}.",
            hint="launch fewer blocks, or smaller ones.",
        )
    places = {name: (names or {}).get(number, name) for number, name in enumerate(trace.sizes)}
    lines = source.splitlines() if source is not None else None
    sizes = _sizes(trace)
    picture = {
        "title": f"Kernel {trace.name}, {trace.n_blocks} blocks of {trace.n_threads} threads, warp by warp",
        "warps": [
            {
                "title": f"block {block}, warp {number}",
                "steps": [_to_picture(step, lines, places) for step in trace.of_warp(block, number)],
            }
            for block in range(trace.n_blocks)
            for number in range(trace.n_warps)
        ],
        "start": warp[0] * trace.n_warps + warp[1],
        "places": [
            {"name": places.get(name, "shared memory")} | _place(trace, name, min(size, MAX_ELEMENTS))
            for name, size in sizes.items()
        ],
    }
    return TraceExplorer(trace, picture)


def _sizes(trace: Trace) -> dict[str, int]:
    """Elements of everything that is touched, in the order of the arguments."""
    touches = [touch for step in trace.steps for touch in step.touches]
    touched = {touch.place for touch in touches}
    sizes = {name: size for name, size in trace.sizes.items() if name in touched}
    if "shared" in touched:
        ends = [max(touch.offsets) + touch.n_bytes for touch in touches if touch.place == "shared"]
        sizes["shared"] = -(-max(ends) // 4)
    return sizes


def _place(trace: Trace, name: str, n: int) -> dict[str, Any]:
    """Elements of an argument, those of a sector, and the block that touches each first; -1 where none does."""
    block_of, element_bytes = [-1] * n, 1
    for step in trace.steps:
        for touch in step.touches:
            if touch.place != name:
                continue
            element_bytes = touch.element_bytes
            for element in _elements(touch):
                if 0 <= element < n and block_of[element] < 0:
                    block_of[element] = step.block
    return {"n": n, "per_sector": 0 if name == "shared" else SECTOR_BYTES // element_bytes, "block_of": block_of}


def _n_sectors(touch: Touch) -> int:
    """Sectors of a touch, if the argument's first element begins one; 0 in shared memory, which has none."""
    if touch.place == "shared":
        return 0
    ends = (range(offset // SECTOR_BYTES, -(-(offset + touch.n_bytes) // SECTOR_BYTES)) for offset in touch.offsets)
    return len({sector for sectors in ends for sector in sectors})


def _to_picture(step: Step, lines: list[str] | None, places: Mapping[str, str]) -> dict[str, Any]:
    return {
        "lanes": step.at_work,
        "opcode": step.opcode,
        "line": step.source.line if step.source is not None and step.source.line else 0,
        "text": _line_text(step, lines),
        "touches": [
            {
                "place": places.get(touch.place, "shared memory"),
                "kind": touch.kind,
                "lanes": list(touch.lanes),
                "elements": list(_elements(touch)),
                "n_sectors": _n_sectors(touch),
            }
            for touch in step.touches
        ],
    }


def _elements(touch: Touch) -> tuple[int, ...]:
    return tuple(offset // 4 for offset in touch.offsets) if touch.place == "shared" else touch.elements()


def _line_text(step: Step, lines: list[str] | None) -> str:
    if step.source is None or not step.source.line:
        return ""
    if lines is None:
        return step.source.text
    return lines[step.source.line - 1].strip() if step.source.line <= len(lines) else ""


def _rows(trace: Trace) -> list[tuple[str, int, float]]:
    rows = []
    for block in range(trace.n_blocks):
        for warp in range(trace.n_warps):
            lanes = trace.lanes(block, warp)
            rows.append((f"block {block}, warp {warp}", len(lanes), float(lanes.sum() / max(len(lanes), 1))))
    return rows


def _fallback_text(trace: Trace) -> str:
    parts = [f"{title}: {n} steps, {mean:.1f} of {LANES} lanes" for title, n, mean in _rows(trace)]
    return "; ".join(parts) + " (interactive in JupyterLab)"


def _fallback_html(trace: Trace) -> str:
    """A table of the warps, for readers without a running kernel."""
    head = ("warp", "steps", f"lanes at work, of {LANES}, on average")
    rows = [(title, str(n), f"{mean:.1f}") for title, n, mean in _rows(trace)]
    return (
        "<p>This figure is interactive in JupyterLab while its kernel runs: it plays every instruction of every warp, "
        "with the lanes at work and the elements they touch. In sum (counted):</p>" + html_table(head, rows, words=[0])
    )
