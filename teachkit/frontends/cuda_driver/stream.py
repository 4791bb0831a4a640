"""Streams and events. Work has ended when the call that asks for it returns, so all streams are in order at once.

Modelled: the time between two events, as the price of the launches in between on the modelled GPU
(:mod:`teachkit.frontends.kernel_price`). Nothing is measured.
Not modelled: overlap, priorities, the time of copies, stream capture.
"""

from __future__ import annotations

import ctypes
import warnings

from teachkit.emulator import observe
from teachkit.errors import ModelledTimeWarning
from teachkit.frontends.cuda_driver import handles
from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.device import spec
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry, put
from teachkit.frontends.kernel_price import modelled_seconds

_DEFAULT_STREAMS = (0, 1, 2)  # the null stream, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD
_NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING


class Stream:
    """Nothing is ever waiting in it."""

    def __init__(self, flags: int, priority: int = 0) -> None:
        self.flags, self.priority = flags, priority


class Event:
    """``reading`` is the modelled clock when it was recorded, None before."""

    def __init__(self, flags: int) -> None:
        self.has_timing = not flags & _NO_TIMING
        self.reading: int | None = None


class _Clock:
    """Sums the prices of launches, in whole picoseconds, from the first timed event on."""

    def __init__(self) -> None:
        self.picoseconds = 0
        self._observation = observe(self._add)
        self.is_running = False
        self.has_warned = False

    def read(self) -> int:
        if not self.is_running:
            self.is_running = True
            self._observation.__enter__()
        return self.picoseconds

    def _add(self, launch: object) -> None:
        self.picoseconds += round(1e12 * modelled_seconds(launch, spec()))  # type: ignore[arg-type]

    def warn(self) -> None:
        if not self.has_warned:
            self.has_warned = True
            warnings.warn(
                f"times between CUDA events are modelled for {spec().name} from the kernels' counters, not measured: "
                "kernels run on the emulator",
                ModelledTimeWarning,
                stacklevel=4,
            )


_clock = _Clock()


def check(stream: int | None) -> None:
    """Refuse a handle that is no stream."""
    if (stream or 0) not in _DEFAULT_STREAMS:
        handles.find(stream, Stream)


@entry("cuStreamCreate", "pI")
def create(stream: int, flags: int) -> None:
    require_context()
    put("Q", stream, handles.new(Stream(flags)))


@entry("cuStreamCreateWithPriority", "pIi")
def create_with_priority(stream: int, flags: int, priority: int) -> None:
    require_context()
    put("Q", stream, handles.new(Stream(flags, max(-5, min(priority, 0)))))


@entry("cuStreamDestroy", "p")
def destroy(stream: int) -> None:
    handles.drop(stream, Stream)


@entry("cuStreamSynchronize", "p")
def synchronize(stream: int) -> None:
    check(stream)


@entry("cuStreamQuery", "p")
def query(stream: int) -> None:
    check(stream)


@entry("cuStreamWaitEvent", "ppI")
def wait_event(stream: int, event: int, flags: int) -> None:
    check(stream)
    handles.find(event, Event)


@entry("cuStreamGetFlags", "pp")
def get_flags(stream: int | None, flags: int) -> None:
    check(stream)
    put("I", flags, handles.find(stream, Stream).flags if (stream or 0) not in _DEFAULT_STREAMS else 0)


@entry("cuStreamGetPriority", "pp")
def get_priority(stream: int | None, priority: int) -> None:
    check(stream)
    put("i", priority, handles.find(stream, Stream).priority if (stream or 0) not in _DEFAULT_STREAMS else 0)


@entry("cuStreamGetId", "pp")
def get_id(stream: int | None, number: int) -> None:
    check(stream)
    put("Q", number, stream or 0)


@entry("cuStreamGetDevice", "pp")
def get_device(stream: int, device: int) -> None:
    check(stream)
    put("i", device, 0)


@entry("cuStreamGetCtx", "ppp")
def get_context(stream: int, context: int, green: int) -> None:
    check(stream)
    put("Q", context, require_context())
    put("Q", green, 0)


@entry("cuStreamIsCapturing", "pp")
def is_capturing(stream: int, status: int) -> None:
    check(stream)
    put("i", status, 0)


@entry("cuStreamGetCaptureInfo", "pppppppp")
def capture_info(stream: int, status: int, *_: int) -> None:
    check(stream)
    put("i", status, 0)


@entry("cuStreamAddCallback", "pppI")
def add_callback(stream: int | None, callback: int, data: int | None, flags: int) -> None:
    check(stream)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(callback)(stream, 0, data)


@entry("cuLaunchHostFunc", "ppp")
def launch_host(stream: int, function: int, data: int | None) -> None:
    check(stream)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)(data)


@entry("cuEventCreate", "pI")
def create_event(event: int, flags: int) -> None:
    require_context()
    put("Q", event, handles.new(Event(flags)))


@entry("cuEventDestroy", "p")
def destroy_event(event: int) -> None:
    handles.drop(event, Event)


def _record(event: int, stream: int) -> None:
    check(stream)
    found = handles.find(event, Event)
    found.reading = _clock.read() if found.has_timing else 0


@entry("cuEventRecord", "pp")
def record(event: int, stream: int) -> None:
    _record(event, stream)


@entry("cuEventRecordWithFlags", "ppI")
def record_with_flags(event: int, stream: int, flags: int) -> None:
    _record(event, stream)


@entry("cuEventSynchronize", "p")
def synchronize_event(event: int) -> None:
    handles.find(event, Event)


@entry("cuEventQuery", "p")
def query_event(event: int) -> None:
    handles.find(event, Event)


@entry("cuEventElapsedTime", "ppp")
def elapsed(milliseconds: int, start: int, end: int) -> None:
    first, last = handles.find(start, Event), handles.find(end, Event)
    if first.reading is None or last.reading is None or not (first.has_timing and last.has_timing):
        raise Refused(Status.INVALID_HANDLE)
    _clock.warn()
    ctypes.c_float.from_address(milliseconds).value = (last.reading - first.reading) / 1e9
