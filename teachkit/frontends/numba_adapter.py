"""All that is private to Numba-CUDA and touched here: the linker, the launch, and the driver object.

``tests/frontends/test_numba_adapter.py`` says which of these a new version has changed.
- ``cudadrv.driver._Linker.complete`` returns machine code; here it gets the PTX behind it, which the emulator runs.
- ``dispatcher._Kernel`` is compiled with source lines, and knows what the arguments of a launch are called.
- ``dispatcher.launch`` and ``CUDACodeLibrary.get_cufunc`` call the driver: what an emulated kernel did wrong is raised
  there in the emulator's words instead of as a number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from teachkit.errors import PtxLinkError
from teachkit.frontends.cuda_driver.cubin import with_ptx
from teachkit.frontends.cuda_driver.entry import take_cause
from teachkit.frontends.ptx_link import link

RUNTIME = Path(__file__).with_name("device_runtime.ptx")
_FROM_RUNTIME = ("cudaCGGetIntrinsicHandle", "cudaCGSynchronize", "malloc", "free")


def adapt(module: ModuleType) -> None:
    """Change one of Numba-CUDA's modules, right after its import; a second call does nothing."""
    if getattr(module, "_teachkit_adapted", False):
        return
    module._teachkit_adapted = True  # type: ignore[attr-defined]
    _CHANGES[module.__name__](module)


def _adapt_driver(module: Any) -> None:
    module._Linker.complete = _linked_with_ptx(module._Linker.complete)
    if module.driver.initialization_error is not None:
        module.driver.__init__()  # looks for the driver library again


def _adapt_dispatcher(module: Any) -> None:
    module._Kernel.__init__ = _with_lines(module._Kernel.__init__)
    module._Kernel.launch = _labelled(module._Kernel.launch)
    module.launch = _in_our_words(module.launch)


def _adapt_codegen(module: Any) -> None:
    module.CUDACodeLibrary.get_cufunc = _in_our_words(module.CUDACodeLibrary.get_cufunc)


_CHANGES: dict[str, Callable[[Any], None]] = {
    "numba.cuda.cudadrv.driver": _adapt_driver,
    "numba.cuda.dispatcher": _adapt_dispatcher,
    "numba.cuda.codegen": _adapt_codegen,
}


def _in_our_words(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        take_cause()
        try:
            return function(*args, **kwargs)
        except Exception:
            cause = take_cause()
            if cause is None:
                raise
            raise cause from None

    return call


def _linked_with_ptx(complete: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(complete)
    def call(linker: Any) -> Any:
        from cuda.core import ObjectCode

        made = complete(linker)
        return ObjectCode.from_cubin(with_ptx(bytes(made.code), _ptx_of(linker)))

    return call


def _ptx_of(linker: Any) -> str:
    """PTX of all that was linked."""
    texts = []
    kinds = [code.code_type for code in linker._object_codes]
    if "ltoir" in kinds:
        from cuda.core import Linker

        parts = [code for code in linker._object_codes if code.code_type == "ltoir"]
        joined = Linker(*parts, options=linker._get_linker_options(ptx=True)).link("ptx")
        texts.append(bytes(joined.code).decode().rstrip("\0"))
    for code, kind in zip(linker._object_codes, kinds, strict=True):
        if kind == "ptx":
            texts.append(bytes(code.code).decode().rstrip("\0"))
        elif kind not in ("ltoir", "library"):  # the only library is the device runtime, which is ours
            raise PtxLinkError(
                f"Expected CUDA C++, PTX or LTO-IR to link, got {kind}.",
                hint="the emulator runs PTX, and there is none in machine code: link the source instead.",
            )
    if any(name in text for text in texts for name in _FROM_RUNTIME):
        texts.append(RUNTIME.read_text())
    return link(texts)


def _with_lines(init: Callable[..., None]) -> Callable[..., None]:
    """Counters and faults name the kernel's source lines, which costs the code nothing."""

    @functools.wraps(init)
    def call(kernel: Any, *args: Any, lineinfo: bool = False, **kwargs: Any) -> None:
        init(kernel, *args, lineinfo=True, **kwargs)

    return call


def _labelled(launch: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(launch)
    def call(kernel: Any, *args: Any, **kwargs: Any) -> Any:
        from teachkit.frontends.cuda_driver.launch import Labels, labelled

        function = getattr(kernel, "py_func", None)
        if function is None:  # loaded from Numba's cache
            return launch(kernel, *args, **kwargs)
        names = function.__code__.co_varnames
        parameters = [
            label for name, ty in zip(names, kernel.argument_types, strict=False) for label in labels(name, ty)
        ]
        with labelled(Labels(function.__name__, parameters)):
            return launch(kernel, *args, **kwargs)

    return call


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
