"""Runs blocks on one thread; blocks that wait for other blocks are set aside while the others run.

A block normally runs to its end before the next one starts. One that only goes round a loop without changing any
register waits for somebody else's store: a lock, a flag, a barrier of the whole grid. It keeps its memory, the next
block starts beside it, and all that wait take turns, up to as many blocks as the modelled GPU holds at once. When
nobody gets any further, the launch is stopped as one that never ends, which it would not do on hardware either.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from teachkit.emulator.engine import jit
from teachkit.emulator.engine.context import Status
from teachkit.emulator.engine.faults import shown_line
from teachkit.emulator.engine.queue import Piece
from teachkit.emulator.engine.worker import Worker
from teachkit.errors import KernelFault

if TYPE_CHECKING:
    from teachkit.emulator.engine.launching import Launching

_FIRST_SLICE = 64  # blocks that a worker runs before it looks at the clock for the first time
_LARGEST_SLICE = 1 << 40
_SLICE_S = 0.02  # how often it looks later on
_GRACE_S = 1.0  # for blocks that still run after another one failed
_PATIENCE_TURNS = 1 << 26  # loop iterations of a block that gets on, before the next starts beside it
_STUCK_S = 0.5  # without any progress, before a launch is called endless: a host thread might store something
WAITING_TURNS = 64  # loop iterations of a warp that waits for another block, before others get their turn
_PARKED_TURNS = 32  # of a warp whose lanes wait for each other, as runtime/parking.ll has it
first_turns, _MOST_TURNS = 256, 4096  # of a warp that gets on
_MOST_YIELDS = 64  # of the warps of a block that gets on, before the worker comes back


@functools.cache
def run_function() -> Callable[..., int]:
    """``tk_run`` of ``runtime/scheduler.ll``."""
    signature = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    return signature(jit.runtime()["tk_run"])


def prepare(worker: Worker, turns: int | None = None) -> None:
    """Make a worker ready for its first block; its warps take turns of ``turns`` loop iterations."""
    c = worker.context
    c.unfinished, c.turns, c.yields, worker.patience = 0, turns or first_turns, 1, _PATIENCE_TURNS


class Progress:
    """What the threads of one launch know of each other: when anything last changed, and who waits since then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = 0
        self._since = time.perf_counter()
        self._stuck_at: dict[int, int] = {}  # thread: number of changes at which it had gone round in vain
        self._n_running = 0

    def enter(self) -> None:
        """A thread begins to run blocks."""
        with self._lock:
            self._n_running += 1

    def leave(self) -> None:
        """A thread has no block left."""
        with self._lock:
            self._n_running -= 1
            self._stuck_at.pop(threading.get_ident(), None)

    @property
    def changes(self) -> int:
        """How often anything changed."""
        return self._changes

    def changed(self) -> None:
        """Some block got on."""
        with self._lock:
            self._changes += 1
            self._since = time.perf_counter()

    def is_endless(self, before: int) -> bool:
        """Whether nobody can ever go on, after this thread's blocks all had a turn in vain since change ``before``."""
        with self._lock:
            self._stuck_at[threading.get_ident()] = before
            n_stuck = sum(at == self._changes for at in self._stuck_at.values())
            return n_stuck == self._n_running and time.perf_counter() - self._since > _STUCK_S


