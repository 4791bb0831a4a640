"""Modules and libraries: PTX, or a cubin with its PTX, loaded; kernels and variables found by name.

Not modelled: cubins and fat binaries without PTX, for there is no machine code to run here.
"""

from __future__ import annotations

import ctypes
import functools

from teachkit.emulator import Kernel, LoadedModule, load_ptx
from teachkit.frontends.cuda_driver import cubin, handles
from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.cubin import Needs
from teachkit.frontends.cuda_driver.device import spec
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry, put
from teachkit.frontends.cuda_driver.memory import Allocation, memory

_FATBIN = b"\x50\xed\x55\xba"


class Code:
    """One loaded image."""

    def __init__(self, address: int) -> None:
        head = ctypes.string_at(address, 4)
        self.needs: dict[str, Needs] = {}
        if head == b"\x7fELF":
            image, text = cubin.ptx_behind(address)
            self.needs = cubin.needs(image)
        elif head == _FATBIN:
            text = None
        else:
            text = ctypes.string_at(address).decode()
            if ".version" not in text:
                raise Refused(Status.INVALID_IMAGE)
        if text is None:
            raise Refused(Status.NO_BINARY_FOR_GPU)
        self.loaded: LoadedModule = load_ptx(text)
        self.kernels: dict[str, int] = {}
        self.names: dict[int, bytes] = {}
        self._ranges: list[int] = []

    @functools.cached_property
    def variables(self) -> dict[str, tuple[int, int]]:
        """(address, bytes) by name; kernels may touch them from now on, whichever module they are in."""
        places = {name: (address, n_bytes) for name, (_, address, n_bytes) in self.loaded.variables.items()}
        for address, n_bytes in places.values():
            if n_bytes:
                memory.enter(Allocation(address, address + n_bytes, "module"))
                self._ranges.append(address)
        return places

    def kernel(self, name: str) -> int:
        """Handle of a kernel."""
        if name not in self.kernels:
            if name not in self.loaded:
                raise Refused(Status.NOT_FOUND)
            self.kernels[name] = handles.new(Function(self, self.loaded[name]))
        return self.kernels[name]

    def unload(self) -> None:
        """Take its variables and kernels away."""
        for address in self._ranges:
            memory.forget(address, "module")
        for handle in self.kernels.values():
            handles.drop(handle, Function)


