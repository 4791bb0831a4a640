"""The interactive roofline: sliders for a device's bandwidth, arithmetic and cache; programs dropped on it.

Modelled: roofs from data sheets; traffic by `teachkit.model.cached_traffic`, time by the time model.
Not modelled: what those leave out.

The browser draws and computes no number: it sends ``{id, ...settings}``, Python answers with the report of that ``id``.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from teachkit.emulator.counters import Counters
from teachkit.hardware.spec import GpuSpec
from teachkit.hardware.spec import gpu as data_sheet
from teachkit.measure.accesses import Program
from teachkit.model.cached_traffic import with_cache
from teachkit.model.estimate import time_text
from teachkit.model.time_model import achievable_dram_bytes_per_s, predict
from teachkit.viz.html_table import html_table
from teachkit.viz.plot_roofline import _si
from teachkit.viz.plot_timeline import short_bytes
from teachkit.viz.script import FOLDER, script

DEFAULT_GPUS = ("P100-SXM2-16GB", "V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB", "B200-SXM6-180GB")
MOST_LOG2 = {"bandwidth": 3.0, "arithmetic": 3.0, "cache": 6.0}
_TENSOR = ("tensor_fp16_flop_per_s", "fp16_flop_per_s")
_BOUND = {"launch": "launch", "latency": "latency", "dram": "bandwidth", "l2": "cache"}


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """A data sheet, the factors on it as powers of two, and the programs that are shown."""

    gpu: str
    bandwidth: float = 0.0
    arithmetic: float = 0.0
    cache: float = 0.0
    shown: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a program lies.

    Attributes
    ----------
    flop_per_byte, flop_per_s
        Its two coordinates; 0 where it has no FLOP.
    dram_bytes, seconds
        What the cache leaves, and the modelled time.
    bound
        What takes most of the time: ``"launch"``, ``"latency"``, ``"bandwidth"`` or ``"arithmetic"``.
    """

    flop_per_byte: float
    flop_per_s: float
    dram_bytes: int
    seconds: float
    bound: str


def what_if(settings: Settings) -> GpuSpec:
    """The device that the sliders describe."""
    spec = data_sheet(settings.gpu)
    rates = {
        field.name: 2**settings.arithmetic * getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if field.name.endswith("_flop_per_s") and getattr(spec, field.name) is not None
    }
    bandwidth = spec.dram_bytes_per_s * 2**settings.bandwidth
    return spec.replace(dram_bytes_per_s=bandwidth, l2_bytes=int(spec.l2_bytes * 2**settings.cache), **rates)


def place(program: Program, spec: GpuSpec) -> Place:
    """Where a program lies on the roofline of a device, with the traffic that the device's cache leaves."""
    counters = with_cache(program, spec.l2_bytes)
    total = sum(counters, Counters())
    estimate = predict(counters, spec)
    return Place(
        flop_per_byte=total.flop / total.dram_bytes if total.dram_bytes else 0.0,
        flop_per_s=total.flop / estimate.seconds,
        dram_bytes=total.dram_bytes,
        seconds=estimate.seconds,
        bound=_BOUND.get(estimate.binding, "arithmetic"),
    )


def roofs(spec: GpuSpec) -> dict[str, float]:
    """Rates in SI units: ``"bandwidth"`` as programs reach it, ``"FP32"``, and the best for half precision."""
    half = next((getattr(spec, name) for name in _TENSOR if getattr(spec, name) is not None), None)
    bandwidth = achievable_dram_bytes_per_s(spec)[0]
    found = {"bandwidth": bandwidth, "FP32": spec.fp32_flop_per_s, "half precision": half}
    return {name: rate for name, rate in found.items() if rate is not None}