class Residents:
    """The blocks that one thread has begun and not ended, each with a worker of its own."""

    def __init__(self, launching: Launching, first: Worker, deadline: float | None) -> None:
        self._launching, self._deadline = launching, deadline
        self._piece: Piece | None = None  # what it is to begin
        self._now, self._waiting, self._idle = first, collections.deque[Worker](), list[Worker]()
        self._held: dict[int, bytes] = {}  # what the frames of a waiting block held when it last came back
        self._held_shared: dict[int, bytes] = {}  # the same of shared memory
        self._stopped_s = 0.0
        self._n_in_vain = 0
        self._changes_before = 0

    def run(self, end: int) -> None:
        """Run blocks until none below ``end`` is left; comes back to Python now and then, for Ctrl-C and the clock."""
        run, launching, address = run_function(), self._launching, self._launching.program.address
        n_blocks = _FIRST_SLICE
        self._now.context.budget = n_blocks
        before = time.perf_counter()
        launching.progress.enter()
        self._piece = launching.queue.take(end)
        try:
            while (piece := self._piece) is not None:
                context = self._now.context
                if not run(ctypes.addressof(context), address, ctypes.addressof(piece.next), piece.end):
                    if not (self._next_piece(end) or self._next_waiting()):
                        return
                    continue
                now = time.perf_counter()
                self._check_clock(now)
                if context.budget <= 0:
                    is_short = now - before < _SLICE_S
                    n_blocks = context.budget = min(n_blocks * 2, _LARGEST_SLICE) if is_short else max(1, n_blocks // 2)
                before = now
                if not context.unfinished:
                    if self._waiting:
                        self._next_waiting()
                elif self._take_turns():
                    end = launching.n_blocks
                    self._next_piece(end)
        finally:
            launching.progress.leave()

    def _next_piece(self, end: int) -> bool:
        """Go on with other blocks below ``end``; false where some are at hand that have not begun, or none is left."""
        piece, launching = self._piece, self._launching
        if piece is not None and piece.n_left and not (piece.is_shared and piece.end < end):
            return False
        found = launching.queue.take(end)
        self._piece = found or piece
        return found is not None

    def _check_clock(self, now: float) -> None:
        launching = self._launching
        if self._deadline is not None and now > self._deadline:
            raise time_up(launching.name)
        if launching.stop.value == 1:
            self._stopped_s = self._stopped_s or now
            if now - self._stopped_s > _GRACE_S:
                launching.stop.value = 2

    def _next_waiting(self) -> bool:
        """Go on with a block that waits, now that the worker's own has ended; false where there is none."""
        self._held.pop(id(self._now), None)
        self._held_shared.pop(id(self._now), None)
        if not self._waiting:
            return False
        self._got_on()
        self._put_away(self._now)
        self._now = self._waiting.popleft()
        return True

    def _put_away(self, worker: Worker) -> None:
        """Another block may begin on a worker whose block has ended."""
        if worker.trace_bytes < worker.context.trace_limit:
            self._idle.append(worker)

    def _got_on(self) -> None:
        self._n_in_vain = 0
        self._launching.progress.changed()
        self._changes_before = self._launching.progress.changes

    def _take_turns(self) -> bool:
        """After a slice that left a block unfinished: who is next? True where another block was begun for it."""
        worker, launching = self._now, self._launching
        held, c = self._state(worker), worker.context
        in_vain = self._held.get(id(worker)) == held
        self._held[id(worker)] = held
        if not in_vain:
            self._got_on()
            if self._waiting and self._waits(worker):  # it got on as far as the next place where it waits
                c.turns, c.yields = WAITING_TURNS, 1
                self._rotate()
                return False
            worker.patience -= c.yields * c.turns
            if _PARKED_TURNS < c.turns < _MOST_TURNS:
                c.turns *= 2
            else:
                c.yields = min(2 * c.yields, _MOST_YIELDS)
            if worker.patience > 0:
                self._rotate()
                return False
        worker.patience = _PATIENCE_TURNS
        if self._begin_another():
            return True
        if in_vain:
            c.turns, c.yields = min(c.turns, WAITING_TURNS), 1
            self._n_in_vain += 1
            if self._shared_changed(worker):
                self._got_on()
            if self._n_in_vain > 2 * (len(self._waiting) + 1):
                self._n_in_vain = 0
                if self._all_idle() and launching.progress.is_endless(self._changes_before):
                    raise self._endless()
                self._changes_before = launching.progress.changes
        self._rotate()
        return False

    def _state(self, worker: Worker) -> bytes:
        """What changes as long as an unfinished block gets on."""
        program, warps = self._launching.program, worker.warps()
        asking = program.asking_loops
        if asking and all(status != Status.YIELDED or resume in asking for status, resume in warps):
            return repr((warps, worker.context.arrivals)).encode()
        return worker.frames()

    def _shared_changed(self, worker: Worker) -> bool:
        """Whether a block got on in shared memory alone, since it last came back with the same registers."""
        program = self._launching.program
        if not program.closed_loops.keys() - program.idle_loops.keys():
            return False
        held, now = self._held_shared.get(id(worker)), worker.shared()
        self._held_shared[id(worker)] = now
        return held != now

    def _rotate(self) -> None:
        self._waiting.append(self._now)
        self._now = self._waiting.popleft()

    def _begin_another(self) -> bool:
        launching = self._launching
        if not self._n_to_begin or len(self._waiting) + 1 >= launching.n_resident_blocks:
            return False
        if launching.stop.value:
            return False
        self._now.context.turns, self._now.context.yields = WAITING_TURNS, 1
        self._waiting.append(self._now)
        self._now = self._idle.pop() if self._idle else launching.worker()
        prepare(self._now, WAITING_TURNS)
        self._now.context.budget = 1
        self._got_on()
        return True

    @property
    def _n_to_begin(self) -> int:
        """Blocks that this thread could still begin."""
        piece = self._piece
        return self._launching.queue.n_left + (0 if piece is None or piece.is_shared else piece.n_left)

    def _all_idle(self) -> bool:
        """Whether every warp of every block waits at a barrier, or goes round a loop that no other block notices."""
        closed = self._launching.program.closed_loops
        workers = (self._now, *self._waiting)
        return all(status != Status.YIELDED or at in closed for worker in workers for status, at in worker.warps())

    def _waits(self, worker: Worker) -> bool:
        """Whether every warp of a block waits at a barrier, or goes round a loop that stores nothing."""
        idle_loops = self._launching.program.idle_loops
        return all(status != Status.YIELDED or resume in idle_loops for status, resume in worker.warps())

    def _endless(self) -> KernelFault:
        program, n_blocks = self._launching.program, len(self._waiting) + 1
        resume = next(resume for status, resume in self._now.warps() if status == Status.YIELDED)
        blocks = f"{n_blocks} blocks wait" if n_blocks > 1 else f"block {self._launching.place(self._now)} waits"
        source, ptx_line = program.closed_loops[resume]
        where = f"at PTX line {ptx_line}" if source is None else shown_line(source)
        left, beyond = self._n_to_begin, ""
        if left:
            held = self._launching.n_resident_blocks
            beyond = f"\n  {left} more cannot start: {self._launching.gpu.name} holds {held} of these blocks at once"
        return KernelFault(
            f"Kernel {self._launching.name!r} never ends: {blocks} in a loop for a value that nobody will store,\n"
            f"  {where}{beyond}",
            hint="look for a lock that is never released, two locks that threads take in opposite order, a flag that "
            "is never set or is taken back before all have seen it, or a grid-wide barrier with more blocks than fit.",
            kernel=self._launching.name,
            kind="endless loop",
            source="" if source is None else str(source),
        )


def time_up(name: str) -> KernelFault:
    """The error for a launch that took longer than ``configure(time_limit_s=...)`` allows."""
    from teachkit.emulator.kernel import settings

    return KernelFault(
        f"Kernel {name!r} was stopped after {settings.time_limit_s} s.",
        hint="look for a loop that never ends, or a lock that nobody releases; "
        "teachkit.emulator.configure(time_limit_s=...) sets the limit.",
        kernel=name,
        kind="time limit",
    )
