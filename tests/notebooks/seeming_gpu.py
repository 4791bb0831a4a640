"""Run a lesson's cells where there seems to be a CUDA device: ``python seeming_gpu.py NOTEBOOK``.

The emulator plays the GPU, below Triton and below the CUDA driver; the emulator that counts is used as with a GPU.
Tensors on ``cuda`` lie in this process's memory and behave like a GPU's: NumPy does not take them, and no operator and
no launch takes them together with tensors of the host.
Prints a JSON list: for each cell that says something else than its committed output, what it says, or what it raised.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.frontends import pretended_gpu  # installs the driver, so it comes first

# isort: split
import nbformat
import torch
import triton
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from teachkit.emulator import launches
from teachkit.emulator.checks import session
from teachkit.frontends import gpu_launch
from teachkit.frontends.cuda_driver.memory import memory
from teachkit.frontends.triton_backend.launcher import EmulatorLauncher

TAG = "nbval-ignore-output"
_ANYWHERE = ("copy_", "as_subclass", "__get__", "to")
n_launches = {"Triton": 0, "driver": 0}


class OnGpu(pretended_gpu.OnGpu):
    is_cpu = property(lambda self: False)

    def cpu(self) -> torch.Tensor:
        return in_host_memory(self).clone()

    def untyped_storage(self) -> Any:
        return in_host_memory(self).untyped_storage()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")

    __array__ = numpy

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") not in _ANYWHERE:
            for leaf in tree_leaves((args, kwargs)):
                if isinstance(leaf, torch.Tensor) and not isinstance(leaf, OnGpu) and leaf.dim() and leaf.is_cpu:
                    raise RuntimeError(f"Expected all tensors to be on the same device, in {func}")
        return super().__torch_function__(func, types, args, kwargs or {})


def in_host_memory(tensor: torch.Tensor) -> torch.Tensor:
    """The memory behind it, as a tensor of the host."""
    with torch._C.DisableTorchFunctionSubclass():
        return tensor.as_subclass(torch.Tensor)


class Factories(TorchFunctionMode):
    """``torch.ones(..., device="cuda")`` and ``tensor.to("cuda")``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") == "to" and any(_is_cuda(value) for value in args[1:]):
            return in_host_memory(args[0]).clone().as_subclass(OnGpu)
        if _is_cuda(kwargs.get("device")):
            made = func(*args, **{**kwargs, "device": "cpu"})
            return made.as_subclass(OnGpu) if isinstance(made, torch.Tensor) else made
        return func(*args, **kwargs)


def _is_cuda(device: Any) -> bool:
    return isinstance(device, (str, torch.device)) and str(device).startswith("cuda")


@contextlib.contextmanager
def on_hardware() -> Iterator[None]:
    """Nobody looks into a GPU."""
    kept = launches.tracers[:], session._sessions[:]
    launches.tracers[:], session._sessions[:] = [], []
    try:
        with launches.observe_alone(lambda launch: None):
            yield
    finally:
        launches.tracers[:], session._sessions[:] = kept


def pretend() -> None:
    """From now on there seems to be a GPU."""
    triton.runtime.driver.active.get_current_device()  # the driver that plays the GPU's is chosen here
    by_triton, by_driver = EmulatorLauncher.__call__, gpu_launch.drive

    def run(self: Any, *args: Any) -> None:
        n_launches["Triton"] += 1
        if any(isinstance(arg, torch.Tensor) and not isinstance(arg, OnGpu) for arg in args):
            raise ValueError("Pointer argument cannot be accessed from Triton (cpu tensor?)")
        with on_hardware():
            by_triton(self, *(in_host_memory(arg) if isinstance(arg, OnGpu) else arg for arg in args))

    def drive(ptx: str, entry: str, kernel: Any, grid: Any, block: Any, args: Any, *rest: Any, **fixed: Any) -> Any:
        n_launches["driver"] += 1
        storages = [arg.untyped_storage() for arg in args if isinstance(arg, torch.Tensor)]
        with on_hardware(), memory.lend([(s.data_ptr(), s.data_ptr() + s.nbytes()) for s in storages]):
            return by_driver(ptx, entry, kernel, grid, block, args, *rest, **fixed)

    EmulatorLauncher.__call__, gpu_launch.drive = run, drive  # type: ignore[method-assign]
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: 0  # what describe() would list
    torch.cuda.synchronize = lambda *_: None


def run_cell(source: str, name: str, scope: dict[str, Any]) -> tuple[str, str]:
    """What a cell prints, and its value as text."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    said, value = io.StringIO(), None
    with contextlib.redirect_stdout(said):
        exec(compile(ast.Module(body, []), name, "exec"), scope)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), scope)
    if value is None:
        return said.getvalue(), ""
    bundle = value._repr_mimebundle_() if hasattr(value, "_repr_mimebundle_") else repr(value)
    return said.getvalue(), bundle[0]["text/plain"] if isinstance(bundle, tuple) else str(bundle)


def main(path: Path) -> list[str]:
    """Everything in a notebook that is not as it was without a GPU."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    problems = []
    for index, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code":
            continue
        try:
            said, value = run_cell(cell.source, f"<cell {index}>", scope)
        except Exception:
            problems.append(f"cell {index} raised\n{traceback.format_exc()}")
            continue
        if TAG in cell.metadata.get("tags", []):
            continue
        expected = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        if said != expected:
            problems.append(f"cell {index} printed\n{said}\ninstead of\n{expected}")
        for output in cell.outputs:
            if output.output_type == "execute_result" and output.data["text/plain"] != value:
                problems.append(f"cell {index} shows\n{value}\ninstead of\n{output.data['text/plain']}")
    return problems


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # times of the emulated driver's events are modelled, and it says so
    pretend()
    with Factories():
        print(json.dumps({"problems": main(Path(sys.argv[1])), "launches": n_launches}))
