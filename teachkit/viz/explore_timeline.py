"""The interactive figure of eager execution: change the tensors' size, the host's speed and the GPU, and see who waits.

Modelled: what `teachkit.model.timeline` models; bytes are counted once and scaled with the number of elements.
Not modelled: operators whose traffic does not grow in proportion to their tensors.

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
from teachkit.hardware.spec import gpu as data_sheet
from teachkit.model.estimate import time_text
from teachkit.model.subject import launches_of
from teachkit.model.timeline import Timeline, timeline
from teachkit.viz.html_table import html_table
from teachkit.viz.plot_timeline import short_bytes
from teachkit.viz.script import FOLDER, script

DEFAULT_GPUS = ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB")
MIN_LOG2, MAX_LOG2 = 8, 27
MIN_HOST_US, MAX_HOST_US = 0.5, 20.0


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the controls say: size of the tensors, host time for an operator, GPU, and whether the host waits."""

    log2_elements: int = 10
    host_us: float = 5.0
    gpu: str = "A100-SXM4-40GB"
    wait: bool = False


class TimelineExplorer(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget ships no types
    """The widget behind :func:`explore_timeline`; `settings` and `timelines` follow what the learner does."""

    _esm = script("elements.js", "svg.js", "ask_python.js", "explore_timeline.js")
    _css = FOLDER / "explore_timeline.css"
    picture = traitlets.Dict().tag(sync=True)
    request = traitlets.Dict().tag(sync=True)
    report = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        programs: Mapping[str, Any],
        n_elements: int,
        *,
        labels: Mapping[str, Sequence[str]],
        gpus: Sequence[str],
        settings: Settings,
    ) -> None:
        self._programs = {
            title: [(launch.name, launch.counters) for launch in launches_of(subject)]
            for title, subject in programs.items()
        }
        self._n_elements, self._labels, self._gpus = n_elements, dict(labels), tuple(gpus)
        self.settings = settings
        self.timelines = self._lay_out(settings)
        super().__init__(picture=self._picture(), report=self._to_report(0))

    @traitlets.observe("request")
    def _answer(self, change: dict[str, Any]) -> None:
        request = change["new"]
        self.settings = self._checked(request)
        self.timelines = self._lay_out(self.settings)
        self.report = self._to_report(request["id"])

    def _checked(self, request: Mapping[str, Any]) -> Settings:
        """The settings asked for; each that the controls cannot make stays as it was."""
        now = self.settings
        log2, host_us = request.get("log2_elements"), request.get("host_us")
        name, wait = request.get("gpu"), request.get("wait")
        return Settings(
            log2 if isinstance(log2, int) and MIN_LOG2 <= log2 <= MAX_LOG2 else now.log2_elements,
            float(host_us)
            if isinstance(host_us, int | float) and MIN_HOST_US <= host_us <= MAX_HOST_US
            else now.host_us,
            name if isinstance(name, str) and name in self._gpus else now.gpu,
            wait if isinstance(wait, bool) else now.wait,
        )

    def _lay_out(self, settings: Settings) -> dict[str, Timeline]:
        plans = {}
        for title, launches in self._programs.items():
            scaled = [
                dataclasses.replace(data, counters=_scaled(data.counters, 2**settings.log2_elements, self._n_elements))
                for (data,) in (launches_of(counters) for _, counters in launches)
            ]
            waits = range(len(scaled)) if settings.wait else ()
            plans[title] = timeline(scaled, settings.gpu, host_s=settings.host_us * 1e-6, wait_after=waits)
        return plans

    def _picture(self) -> dict[str, Any]:
        return {
            "title": "Eager operators in time",
            "gpus": list(self._gpus),
            "log2_range": [MIN_LOG2, MAX_LOG2],
            "host_range": [MIN_HOST_US, MAX_HOST_US],
        }

    def _to_report(self, request_id: int) -> dict[str, Any]:
        longest = max((plan.seconds for plan in self.timelines.values()), default=0.0)
        return {
            "id": request_id,
            **dataclasses.asdict(self.settings),
            "elements_text": f"{2**self.settings.log2_elements:,} elements a tensor",
            "host_text": f"{self.settings.host_us:g} µs an operator",
            "end_us": longest * 1e6,
            "programs": [self._program(title, plan) for title, plan in self.timelines.items()],
        }

    def _program(self, title: str, plan: Timeline) -> dict[str, Any]:
        names = self._labels.get(title) or [name.removeprefix("aten.") for name, _ in self._programs[title]]
        return {
            "title": title,
            "total_text": total_text(plan),
            "steps": [
                {
                    "name": name,
                    "bytes_text": short_bytes(step.dram_bytes),
                    "host_us": [step.host_start_s * 1e6, step.host_end_s * 1e6],
                    "device_us": [step.device_start_s * 1e6, step.device_end_s * 1e6],
                    "waits": step.waits,
                }
                for name, step in zip(names, plan.steps, strict=True)
            ],
        }

    def _repr_mimebundle_(self, **options: Any) -> Any:
        static = {"text/plain": self._fallback_text(), "text/html": self._fallback_html()}
        data, metadata = super()._repr_mimebundle_(**options)
        return static | {name: value for name, value in data.items() if name not in static}, metadata

    def _fallback_text(self) -> str:
        told = "; ".join(f"{title}: {total_text(plan)}" for title, plan in self.timelines.items())
        return f"{told} (modelled; interactive in JupyterLab)"

    def _fallback_html(self) -> str:
        """A table of small and large tensors, for readers without a running kernel."""
        rows = []
        for log2 in (10, 16, 22, 26):
            settings = dataclasses.replace(self.settings, log2_elements=log2)
            for title, plan in self._lay_out(settings).items():
                rows.append([f"{2**log2:,}", title, total_text(plan)])
        return (
            "<p>This figure is interactive in JupyterLab while its kernel runs. Modelled for "
            f"{html.escape(self.settings.gpu)}, a host that spends {self.settings.host_us:g} µs on an operator:</p>"
            + html_table(("elements", "program", "what happens"), rows, words=[1, 2])
        )


