"""One look for every figure: a palette that colour-blind readers can tell apart, type that stays readable when scaled.

The colours are those of Okabe and Ito; figures also use hatching, dashes or numbers, so that no fact hangs on colour.
"""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from typing import Any

import cycler
import matplotlib as mpl
from matplotlib.figure import Figure

PALETTE = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
}
"""Colour name -> hex value. Source: Okabe and Ito, "Color Universal Design", 2008."""

SMALL = 11.0
"""Size of the type inside a figure, points. In a window of 800 pixels a figure is shown at two fifths of its size, at
seven tenths without the file browser: smaller type cannot be read there."""

_SETTINGS: dict[str, Any] = {
    "figure.dpi": 100,
    "font.size": 12.5,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "hatch.linewidth": 1.0,
    "savefig.facecolor": "white",
}


class CourseFigure(Figure):
    """A matplotlib Figure that no display shows by itself, with a text alternative that says what it shows.

    As the value of a notebook cell it gives the picture and, for readers who cannot see it, `alt_text`.
    """

    alt_text = ""

    def _repr_mimebundle_(self, **_options: Any) -> tuple[dict[str, str], dict[str, Any]]:
        buffer = io.BytesIO()
        with apply_style():
            self.draw_without_rendering()
            self.set_layout_engine("none")  # laid out once: another pass would move the axes by a hair
            self.savefig(buffer, format="png", metadata={"Software": None})
        picture = base64.b64encode(_with_palette(buffer)).decode("ascii")
        return {"text/plain": self.alt_text, "image/png": picture}, {"image/png": {"alt": self.alt_text}}


def _with_palette(png: io.BytesIO) -> bytes:
    """The same picture in 256 colours, which is plenty for flat colours and a third of the bytes in a notebook."""
    from PIL import Image  # matplotlib needs it too

    result = io.BytesIO()
    with Image.open(png) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(result, format="png", optimize=True)
    return result.getvalue()


def apply_style() -> contextlib.AbstractContextManager[None]:
    """A context in which matplotlib draws in the course's style; outside it, its settings are as they were."""
    colours = [PALETTE[name] for name in ("blue", "orange", "green", "vermilion", "purple", "sky", "black")]
    settings: Any = _SETTINGS | {"axes.prop_cycle": cycler.cycler(color=colours)}
    return mpl.rc_context(settings)


@contextlib.contextmanager
def styled_figure(
    width_in: float, height_in: float, *, alt_text: str, n_columns: int = 1, n_rows: int = 1
) -> Iterator[tuple[CourseFigure, Any]]:
    """A figure and its axes (one, or an array of panels), in a context with the course's style.

    Parameters
    ----------
    width_in, height_in : size, inches at 100 pixels each.
    alt_text : what the figure shows, with its main numbers, in a sentence or two.
    n_columns, n_rows : panels side by side and above each other.
    """
    with apply_style():
        figure = CourseFigure(figsize=(width_in, height_in), layout="constrained")
        figure.alt_text = alt_text
        yield figure, figure.subplots(n_rows, n_columns)
