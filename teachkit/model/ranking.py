"""Does the time model put a ladder's kernels in the order in which others measured them, and say why each step gains?

Modelled: every rung is run and counted, its time is that of :func:`teachkit.model.predict`. The order is compared with
published figures by Kendall's tau: pairs in the same order less pairs in the other one, over all pairs; a pair that the
model cannot tell apart counts as neither.
Not modelled: anything of its own; nothing is fitted to the published figures. Traffic is that of the caches of the GPU
for whose architecture the kernels are compiled (A100), whichever GPU the time is for. What the time model lacks shows
here: on-chip passes overlap with DRAM traffic completely, so that a transpose with bank conflicts is told from one
without only where its passes through shared memory take longer than its bytes (on A100, not on V100); and a sector that
is written in part costs a whole one in L2, which is less than it costs on hardware.
Source: M. G. Kendall, "A New Measure of Rank Correlation", Biometrika 30, 1938.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from teachkit.errors import ModelInputError
from teachkit.hardware.spec import GpuSpec, gpu
from teachkit.kernels.rungs import Ladder, Rung
from teachkit.measure.profiler import profile
from teachkit.model.estimate import LABELS, KernelEstimate, TimeEstimate, time_text
from teachkit.model.time_model import predict

TIE = 0.005
"""Times closer than this fraction count as equal: far below the model's own band."""

# Which terms of the model a counter feeds. Fewer requests for the same bytes are larger ones, so that a wave of blocks
# has more bytes under way and fewer waves wait for DRAM.
TERMS_OF_COUNTER = {
    "n_launches": ("launch", "latency"),
    "dram_bytes": ("dram",),
    "global_load_sectors": ("l1", "l2", "dram"),
    "global_store_sectors": ("l1", "l2", "dram"),
    "global_load_requests": ("l1", "issue", "latency"),
    "global_store_requests": ("l1", "issue", "latency"),
    "shared_load_wavefronts": ("shared",),
    "shared_store_wavefronts": ("shared",),
    "shared_excess_wavefronts": ("shared",),
    "shared_bytes": ("latency",),
    "warp_instructions": ("issue",),
    "branches": ("issue",),
    "divergent_branches": ("issue",),
    "barriers": ("issue", "latency"),
}


@dataclasses.dataclass(frozen=True)
class RankedRung:
    """One rung with its modelled time.

    Attributes
    ----------
    rung
        The kernel.
    estimate
        Seconds and terms.
    published
        The figure of others; ``None`` where they have none.
    figure
        The modelled time in the unit of the published figures; ``None`` where none are cited.
    """

    rung: Rung
    estimate: TimeEstimate
    published: float | None
    figure: float | None

    @property
    def seconds(self) -> float:
        """Modelled time."""
        return self.estimate.seconds


@dataclasses.dataclass(frozen=True)
class Step:
    """From one rung to the next.

    Attributes
    ----------
    lower, upper
        The slower rung and the one above it.
    term
        The term whose fall alone would shorten the slower rung's time most; ``None`` where the model sees no gain.
    """

    lower: RankedRung
    upper: RankedRung
    term: str | None

    @property
    def gain(self) -> float:
        """Time before over time after."""
        return self.lower.seconds / self.upper.seconds

    @property
    def is_explained(self) -> bool:
        """Whether the term that fell is one that the rung's counters feed; true where there is no gain to explain."""
        fed = {term for counter in self.upper.rung.proof for term in TERMS_OF_COUNTER.get(counter, ())}
        return self.term is None or self.term in fed

    @property
    def sentence(self) -> str:
        """What moved, in words."""
        names = f"{self.lower.rung.name} to {self.upper.rung.name}"
        if self.term is None:
            first, last = (LABELS[one.estimate.binding] for one in (self.lower, self.upper))
            bound = f"both bound by {first}" if first == last else f"bound by {first} before and by {last} after"
            return f"{names}: no gain modelled, {bound}"
        before, after = (one.estimate.terms.get(self.term, 0.0) for one in (self.lower, self.upper))
        return f"{names}: {self.gain:.2f}x, {LABELS[self.term]} fell from {time_text(before)} to {time_text(after)}"


