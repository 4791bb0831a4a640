"""All that is private to Numba-CUDA and touched here: the compiler, the linker, the launch, and the driver object.

``tests/frontends/test_numba_adapter.py`` says which of these a new version has changed.
- ``cudadrv.driver._Linker.complete`` returns machine code; here it gets the PTX behind it, which the emulator runs.
- ``dispatcher._Kernel`` is compiled with source lines if asked, and knows what the arguments of a launch are called.
  PyTorch's CPU tensors may be arguments, as its CUDA tensors are on a GPU; ``api.as_cuda_array`` takes them, too.
- ``dispatcher.launch`` and ``CUDACodeLibrary.get_cufunc`` call the driver: what an emulated kernel did wrong is raised
  there in the emulator's words instead of as a number.
- ``compiler.compile_cuda`` and ``kernel_fixup`` make a kernel without asking a driver (:func:`compile_kernel`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from teachkit.frontends.cuda_driver.entry import take_cause
from teachkit.frontends.numba_link import linked_with_ptx, ptx_of, source_linker


def adapt(module: ModuleType) -> None:
    """Change one of Numba-CUDA's modules, right after its import; a second call does nothing."""
    if getattr(module, "_teachkit_adapted", False):
        return
    module._teachkit_adapted = True  # type: ignore[attr-defined]
    _CHANGES[module.__name__](module)


def _adapt_driver(module: Any) -> None:
    module._Linker.complete = linked_with_ptx(module._Linker.complete)
    if module.driver.initialization_error is not None:
        module.driver.__init__()  # looks for the driver library again


def _adapt_dispatcher(module: Any) -> None:
    module._Kernel.__init__ = _with_lines(module._Kernel.__init__)
    module._Kernel.launch = _labelled(module._Kernel.launch)
    module.launch = _in_our_words(module.launch)


def _adapt_codegen(module: Any) -> None:
    module.CUDACodeLibrary.get_cufunc = _in_our_words(module.CUDACodeLibrary.get_cufunc)


def _adapt_api(module: Any) -> None:
    before = module.as_cuda_array
    module.as_cuda_array = _of_tensors(before, module.from_cuda_array_interface)
    package = sys.modules.get("numba.cuda")
    if getattr(package, "as_cuda_array", None) is before:  # has taken the name from the module already
        package.as_cuda_array = module.as_cuda_array  # type: ignore[union-attr]


_CHANGES: dict[str, Callable[[Any], None]] = {
    "numba.cuda.cudadrv.driver": _adapt_driver,
    "numba.cuda.dispatcher": _adapt_dispatcher,
    "numba.cuda.codegen": _adapt_codegen,
    "numba.cuda.api": _adapt_api,
}


