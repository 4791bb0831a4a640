"""A slow, independent executor of PTX in NumPy, against which the fast engine is tested."""

from __future__ import annotations

from teachkit.emulator.oracle.run import Result, run

__all__ = ["Result", "run"]
