"""Lanes of a warp that wait for each other, such as for a lock.

Always running the earliest block would let lanes in a waiting loop keep back those that are past it. So when lanes
come to a block again with all their registers as they were, or very often, they step aside for the other lanes of their
warp. They come back when no other lane of the warp can run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from teachkit.emulator.oracle.tally import LANES
from teachkit.emulator.oracle.values import Array

if TYPE_CHECKING:
    from teachkit.emulator.oracle.machine import Machine

_IN_VAIN = 3  # times with the same registers
_OFTEN = 2000  # blocks that run while other lanes of the warp could


class Parking:
    """Which lanes of a block have stepped aside."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.parked = np.zeros(machine.n_threads, bool)
        self._start()

    def _start(self) -> None:
        """Begin to look anew."""
        self._seen: dict[tuple[int, bytes], tuple[dict[str, Array] | None, int]] = {}  # by block and lanes
        self._n_runs = 0

    def ready(self, runnable: Array) -> Array:
        """The lanes that run, of those that could."""
        others = (runnable & ~self.parked).reshape(-1, LANES).any(1)
        self.parked &= np.repeat(others, LANES)
        return np.asarray(runnable & ~self.parked)

    def steps_aside(self, number: int, active: Array, others: Array) -> bool:
        """Look at lanes about to run block ``number``; true where they step aside for ``others`` or for parked ones."""
        if not others.any() and not self.parked.any():
            self._start()
            return False
        self._n_runs += 1
        lanes, key = np.flatnonzero(active), (number, active.tobytes())
        values = {name: register[lanes] for name, register in self._machine.registers.items()}
        before, n_in_vain = self._seen.get(key, (None, 0))
        is_same = before is not None and all((v == before[name]).all() for name, v in values.items())
        self._seen[key] = (values, n_in_vain + 1 if is_same else 0)
        if self._seen[key][1] < _IN_VAIN and self._n_runs < _OFTEN:
            return False
        self._start()
        if others.any():
            self.parked |= active
        else:
            self.parked[:] = False
        return True

    def waits_for(self, number: int, active: Array, members: Array) -> bool:
        """Whether lanes about to run an instruction of ``members`` need parked ones of their warp, which then go first.

        ``members`` [n_threads] is the mask that each thread gives.
        """
        warp = np.repeat(active.reshape(-1, LANES).any(1), LANES)
        here = self.parked & warp & (self._machine.at == number)
        mask = int(members[np.flatnonzero(active)[0]])
        needed = np.array([mask >> lane & 1 for lane in range(LANES)] * (warp.size // LANES), bool)
        if not (self.parked & warp & ~here & needed).any():
            self.parked &= ~here  # these have waited for the others, and come along
            return bool(here.any())
        self.parked = np.where(warp, active | here, self.parked)
        return True