class Function:
    """One kernel of an image."""

    def __init__(self, owner: Code, kernel: Kernel) -> None:
        self.owner, self.kernel = owner, kernel
        self.chosen: dict[int, int] = {}  # attributes that the program set

    @functools.cached_property
    def needs(self) -> Needs:
        """Registers and memory, as the cubin says; where there is none, as ``ptxas`` says."""
        if self.kernel.name in self.owner.needs:
            return self.owner.needs[self.kernel.name]
        from teachkit.errors import AssemblerError
        from teachkit.frontends.resources import assemble

        try:
            usage = assemble(self.owner.loaded.text).usage.get(self.kernel.name)
        except AssemblerError:
            usage = None
        return Needs() if usage is None else Needs(usage.n_registers, usage.n_stack_bytes, usage.static_shared_bytes)

    def attributes(self) -> dict[int, int]:
        """``CU_FUNC_ATTRIBUTE_...`` by number."""
        major, minor = spec().compute_capability
        per_warp = -(-max(self.needs.n_registers, 1) * 32 // 256) * 256
        # As many warps as the registers of an SM allow, in fours, for an SM has four parts.
        most = min(1024, spec().registers_per_sm // per_warp // 4 * 4 * 32)
        bounds = self.kernel.signature.directives
        for key in ("maxntid", "reqntid"):
            if key in bounds:
                x, y, z = (*bounds[key], 1, 1)[:3]
                most = min(most, x * y * z)
        return {
            0: most,
            1: self.needs.shared_bytes,
            2: sum(v.n_bytes for v in self.owner.loaded.module.variables.values() if v.space == "const"),
            3: self.needs.local_bytes,
            4: self.needs.n_registers,
            5: round(float(self.owner.loaded.module.version) * 10),
            6: 10 * major + minor,
            8: 49152 - self.needs.shared_bytes,
            9: -1,
        } | self.chosen


def _load(handle: int, image: int) -> None:
    require_context()
    if not image:
        raise Refused(Status.INVALID_VALUE)
    put("Q", handle, handles.new(Code(image)))


@entry("cuLibraryLoadData", "ppppIppI")
def load_library(library: int, image: int, *_: int) -> None:
    _load(library, image)


@entry("cuModuleLoadData", "pp")
def load_module(module: int, image: int) -> None:
    _load(module, image)


@entry("cuModuleLoadDataEx", "ppIpp")
def load_module_with_options(module: int, image: int, *_: int) -> None:
    _load(module, image)


@entry("cuLibraryUnload", "p")
def unload_library(library: int) -> None:
    handles.drop(library, Code).unload()


@entry("cuModuleUnload", "p")
def unload_module(module: int) -> None:
    handles.drop(module, Code).unload()


@entry("cuLibraryGetModule", "pp")
def get_module(module: int, library: int) -> None:
    handles.find(library, Code)
    put("Q", module, library)


@entry("cuLibraryGetKernel", "pps")
def get_kernel(kernel: int, library: int, name: bytes) -> None:
    put("Q", kernel, handles.find(library, Code).kernel(name.decode()))


@entry("cuModuleGetFunction", "pps")
def get_function(function: int, module: int, name: bytes) -> None:
    put("Q", function, handles.find(module, Code).kernel(name.decode()))


@entry("cuKernelGetFunction", "pp")
def kernel_function(function: int, kernel: int) -> None:
    handles.find(kernel, Function)
    put("Q", function, kernel)


@entry("cuLibraryGetKernelCount", "pp")
def n_kernels(count: int, library: int) -> None:
    put("I", count, len(handles.find(library, Code).loaded))


@entry("cuLibraryEnumerateKernels", "pIp")
def enumerate_kernels(kernels: int, count: int, library: int) -> None:
    code = handles.find(library, Code)
    put("Q", kernels, *[code.kernel(name) for name in list(code.loaded)[:count]])


@entry("cuKernelGetLibrary", "pp")
def kernel_library(library: int, kernel: int) -> None:
    raise Refused(Status.NOT_SUPPORTED)


def _get_global(pointer: int, n_bytes: int, code: Code, name: bytes) -> None:
    place = code.variables.get(name.decode())
    if place is None:
        raise Refused(Status.NOT_FOUND)
    put("Q", pointer, place[0])
    put("Q", n_bytes, place[1])


@entry("cuLibraryGetGlobal", "ppps")
def library_global(pointer: int, n_bytes: int, library: int, name: bytes) -> None:
    _get_global(pointer, n_bytes, handles.find(library, Code), name)


@entry("cuModuleGetGlobal", "ppps")
def module_global(pointer: int, n_bytes: int, module: int, name: bytes) -> None:
    _get_global(pointer, n_bytes, handles.find(module, Code), name)


def _attribute(value: int, number: int, handle: int) -> None:
    put("i", value, handles.find(handle, Function).attributes().get(number, 0))


@entry("cuKernelGetAttribute", "pipi")
def kernel_attribute(value: int, number: int, kernel: int, device: int) -> None:
    _attribute(value, number, kernel)


@entry("cuFuncGetAttribute", "pip")
def function_attribute(value: int, number: int, function: int) -> None:
    _attribute(value, number, function)


@entry("cuKernelSetAttribute", "iipi")
def set_kernel_attribute(number: int, value: int, kernel: int, device: int) -> None:
    handles.find(kernel, Function).chosen[number] = value


@entry("cuFuncSetAttribute", "pii")
def set_function_attribute(function: int, number: int, value: int) -> None:
    handles.find(function, Function).chosen[number] = value


@entry("cuKernelSetCacheConfig", "pii")
def set_kernel_cache(kernel: int, config: int, device: int) -> None:
    handles.find(kernel, Function)


@entry("cuFuncSetCacheConfig", "pi")
def set_function_cache(function: int, config: int) -> None:
    handles.find(function, Function)


def _name(text: int, handle: int) -> None:
    function = handles.find(handle, Function)
    kept = function.owner.names.setdefault(handle, function.kernel.name.encode() + b"\0")
    put("Q", text, ctypes.cast(ctypes.c_char_p(kept), ctypes.c_void_p).value or 0)


@entry("cuKernelGetName", "pp")
def kernel_name(text: int, kernel: int) -> None:
    _name(text, kernel)


@entry("cuFuncGetName", "pp")
def function_name(text: int, function: int) -> None:
    _name(text, function)


def _parameter(handle: int, index: int, offset: int, n_bytes: int) -> None:
    params = handles.find(handle, Function).kernel.signature.params
    if index >= len(params):
        raise Refused(Status.INVALID_VALUE)
    at = 0
    for param in params[: index + 1]:
        at += -at % param.align
        start, at = at, at + param.n_bytes
    put("Q", offset, start)
    put("Q", n_bytes, params[index].n_bytes)


@entry("cuKernelGetParamInfo", "pQpp")
def kernel_parameter(kernel: int, index: int, offset: int, n_bytes: int) -> None:
    _parameter(kernel, index, offset, n_bytes)


@entry("cuFuncGetParamInfo", "pQpp")
def function_parameter(function: int, index: int, offset: int, n_bytes: int) -> None:
    _parameter(function, index, offset, n_bytes)


@entry("cuKernelGetParamCount", "pp")
def n_parameters(kernel: int, count: int) -> None:
    put("Q", count, len(handles.find(kernel, Function).kernel.signature.params))