@dataclasses.dataclass(frozen=True)
class Ranking:
    """A ladder's rungs in the order of the ladder, with modelled times.

    Attributes
    ----------
    ladder
        What was climbed.
    gpu
        The modelled GPU.
    size
        Arguments of the ladder's inputs.
    rungs
        In the ladder's order.
    """

    ladder: Ladder
    gpu: GpuSpec
    size: tuple[int, ...]
    rungs: tuple[RankedRung, ...]

    @property
    def published_rungs(self) -> tuple[RankedRung, ...]:
        """The rungs that the publication has, slowest first as published."""
        if self.ladder.published is None:
            return ()
        by_name = {ranked.rung.name: ranked for ranked in self.rungs}
        return tuple(by_name[name] for name in self.ladder.published.order)

    @property
    def tau(self) -> float:
        """Kendall's tau of modelled against published order, -1 to 1."""
        return kendall_tau([ranked.seconds for ranked in self.published_rungs])

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step of the ladder with the term that moved."""
        return tuple(Step(lower, upper, _moved(lower, upper)) for lower, upper in itertools.pairwise(self.rungs))


def kendall_tau(slowest_first: Sequence[float]) -> float:
    """Return Kendall's tau between times and the order in which they are given, the slowest first.

    Parameters
    ----------
    slowest_first
        Modelled times, in the published order. Times within half a percent of each other are a tie.

    Raises
    ------
    ModelInputError
        If there are fewer than two.

    Examples
    --------
    >>> kendall_tau([4.0, 3.0, 2.0, 1.0]), kendall_tau([4.0, 3.0, 1.0, 2.0]), kendall_tau([1.0, 1.0])
    (1.0, 0.6666666666666666, 0.0)
    """
    if len(slowest_first) < 2:
        raise ModelInputError(f"Expected two or more times to compare, got {len(slowest_first)}.")
    signs = [
        0 if abs(before - after) <= TIE * max(before, after) else 1 if before > after else -1
        for before, after in itertools.combinations(slowest_first, 2)
    ]
    return sum(signs) / len(signs)


def rank(
    ladder: Ladder,
    size: tuple[int, ...] | None = None,
    on: str | GpuSpec | None = None,
    progress: Callable[[Rung], Any] | None = None,
) -> Ranking:
    """Run and count every rung of a ladder, and model its time.

    Parameters
    ----------
    ladder
        Of :func:`teachkit.kernels.ladder`.
    size
        Arguments of its inputs; default as published.
    on
        Name or data sheet; default the GPU of the publication, or the nearest one that has a data sheet.
    progress
        Called with each rung before it runs.

    Raises
    ------
    ModelInputError
        If there are no published figures and size or GPU are not given.
    KernelInputError
        If a rung does not take the size.
    """
    published = ladder.published
    if published is None and (size is None or on is None):
        raise ModelInputError(
            f"Expected a size and a GPU for the ladder {ladder.name!r}, of which no figures are cited.",
            hint='for example rank(ladder, (1 << 20,), "A100").',
        )
    size = size or (published.size if published else ())
    spec = gpu(on or (published.gpu if published else ""))
    inputs = ladder.inputs(*size)
    ranked = []
    for rung in ladder:
        if progress is not None:
            progress(rung)
        with profile() as prof:
            rung.run(*inputs)
        estimate = predict(prof, gpu=spec)
        theirs = published.figures.get(rung.name) if published else None
        ours = published.figure_of(estimate.seconds, *size) if published else None
        ranked.append(RankedRung(rung, estimate, theirs, ours))
    return Ranking(ladder, spec, size, tuple(ranked))


def _moved(lower: RankedRung, upper: RankedRung) -> str | None:
    """The term that explains a gain: the one whose fall alone would shorten the slower rung's time most."""
    if lower.seconds - upper.seconds <= TIE * lower.seconds:
        return None
    before, after = lower.estimate, upper.estimate.terms
    alone = {
        term: _scaled(before, term, min(after.get(term, 0.0) / seconds, 1.0))
        for term, seconds in before.terms.items()
        if seconds > 0
    }
    return min(alone, key=lambda term: alone[term])


def _scaled(estimate: TimeEstimate, name: str, factor: float) -> float:
    """Modelled seconds with one term of every launch multiplied by a factor."""

    def changed(kernel: KernelEstimate) -> KernelEstimate:
        parts = (
            dataclasses.replace(term, seconds=term.seconds * factor) if term.name == name else term
            for term in kernel.parts
        )
        return dataclasses.replace(kernel, parts=tuple(parts))

    return sum(changed(kernel).seconds for kernel in estimate.kernels)