def _in_our_words(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        take_cause()
        try:
            return function(*args, **kwargs)
        except Exception as error:
            cause = take_cause()
            if cause is None:
                raise
            raise both(cause, error) from None

    return call


def both(cause: BaseException, error: Exception) -> BaseException:
    """An exception of both kinds: what the emulator raised, and what the program expects of a driver."""
    if not isinstance(cause, Exception):
        return cause
    status = str(error).partition(":")[0]
    shown = {"__str__": lambda self: f"{self.args[0]}\n({status})", "__module__": type(cause).__module__}
    kind: Any = type(type(cause).__name__, (type(cause), type(error)), shown)
    raised: Exception = kind.__new__(kind)
    raised.args = (str(cause),)
    raised.__dict__.update({**error.__dict__, **cause.__dict__})
    return raised.with_traceback(cause.__traceback__)


def _with_lines(init: Callable[..., None]) -> Callable[..., None]:
    """Where it is asked for: Numba's own linking of CUDA C++ refuses code with lines."""

    @functools.wraps(init)
    def call(kernel: Any, *args: Any, lineinfo: bool = False, **kwargs: Any) -> None:
        from teachkit.frontends import numba_emulation

        init(kernel, *args, lineinfo=lineinfo or numba_emulation.has_lines, **kwargs)

    return call


def _labelled(launch: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(launch)
    def call(kernel: Any, *args: Any, **kwargs: Any) -> Any:
        from teachkit.frontends.cuda_driver.launch import Labels, labelled
        from teachkit.frontends.cuda_driver.memory import memory

        lent = list(_storages(args[0] if args else kwargs["args"]))
        function = getattr(kernel, "py_func", None)
        with memory.lend(lent) if lent else contextlib.nullcontext():
            if function is None:  # loaded from Numba's cache
                return launch(kernel, *args, **kwargs)
            names = function.__code__.co_varnames
            parameters = [
                label for name, ty in zip(names, kernel.argument_types, strict=False) for label in labels(name, ty)
            ]
            with labelled(Labels(function.__name__, parameters)):
                return launch(kernel, *args, **kwargs)

    return call


class _Lender:
    """Owns a device array that is a tensor's memory."""

    def __init__(self, tensor: Any) -> None:
        from teachkit.frontends.cuda_driver.memory import memory

        self.tensor = tensor
        loan = memory.lend(list(_storages([tensor])))
        loan.__enter__()
        weakref.finalize(self, loan.__exit__, None, None, None)


def _of_tensors(as_cuda_array: Callable[..., Any], from_interface: Callable[..., Any]) -> Callable[..., Any]:
    """The same for CPU tensors, which say nothing of CUDA: kernels may touch their memory while the array lives."""

    @functools.wraps(as_cuda_array)
    def call(obj: Any, sync: bool = True) -> Any:
        if not hasattr(obj, "untyped_storage") or obj.device.type != "cpu":
            return as_cuda_array(obj, sync=sync)
        host = obj.numpy()  # refuses what needs a gradient, as the interface of a CUDA tensor does
        interface = {
            "shape": host.shape,
            "strides": host.strides,
            "typestr": host.dtype.str,
            "data": (obj.data_ptr(), False),
            "version": 3,
        }
        return from_interface(interface, owner=_Lender(obj), sync=sync)

    return call


def _storages(values: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """Memory of the CPU tensors among arguments: the tensors of the emulated device, which nobody allocated here."""
    for value in values:
        if isinstance(value, tuple):
            yield from _storages(value)
        elif hasattr(value, "untyped_storage") and value.device.type == "cpu":
            storage = value.untyped_storage()
            if storage.nbytes():
                yield storage.data_ptr(), storage.data_ptr() + storage.nbytes()


def labels(name: str, ty: Any) -> Iterator[tuple[str, str, int]]:
    """What Numba's calling convention makes of one argument: (name, dtype, bytes of an element) a parameter."""
    from numba.cuda import types
    from numba.cuda.np.numpy_support import as_dtype

    if isinstance(ty, types.Array):
        dtype = as_dtype(ty.dtype)
        for part in ("meminfo", "parent", "size", "itemsize"):
            yield f"{name}.{part}", "", 1
        yield name, str(dtype), dtype.itemsize
        for part in ("shape", "strides"):
            yield from ((f"{name}.{part}[{axis}]", "", 1) for axis in range(ty.ndim))
    elif isinstance(ty, types.BaseTuple):
        for index, item in enumerate(ty):
            yield from labels(f"{name}[{index}]", item)
    elif isinstance(ty, types.Complex):
        yield f"{name}.real", "", 1
        yield f"{name}.imag", "", 1
    else:
        yield name, "", 1


@dataclasses.dataclass(frozen=True)
class CompiledKernel:
    """PTX of one kernel and of all that it calls, the kernel's name in it, and how an error code is looked up."""

    ptx: str
    name: str
    exception_of: Callable[[int], tuple[Any, Any, Any]]

    @property
    def loadable(self) -> tuple[str, str]:
        """PTX and name."""
        return self.ptx, self.name


_compiling = threading.Lock()


def compile_kernel(
    function: Callable[..., None], types: Sequence[Any], capability: tuple[int, int], options: Mapping[str, Any]
) -> CompiledKernel:
    """Compile a kernel where no driver is.

    Parameters
    ----------
    function : callable
        What ``cuda.jit`` decorates.
    types : sequence
        Numba's types of the arguments.
    capability : (int, int)
        Architecture to compile for.
    options : mapping
        ``debug``, ``opt``, ``fastmath``, ``forceinline``, ``max_registers``, ``launch_bounds``, ``link``.

    Source: ``numba.cuda.dispatcher._Kernel.__init__`` and ``numba.cuda.compiler._compile_pyfunc_with_fixup`` of 0.30.4,
    which do the same but ask a driver for the architecture.
    """
    from numba.cuda import types as numba_types
    from numba.cuda.compiler import compile_cuda, kernel_fixup
    from numba.cuda.cudadrv import nvvm

    debug = bool(options.get("debug"))
    nvvm_options: dict[str, Any] = {
        "fastmath": options.get("fastmath", False),
        "opt": 3 if options.get("opt", not debug) else 0,
    }
    if debug:
        nvvm_options["g"] = None
    with _compiling, _device_functions_for(capability):
        result = compile_cuda(
            function,
            numba_types.void,
            tuple(types),
            debug=debug,
            lineinfo=not debug,
            fastmath=options.get("fastmath", False),
            forceinline=options.get("forceinline", False),
            max_registers=options.get("max_registers"),
            nvvm_options=nvvm_options,
            cc=capability,
        )
        library = result.library
        kernel = library.get_function(result.fndesc.llvm_func_name)
        kernel_fixup(kernel, debug)
        nvvm.set_launch_bounds(kernel, options.get("launch_bounds"))
        texts = library.get_asm_strs(cc=capability)
        linker = source_linker()(max_registers=options.get("max_registers"), cc=capability, lto=False)
        for text in texts:
            linker.add_ptx(text.encode())
        for source in (*library._linking_files, *(options.get("link") or ())):
            linker.add_file_guess_ext(source)
    return CompiledKernel(ptx_of(linker), kernel.name, result.call_helper.get_exception)


@contextlib.contextmanager
def _device_functions_for(capability: tuple[int, int]) -> Iterator[None]:
    """Device functions are compiled for the architecture of the current device: here, for the one asked for."""
    from numba.cuda import dispatcher

    before = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = before
