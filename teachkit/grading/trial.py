"""Calls a submission once and notes what happened, whatever happens.

Not modelled: a sandbox. The submission runs in this process, which is what practice needs.
"""

from __future__ import annotations

import linecache
import math
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from teachkit.errors import TeachkitError
from teachkit.grading.problem import LaunchUse, Outcome

if TYPE_CHECKING:
    import torch

    from teachkit.measure.report import KernelReport

_STUB = ("raise NotImplementedError", "raise NotImplementedError()")
_EMPTY = ("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided")
MAX_ERROR_CHARS = 2000


def call_plainly(submission: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Call without counting: for answers that are data."""
    try:
        return Outcome(value=submission(*args))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _raised(error)


def call_counted(submission: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Call under ``tk.profile``, with fresh allocations full of poison, and compare the inputs afterwards.

    Parameters
    ----------
    submission : the learner's function.
    args : torch tensors and plain values. The whole storage behind a tensor counts as input.
    """
    from teachkit.measure import profile

    before = [_storage_bytes(value) for value in args]
    try:
        # Poison lies outside the profile, so that filling a new tensor is not counted as an operator.
        with poisoned_allocations(), profile() as prof:
            value = submission(*args)
        launches = tuple(_use(report) for report in prof.kernels)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _raised(error)
    changed = tuple(
        index
        for index, (old, argument) in enumerate(zip(before, args, strict=True))
        if old is not None and not _same_bytes(old, argument)
    )
    return Outcome(value=value, launches=launches, changed_inputs=changed)


def _use(report: KernelReport) -> LaunchUse:
    counts = {name: n for name, n in report.counters.to_dict().items() if isinstance(n, int)}
    n_blocks, n_block_threads = math.prod(report.grid or (0,)), math.prod(report.block or (0,))
    return LaunchUse(report.name, report.kind, report.counters.dram_bytes, n_blocks, n_block_threads, counts)


def poisoned_allocations() -> Any:
    """A context in which memory that is allocated and not written reads as NaN (the least value for integers)."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Poison(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if func.overloadpacket.__name__ in _EMPTY and isinstance(result, torch.Tensor):
                if result.dtype.is_floating_point or result.dtype.is_complex:
                    result.fill_(float("nan"))
                elif result.dtype != torch.bool:
                    result.fill_(torch.iinfo(result.dtype).min)
            return result

    return Poison()  # type: ignore[no-untyped-call]


def safe_text(value: Any, limit: int = 200) -> str:
    """``repr`` of anything, shortened; a value whose ``repr`` raises is named by its type."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__} whose repr raises>"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _raised(error: BaseException) -> Outcome:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, NotImplementedError) and frames and (frames[-1].line or "").strip() in _STUB:
        return Outcome(not_attempted=True, error="the stub is untouched")
    return Outcome(error=_explain(error))


def _explain(error: BaseException) -> str:
    try:
        what = f"{type(error).__name__}: {error}"
    except Exception:
        what = type(error).__name__
    if len(what) > MAX_ERROR_CHARS:
        what = what[:MAX_ERROR_CHARS] + " ..."
    where = _own_line(error.__traceback__)
    # Errors of teachkit name the line inside the kernel themselves; this line is where the kernel was called.
    label = "called from" if isinstance(error, TeachkitError) else "raised at"
    return f"{what}\n{label} {where}" if where else what


def _own_line(trace: TracebackType | None) -> str | None:
    """The innermost line of the learner's own files or cells: what belongs to no installed library and not to us."""
    paths = sysconfig.get_paths()
    ours = str(Path(__file__).parent.parent)
    libraries = (paths["stdlib"], paths["purelib"], paths["platlib"], ours, "<frozen")
    found = None
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not filename.startswith(libraries):
            text = linecache.getline(filename, trace.tb_lineno).strip()
            found = f"line {trace.tb_lineno} of {trace.tb_frame.f_code.co_name}: {text}"
        trace = trace.tb_next
    return found


def _storage_bytes(value: Any) -> torch.Tensor | None:
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    whole = torch.empty(0, dtype=torch.uint8, device=value.device).set_(value.untyped_storage())
    return whole.clone()


def _same_bytes(old: torch.Tensor, value: Any) -> bool:
    import torch

    now = _storage_bytes(value)
    return now is not None and torch.equal(old, now)
