"""The emulator's clock: what Triton's benchmarking reads where there is no GPU whose time could be measured.

Modelled: everything. Time passes only while emulated launches run, by the price of each on the modelled GPU
(:mod:`teachkit.frontends.kernel_price`), so that autotuning picks the same configuration everywhere.
Not modelled: PyTorch's own CPU operators. An interval without a launch has no time, and asking for it is an error.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from teachkit.emulator import observe
from teachkit.emulator.launches import Launch, observe_alone
from teachkit.errors import ModelledTimeWarning, NoLaunchError
from teachkit.frontends.kernel_price import modelled_seconds
from teachkit.frontends.target import modelled_gpu

_CACHE_CLEAR_PS = 10**12
_PS_PER_MS = 10**9


class ModelledClock:
    """Sums the prices of the launches that it sees while it runs.

    It counts whole picoseconds: sums of floats would depend on what ran before.
    """

    def __init__(self) -> None:
        self.picoseconds = 0
        self.n_launches = 0
        self._running: contextlib.ExitStack | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Watch launches from now on; a running clock goes on."""
        with self._lock:
            if self._running is None:
                self._running = contextlib.ExitStack()
                self._running.enter_context(observe(self.add))

    def stop(self) -> None:
        """Stop watching; the reading stays."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.close()

    def add(self, launch: Launch) -> None:
        """Count one launch."""
        price_ps = round(1e12 * modelled_seconds(launch, modelled_gpu()))
        with self._lock:
            self.picoseconds += price_ps
            self.n_launches += 1

    def skip(self, picoseconds: int) -> None:
        """Let time pass without a launch."""
        with self._lock:
            self.picoseconds += picoseconds


CLOCK = ModelledClock()


class Event:
    """Stands in for ``torch.cuda.Event``: a reading of the emulator's clock."""

    def __init__(self, enable_timing: bool = False, **_: Any) -> None:
        self._reading: tuple[int, int] | None = None

    def record(self, stream: Any = None) -> None:
        """Read the clock, and keep it running until the next :meth:`DeviceInterface.synchronize`."""
        CLOCK.start()
        self._reading = (CLOCK.picoseconds, CLOCK.n_launches)

    def synchronize(self) -> None:
        """Do nothing: a launch has ended when it returns."""

    def query(self) -> bool:
        """Whether the work before the event is done: always."""
        return True

    def elapsed_time(self, end: Event) -> float:
        """Modelled milliseconds of the launches between this event and ``end``.

        Raises
        ------
        NoLaunchError
            If no kernel was launched in between, so that there is nothing to model.
        """
        if self._reading is None or end._reading is None:
            raise NoLaunchError("expected two recorded events, got one that was not recorded")
        (start_ps, first), (end_ps, last) = self._reading, end._reading
        if first == last:
            raise _no_launch("between the two events")
        _warn_once(modelled_gpu().name)
        return (end_ps - start_ps) / _PS_PER_MS


class DeviceInterface:
    """The part of ``torch.cuda`` that ``triton.testing.do_bench`` uses."""

    Event = Event

    @staticmethod
    def synchronize(device: Any = None) -> None:
        """Stop the clock until the next event; launches have ended already."""
        CLOCK.stop()

    @staticmethod
    def current_device() -> int:
        """Ordinal of the emulated device."""
        from teachkit.frontends.target import device_ordinal

        return device_ordinal()


def clear_cache(cache: Any) -> None:
    """Make the next launch start cold, which every emulated launch does anyway.

    Repeating a launch cannot change its modelled time. ``do_bench`` decides by this call's time how often it repeats,
    and leaves it out of what it reports; so a second passes, and one repetition is enough.
    """
    CLOCK.skip(_CACHE_CLEAR_PS)


def benchmark(
    kernel_call: Callable[[], Any], *, quantiles: Sequence[float] | None = None, **_: Any
) -> list[float] | float:
    """Modelled milliseconds of one call: the benchmarker that ``triton.autotune`` uses on the emulator.

    Parameters
    ----------
    kernel_call : callable
        Launches kernels; it is called once, for its counters are the same every time.
    quantiles : sequence of float, optional
        How many numbers to return; a model has no spread, so they are equal.
    """
    modelled_ms = _modelled_ms(kernel_call)
    return modelled_ms if quantiles is None else [modelled_ms] * len(quantiles)


def benchmark_graph(
    fn: Callable[[], Any],
    rep: int = 20,
    grad_to_none: Sequence[Any] | None = None,
    quantiles: Sequence[float] | None = None,
    return_mode: str = "mean",
) -> list[float] | float:
    """Modelled milliseconds of one call: stands in for ``triton.testing.do_bench_cudagraph``, whose arguments it takes.

    A graph repeats launches without the host; that costs no time in the model either, so ``fn`` is called once.

    Raises
    ------
    NoLaunchError
        If ``fn`` launches no kernel, so that there is nothing to model.
    """
    for tensor in grad_to_none or ():
        tensor.grad = None
    modelled_ms = _modelled_ms(fn)
    if not modelled_ms:
        raise _no_launch("in the function that is timed")
    _warn_once(modelled_gpu().name)
    if quantiles is not None and len(quantiles) > 1:
        return [modelled_ms] * len(quantiles)
    return [modelled_ms] if quantiles is None and return_mode == "all" else modelled_ms


def _modelled_ms(call: Callable[[], Any]) -> float:
    clock = ModelledClock()
    # A profile shows what the program launched, not what tuning tried.
    with observe_alone(clock.add):
        call()
    return clock.picoseconds / _PS_PER_MS


def _no_launch(where: str) -> NoLaunchError:
    return NoLaunchError(
        f"expected a kernel launch {where}, found none; PyTorch's own operators run on the CPU "
        "here, and no GPU time is modelled for them",
        hint="time a function that launches a Triton kernel, or use time.perf_counter for CPU work",
    )


_warned: set[str] = set()


def _warn_once(gpu_name: str) -> None:
    if gpu_name not in _warned:
        _warned.add(gpu_name)
        warnings.warn(
            f"times are modelled for {gpu_name} from the kernels' counters, not measured: there is no GPU here",
            ModelledTimeWarning,
            stacklevel=4,
        )
