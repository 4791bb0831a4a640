"""Contexts: the device's primary one, further ones, and each thread's stack of them."""

from __future__ import annotations

import threading

from teachkit.frontends.cuda_driver import handles
from teachkit.frontends.cuda_driver.device import check_device, require_initialized
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry, put


class Context:
    """Nothing but an identity: all contexts see one memory."""


_thread = threading.local()
_lock = threading.Lock()
_primary: int = 0
_n_retained = 0


def stack() -> list[int]:
    """This thread's contexts, the current one last."""
    require_initialized()
    if not hasattr(_thread, "stack"):
        _thread.stack = []
    contexts: list[int] = _thread.stack
    return contexts


def current() -> int:
    """Handle of the current context, 0 without one."""
    contexts = stack()
    return contexts[-1] if contexts else 0


def require_context() -> int:
    """The current context; without one the call is refused."""
    handle = current()
    if not handle:
        raise Refused(Status.INVALID_CONTEXT)
    return handle


@entry("cuDevicePrimaryCtxRetain", "pi")
def retain(context: int, device: int) -> None:
    global _primary, _n_retained
    check_device(device)
    with _lock:
        _primary = _primary or handles.new(Context())
        _n_retained += 1
        put("Q", context, _primary)


@entry("cuDevicePrimaryCtxRelease", "i")
def release(device: int) -> None:
    global _n_retained
    check_device(device)
    with _lock:
        if _n_retained == 0:
            raise Refused(Status.INVALID_CONTEXT)
        _n_retained -= 1


@entry("cuDevicePrimaryCtxReset", "i")
def reset(device: int) -> None:
    global _n_retained
    check_device(device)
    with _lock:
        _n_retained = 0


@entry("cuDevicePrimaryCtxGetState", "ipp")
def state(device: int, flags: int, is_active: int) -> None:
    check_device(device)
    put("I", flags, 0)
    put("i", is_active, int(_n_retained > 0))


@entry("cuDevicePrimaryCtxSetFlags", "iI")
def set_flags(device: int, flags: int) -> None:
    check_device(device)


@entry("cuCtxCreate", "ppIi")
def create(context: int, parameters: int, flags: int, device: int) -> None:
    check_device(device)
    handle = handles.new(Context())
    stack().append(handle)
    put("Q", context, handle)


@entry("cuCtxDestroy", "p")
def destroy(context: int) -> None:
    handles.drop(context, Context)
    if context in stack():
        stack().remove(context)


@entry("cuCtxPushCurrent", "p")
def push(context: int) -> None:
    contexts = stack()
    handles.find(context, Context)
    contexts.append(context)


@entry("cuCtxPopCurrent", "p")
def pop(context: int) -> None:
    require_context()
    put("Q", context, stack().pop())


@entry("cuCtxSetCurrent", "p")
def set_current(context: int | None) -> None:
    contexts = stack()
    if context:
        handles.find(context, Context)
    if contexts:
        contexts.pop()
    if context:
        contexts.append(context)


@entry("cuCtxGetCurrent", "p")
def get_current(context: int) -> None:
    put("Q", context, current())


@entry("cuCtxGetDevice", "p")
def get_device(device: int) -> None:
    require_context()
    put("i", device, 0)


@entry("cuCtxGetId", "pp")
def get_id(context: int | None, number: int) -> None:
    put("Q", number, context or require_context())


@entry("cuCtxGetFlags", "p")
def get_flags(flags: int) -> None:
    require_context()
    put("I", flags, 0)


@entry("cuCtxGetApiVersion", "pp")
def get_version(context: int, version: int) -> None:
    from teachkit.frontends.cuda_driver.device import VERSION

    put("I", version, VERSION)


@entry("cuCtxSynchronize", "")
def synchronize() -> None:
    require_context()


@entry("cuCtxGetStreamPriorityRange", "pp")
def priorities(least: int, greatest: int) -> None:
    require_context()
    put("i", least, 0)
    put("i", greatest, -5)


@entry("cuCtxGetLimit", "pi")
def get_limit(value: int, limit: int) -> None:
    require_context()
    put("Q", value, {0: 1024, 1: 1 << 20, 2: 8 << 20}.get(limit, 0))  # stack, printf buffer, heap: CUDA's defaults


@entry("cuCtxSetLimit", "iQ")
def set_limit(limit: int, value: int) -> None:
    require_context()


@entry("cuProfilerStart", "")
def profiler_start() -> None:
    require_context()


@entry("cuProfilerStop", "")
def profiler_stop() -> None:
    require_context()