def explore_timeline(
    programs: Mapping[str, Any],
    n_elements: int,
    *,
    labels: Mapping[str, Sequence[str]] | None = None,
    gpus: Sequence[str] = DEFAULT_GPUS,
    log2_elements: int = 10,
) -> TimelineExplorer:
    """Show programs one above the other on one time axis, and let the learner change what decides who waits.

    Parameters
    ----------
    programs : title -> profile of the program, taken on tensors of `n_elements`.
    n_elements : elements of the tensors that were profiled; counts are scaled from there.
    labels : title -> a label an operator; the operators' names where missing.
    gpus : names in the hardware registry to choose from.
    log2_elements : size to begin with, as a power of two.

    Returns
    -------
    TimelineExplorer
        A Jupyter widget. Where widgets are not available (a page on the web) a table is shown instead.

    Raises
    ------
    UnknownGpuError
        If a GPU has no data sheet.
    """
    names = tuple(data_sheet(name).name for name in gpus)
    first = "A100-SXM4-40GB" if "A100-SXM4-40GB" in names else names[0]
    settings = Settings(log2_elements=log2_elements, gpu=first)
    return TimelineExplorer(programs, n_elements, labels=labels or {}, gpus=names, settings=settings)


def total_text(plan: Timeline) -> str:
    """``'8 launches, 302 MB moved, 243 us, GPU idle 2% of the time'``."""
    n = len(plan.steps)
    launches = f"{n} launch" + ("" if n == 1 else "es")
    return (
        f"{launches}, {short_bytes(plan.dram_bytes)} moved, {time_text(plan.seconds)}, "
        f"GPU idle {plan.device_idle_share:.0%} of the time"
    )


def _scaled(counters: Counters, n_elements: int, n_profiled: int) -> Counters:
    fields = ("dram_read_bytes", "dram_write_bytes", "flop_fp64", "flop_fp32", "flop_fp16", "flop_tensor")
    changes = {name: getattr(counters, name) * n_elements // n_profiled for name in fields}
    return Counters(n_launches=counters.n_launches, **changes)
