"""``with check() as report``: which checks are on, and what a launch does about it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from teachkit.emulator import launches
from teachkit.emulator.checks.findings import KINDS
from teachkit.emulator.checks.report import CheckReport, error_of
from teachkit.errors import KernelFault

if TYPE_CHECKING:
    from teachkit.emulator.checks.fresh import Fresh
    from teachkit.emulator.checks.watch import Watch

_lock = threading.Lock()
_sessions: list[Session] = []


@contextlib.contextmanager
def check(
    *,
    memory: bool = True,
    race: bool = True,
    init: bool = True,
    sync: bool = True,
    views: bool = False,
    raises: bool = True,
    uninitialised: Sequence[Any] = (),
) -> Iterator[CheckReport]:
    """Check every launch inside the block, on any thread, whatever its front end.

    A launch on a GPU runs on the emulator first, with copies of its arguments; there it is checked.

    Parameters
    ----------
    memory : bool
        Out-of-bounds and misaligned accesses to global, shared and local memory. The accesses are not carried out;
        without the check the first one ends the launch with a :class:`~teachkit.errors.KernelFault`, as always.
    race : bool
        Two threads at one place of global or shared memory, at least one of which writes and at least one of which is
        no atomic or volatile access, in no order. Order comes from barriers of the block, from ``bar.warp.sync`` for
        the lanes that it names, and from releases (an atomic or volatile store that is a release or stands behind a
        fence) that an atomic or volatile load saw.
    init : bool
        Reads of shared and local memory that its block or thread has not written, and of global memory of
        ``torch.empty`` and its like called inside the block, of Numba's ``device_array`` where the driver is emulated,
        or named in ``uninitialised``.
    sync : bool
        Barriers that not all threads reach, lanes missing from shuffles, votes and matrix instructions, asynchronous
        copies read before they were waited for (their bytes arrive at the wait; until then there is 0xFF).
    views : bool
        Take the tensor that was passed as the limit, not the storage behind it. Off by default: a kernel that is
        given strides may rightly step outside. A launch through Numba's emulated driver has addresses alone, and
        allocations as its limits.
    raises : bool
        Raise at the end of a launch with findings; otherwise collect those of all launches in the report.
    uninitialised : sequence of torch.Tensor or numpy.ndarray
        Buffers that hold nothing yet.

    Yields
    ------
    CheckReport
        Fills with every launch. ``print(report)`` for text; a notebook shows a table.

    Raises
    ------
    KernelCheckError
        At the end of a launch with findings, if ``raises``.

    Notes
    -----
    A launch is checked on one thread and takes several times as long; its counters stay the same. Only what a launch
    does is looked at, so a race that its data or grid do not show is not found. Two stores of the same value are no
    race. Not modelled: fences that are missing on the side of the reader, lanes of a warp apart from each other
    (within a warp, instructions run in order; two lanes still race where no ``bar.warp.sync`` stands between), fences
    and waits of ``wgmma`` and ``tcgen05``.
    """
    from teachkit.emulator.checks.fresh import Fresh

    wanted = tuple(kind for kind, on in zip(KINDS, (memory, race, init, sync), strict=True) if on)
    report = CheckReport(wanted)
    with Fresh(uninitialised) if init else contextlib.nullcontext() as fresh:
        session = Session(report, views, raises, fresh)
        with _lock:
            _sessions.append(session)
        try:
            with launches.brought_here():
                yield report
        finally:
            with _lock:
                _sessions.remove(session)


def active() -> Session | None:
    """The innermost ``check`` that is open."""
    return _sessions[-1] if _sessions else None


class Session:
    """An open ``check``."""

    def __init__(self, report: CheckReport, views: bool, raises: bool, fresh: Fresh | None) -> None:
        self.report, self.views, self.raises, self.fresh = report, views, raises, fresh

    def _watch(self, launching: Any) -> Watch:
        from teachkit.emulator.checks.watch import Watch, merged

        if self.views:
            for index, bound in enumerate(launching.arguments.memory):
                if bound is not None and hasattr(bound.value, "shape"):  # an address alone tells no view
                    launching.intervals[2 * index] = bound.data
                    launching.intervals[2 * index + 1] = bound.data + extent_of(bound.value)
        intervals = list(zip(launching.intervals[::2], launching.intervals[1::2], strict=True))
        storages = [(bound.low, bound.high) for bound in launching.arguments.bounds]
        marks = self.fresh.marks(merged(storages)) if self.fresh is not None and not self.views else {}
        return Watch(launching.program, launching.block, launching.shared_bytes, self.report.checks, intervals, marks)

    def run(self, launching: Any, name: str) -> None:
        """Run a launch of kernel ``name`` and report what was found.

        Raises
        ------
        KernelCheckError
            If there are findings and the session raises.
        """
        from teachkit.emulator.checks.sentences import Writer

        watch = launching.watch = self._watch(launching)
        grid, fault, stuck = launching.grid, None, []
        try:
            launching.run_all()
        except KernelFault as error:
            fault = error
            if error.kind == "deadlock" and "sync" in self.report.checks and error.block is not None:
                x, y, z = error.block
                stuck = watch.stuck(x + grid[0] * (y + grid[1] * z))
        sources = launching.program.kernel.owner.sources
        writer = Writer(launching.program, name, grid, launching.block, launching.arguments, sources)
        findings, n_occurrences, notes = watch.findings(writer, stuck)
        with _lock:
            self.report.n_launches += 1
            self.report.findings += findings
            self.report.n_occurrences += n_occurrences
            self.report.notes += notes
        if findings and self.raises:
            raise error_of(name, findings, n_occurrences) from fault
        if fault is not None and not stuck:
            raise fault


def extent_of(value: Any) -> int:
    """Bytes from the first to behind the last element of a tensor or array; 0 for anything else."""
    if hasattr(value, "data_ptr"):
        value = getattr(value, "base", value) if not hasattr(value, "stride") else value
        pairs = list(zip(value.shape, value.stride(), strict=True))
        n_bytes = int(value.element_size())
    elif hasattr(value, "__array_interface__"):
        n_bytes = int(value.itemsize)
        pairs = [(size, step // n_bytes) for size, step in zip(value.shape, value.strides, strict=True)]
    else:
        return 0
    if any(size == 0 for size, _ in pairs):
        return 0
    last: int = sum((size - 1) * max(step, 0) for size, step in pairs)
    return n_bytes * (1 + last)
