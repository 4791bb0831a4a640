"""Several devices and several programs in one roofline figure.

Modelled: the roofs, from data sheets, or from what was measured on this machine.
Not modelled: where a program lies below its roof.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from teachkit.hardware.spec import gpu as data_sheet
from teachkit.model.time_model import achievable_dram_bytes_per_s
from teachkit.viz.plot_roofline import _si
from teachkit.viz.style import PALETTE, SMALL, styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = (
    ("purple", ":"),
    ("orange", "-."),
    ("green", "--"),
    ("blue", "-"),
    ("vermilion", (0, (6, 1, 1, 1, 1, 1))),
    ("black", (0, (1, 1))),
    ("sky", "-"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Roof:
    """One device: what its memory and its arithmetic reach, SI units, and how that is known."""

    name: str
    bytes_per_s: float
    flop_per_s: float
    how: str

    @property
    def ridge_flop_per_byte(self) -> float:
        """Arithmetic intensity from which arithmetic is the limit."""
        return self.flop_per_s / self.bytes_per_s


def roof_of(name: str) -> Roof:
    """The roof of a GPU: DRAM as programs reach it, half precision on the fastest units that it has.

    Raises
    ------
    UnknownGpuError
        If there is no such data sheet.
    """
    spec = data_sheet(name)
    rates = (spec.tensor_fp16_flop_per_s, spec.fp16_flop_per_s, spec.fp32_flop_per_s)
    return Roof(
        spec.name.split("-")[0],
        achievable_dram_bytes_per_s(spec)[0],
        next(rate for rate in rates if rate is not None),
        "modelled",
    )


def plot_rooflines(roofs: Sequence[Roof], intensities: Mapping[str, float]) -> Figure:
    """Draw the roofs of several devices, and a line for the intensity of each program.

    Parameters
    ----------
    roofs : devices, each drawn with a colour and dashes of its own and named at its right end.
    intensities : program -> FLOP per byte of DRAM traffic.

    Returns
    -------
    matplotlib.figure.Figure
        Closed. Both axes are logarithmic. A program's line meets a device's roof at the speed that it can have at most.
    """
    devices = "; ".join(
        f"{roof.name}: {_si(roof.bytes_per_s)}B/s, {_si(roof.flop_per_s)}FLOP/s, ridge at "
        f"{roof.ridge_flop_per_byte:.3g} FLOP/byte ({roof.how})"
        for roof in roofs
    )
    told = ", ".join(f"{name} {value:.3g}" for name, value in intensities.items())
    alt_text = f"Rooflines. {devices}. Programs, FLOP/byte: {told}."
    with styled_figure(9.2, 7.0, alt_text=alt_text) as (figure, axes):
        low = 0.4 * min([0.1, *intensities.values()])
        high = 30 * max([roof.ridge_flop_per_byte for roof in roofs] + [100])
        floor = 2e-4 * min(roof.bytes_per_s for roof in roofs)
        axes.set(xscale="log", yscale="log", xlim=(low, high))
        axes.set_ylim(floor, 4 * max(roof.flop_per_s for roof in roofs))
        for index, roof in enumerate(roofs):
            _draw_roof(axes, roof, index, (low, high))
        _draw_programs(axes, intensities, floor)
        axes.set_xlabel("arithmetic intensity, FLOP per byte of DRAM traffic")
        axes.set_ylabel("speed at most, FLOP/s")
        figure.legend(loc="outside lower center", title="device: ridge point", ncols=2)
    return figure


def _draw_roof(axes: Axes, roof: Roof, index: int, ends: tuple[float, float]) -> None:
    colour, dashes = _STYLES[index % len(_STYLES)]
    ridge = roof.ridge_flop_per_byte
    xs = [ends[0], ridge, ends[1]]
    ys = [ends[0] * roof.bytes_per_s, roof.flop_per_s, roof.flop_per_s]
    label = f"{roof.name}: {ridge:.3g} FLOP/byte" + ("" if roof.how == "modelled" else f" ({roof.how})")
    axes.plot(xs, ys, color=PALETTE[colour], linestyle=dashes, linewidth=1.8, label=label)
    axes.plot([ridge], [roof.flop_per_s], "o", color=PALETTE[colour], markersize=5)
    where: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": 10, "weight": "bold"}
    axes.annotate(roof.name, (ends[1], roof.flop_per_s), (-3, 3), **where)


def _draw_programs(axes: Axes, intensities: Mapping[str, float], floor: float) -> None:
    """Vertical lines with names; names whose lines are too close share one label."""
    groups: list[tuple[float, list[str]]] = []
    for name, value in sorted(intensities.items(), key=lambda item: item[1]):
        if groups and value < 1.6 * groups[-1][0]:
            groups[-1][1].append(name)
        else:
            groups.append((value, [name]))
        axes.axvline(value, color="#999999", linewidth=0.9, zorder=0)
    for value, names in groups:
        axes.annotate(
            textwrap.fill(", ".join(name.replace(" ", "\N{NO-BREAK SPACE}") for name in names), 20),
            (value, floor),
            (-3, 5),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
