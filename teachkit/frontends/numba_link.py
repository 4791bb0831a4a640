"""What Numba-CUDA's linker links, as PTX: its own result is machine code, which the emulator cannot run.

Modelled: CUDA C++, PTX and LTO-IR in any mixture. Not modelled: what is machine code alone (cubins, objects, archives).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from teachkit.emulator.ptx import parse, print_module
from teachkit.errors import PtxLinkError
from teachkit.frontends.cuda_driver.cubin import with_ptx
from teachkit.frontends.ptx_link import link

RUNTIME = Path(__file__).with_name("device_runtime.ptx")
_FROM_RUNTIME = ("cudaCGGetIntrinsicHandle", "cudaCGSynchronize", "malloc", "free")


def linked_with_ptx(complete: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Numba's ``_Linker.complete``, with the PTX of all that it linked behind the cubin that it makes."""

    @functools.wraps(complete)
    def call(linker: Any) -> Any:
        from cuda.core import ObjectCode

        made = complete(linker)
        return ObjectCode.from_cubin(with_ptx(bytes(made.code), ptx_of(linker)))

    return call


def ptx_of(linker: Any) -> str:
    """PTX of all that was linked."""
    texts = []
    kinds = [code.code_type for code in linker._object_codes]
    for code, kind in zip(linker._object_codes, kinds, strict=True):
        if kind == "ptx":
            texts.append(bytes(code.code).decode().rstrip("\0"))
        elif kind not in ("ltoir", "library"):  # the only library is the device runtime, which is ours
            raise PtxLinkError(
                f"Expected CUDA C++, PTX or LTO-IR to link, got {kind}.",
                hint="the emulator runs PTX, and there is none in machine code: link the source instead.",
            )
    if "ltoir" in kinds:
        texts.insert(0, _joined(linker, texts))
    if any(name in text for text in texts for name in _FROM_RUNTIME):
        texts.append(RUNTIME.read_text())
    return link(texts)


_KEEPER = "teachkit_keeps_functions"
_BUILT_IN = frozenset((*_FROM_RUNTIME, "vprintf", "__assertfail"))


def _joined(linker: Any, others: Sequence[str]) -> str:
    """PTX of the parts in LTO-IR. Joining drops functions that only ``others`` call, unless a kernel names them too."""
    from cuda.core import Linker, Program, ProgramOptions

    parts = [code for code in linker._object_codes if code.code_type == "ltoir"]
    functions = [function for text in others for function in parse(text).functions.values()]
    wanted = {f.name for f in functions if f.is_declaration} - {f.name for f in functions if not f.is_declaration}
    wanted -= _BUILT_IN
    options = linker._get_linker_options(ptx=True)
    if wanted:
        declared = "".join(f'extern "C" __device__ void {name}();\n' for name in sorted(wanted))
        named = " ".join(f"*at++ = (void*){name};" for name in sorted(wanted))
        source = f'{declared}extern "C" __global__ void {_KEEPER}(void** at) {{ {named} }}'
        keeper = ProgramOptions(arch=options.arch, link_time_optimization=True, relocatable_device_code=True)
        parts.append(Program(source, "c++", options=keeper).compile("ltoir"))
    text = bytes(Linker(*parts, options=options).link("ptx").code).decode().rstrip("\0")
    if not wanted:
        return text
    module = parse(text)
    module.functions.pop(_KEEPER)
    # Joining also made them private, under their own names.
    names = "|".join(map(re.escape, sorted(wanted)))
    return re.sub(rf"^\.func(?= .*\b(?:{names})\()", ".visible .func", print_module(module), flags=re.MULTILINE)


@functools.cache
def source_linker() -> Any:
    """Numba's linker, whose own way to compile CUDA C++ asks a driver for its version."""
    from cuda import pathfinder
    from numba.cuda.cuda_paths import get_cuda_paths
    from numba.cuda.cudadrv import driver, nvrtc

    from teachkit.frontends.cuda_c import compile_cuda_c

    here = Path(nvrtc.__file__).parent.parent
    cccl = pathfinder.locate_nvidia_header_directory("cccl")
    folders = [here / "include" / str(nvrtc._get_nvrtc_version()[0]), get_cuda_paths()["include_dir"].info]
    folders += [here / "memory_management", *([cccl.abs_path] if cccl else [])]
    folders += [folder for folder in nvrtc.config.CUDA_NVRTC_EXTRA_SEARCH_PATHS.split(":") if folder]

    class SourceLinker(driver._Linker):  # type: ignore[misc]
        def add_cu(self, cu: str | bytes, name: str = "kernel.cu") -> None:
            text = cu.decode() if isinstance(cu, bytes) else cu
            flags = ["--relocatable-device-code=true", *(f"--include-path={folder}" for folder in folders)]
            self.add_ptx(compile_cuda_c(text, options=flags, file_name=name).ptx.encode())

    return SourceLinker
