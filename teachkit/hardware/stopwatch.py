"""How long the GPU works on something: two CUDA events around it, after a head start of the host.

Not modelled: work on other streams than PyTorch's current one.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

HEAD_START_CYCLES = 1_000_000
"""Half a millisecond or so, while which the GPU waits and the host prepares the launch.

Without, the GPU would be through with the first event before the launch arrives, and the events would time the host.
"""


class Stopwatch:
    """Times what a ``with`` block puts on the GPU's current stream.

    Parameters
    ----------
    clock : module, optional
        ``torch.cuda``, or a stand-in with its ``Event`` and ``_sleep``.
    """

    def __init__(self, clock: Any = None) -> None:
        if clock is None:
            import torch

            clock = torch.cuda
        self._clock = clock
        self._start, self._end = clock.Event(enable_timing=True), clock.Event(enable_timing=True)

    def __enter__(self) -> Self:
        self._clock._sleep(HEAD_START_CYCLES)
        self._start.record()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.record()

    def seconds(self) -> float:
        """Wait until the GPU has done the work, and say how long that took it."""
        self._end.synchronize()
        return float(self._start.elapsed_time(self._end)) / 1e3