class RooflineExplorer(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget ships no types
    """The widget behind :func:`explore_roofline`; `settings` and `places` follow what the learner does."""

    _esm = script("elements.js", "svg.js", "ask_python.js", "explore_roofline.js")
    _css = FOLDER / "explore_roofline.css"
    picture = traitlets.Dict().tag(sync=True)
    request = traitlets.Dict().tag(sync=True)
    report = traitlets.Dict().tag(sync=True)

    def __init__(self, programs: Mapping[str, Program], *, gpus: Sequence[str], settings: Settings) -> None:
        self._programs, self._gpus, self.settings = dict(programs), tuple(gpus), settings
        super().__init__(picture=self._picture(), report=self._to_report(0))

    @property
    def places(self) -> dict[str, Place]:
        """Where the programs that are shown lie now."""
        spec = what_if(self.settings)
        return {name: place(self._programs[name], spec) for name in self.settings.shown}

    @traitlets.observe("request")
    def _answer(self, change: dict[str, Any]) -> None:
        request = change["new"]
        self.settings = self._checked(request)
        self.report = self._to_report(request["id"])

    def _checked(self, request: Mapping[str, Any]) -> Settings:
        """The settings asked for; each that the controls cannot make stays as it was."""
        now = dataclasses.asdict(self.settings)
        for name, most in MOST_LOG2.items():
            value = request.get(name)
            if isinstance(value, (int, float)) and abs(value) <= most:
                now[name] = float(value)
        if request.get("gpu") in self._gpus:
            now["gpu"] = request["gpu"]
        shown = request.get("shown")
        if isinstance(shown, list) and set(map(str, shown)) <= set(self._programs):
            now["shown"] = tuple(name for name in self._programs if name in shown)
        return Settings(**now)

    def _picture(self) -> dict[str, Any]:
        return {
            "title": "Roofline with sliders",
            "gpus": list(self._gpus),
            "programs": list(self._programs),
            "most_log2": MOST_LOG2,
        }

    def _to_report(self, request_id: int) -> dict[str, Any]:
        spec = what_if(self.settings)
        found = roofs(spec)
        bandwidth = found.pop("bandwidth")
        numbers = {name: index for index, name in enumerate(self._programs, 1)}
        return {
            "id": request_id,
            **dataclasses.asdict(self.settings),
            "shown": list(self.settings.shown),
            "bandwidth_text": f"{_si(bandwidth)}B/s",
            "arithmetic_text": f"{_si(found['FP32'])}FLOP/s FP32",
            "cache_text": short_bytes(spec.l2_bytes),
            "bandwidth_bytes_per_s": bandwidth,
            "ceilings": [
                {"name": f"{name}: {_si(rate)}FLOP/s", "flop_per_s": rate, "ridge": rate / bandwidth}
                for name, rate in found.items()
            ],
            "rows": [_row(numbers[name], name, where) for name, where in self.places.items()],
        }

    def _repr_mimebundle_(self, **options: Any) -> Any:
        static = {"text/plain": self._fallback_text(), "text/html": self._fallback_html()}
        data, metadata = super()._repr_mimebundle_(**options)
        return static | {name: value for name, value in data.items() if name not in static}, metadata

    def _fallback_text(self) -> str:
        rows = (_row(0, name, where)["cells"] for name, where in self.places.items())
        return (
            "; ".join(f"{cells[0]}: {', '.join(cells[1:])}" for cells in rows)
            + " (modelled; interactive in JupyterLab)"
        )

    def _fallback_html(self) -> str:
        """A table for readers without a running kernel."""
        rows = [_row(0, name, where)["cells"] for name, where in self.places.items()]
        return (
            "<p>This figure is interactive in JupyterLab while its kernel runs. Modelled for "
            f"{html.escape(self.settings.gpu)} as it is:</p>" + html_table(HEAD, rows, words=[0, len(HEAD) - 1])
        )


HEAD = ("program", "FLOP/byte", "DRAM traffic", "speed", "time", "most time goes to")


def _row(number: int, name: str, where: Place) -> dict[str, Any]:
    intensity = f"{where.flop_per_byte:.3g}" if where.flop_per_byte else "none"
    speed = f"{_si(where.flop_per_s)}FLOP/s" if where.flop_per_s else "no FLOP"
    return {
        "number": number,
        "name": name,
        "flop_per_byte": where.flop_per_byte,
        "flop_per_s": where.flop_per_s,
        "cells": [name, intensity, short_bytes(where.dram_bytes), speed, time_text(where.seconds), where.bound],
    }


def explore_roofline(programs: Mapping[str, Program], *, gpus: Sequence[str] = DEFAULT_GPUS) -> RooflineExplorer:
    """Show programs on a roofline, and let the learner change the device under them.

    Parameters
    ----------
    programs : title -> what `teachkit.measure.accesses.record_accesses` recorded.
    gpus : names in the hardware registry to start from.

    Returns
    -------
    RooflineExplorer
        A Jupyter widget. Where widgets are not available (a page on the web) a table is shown instead.

    Raises
    ------
    UnknownGpuError
        If a GPU has no data sheet.
    """
    names = tuple(data_sheet(name).name for name in gpus)
    first = "A100-SXM4-40GB" if "A100-SXM4-40GB" in names else names[0]
    return RooflineExplorer(programs, gpus=names, settings=Settings(first, shown=tuple(programs)))
