"""CUDA C++ source to kernels, through NVRTC, which needs neither a GPU nor a driver.

The compiler is NVIDIA's, under its own licence, and comes with the extra ``cuda``. What it makes is kept on disk, next
to the emulator's machine code, for programs whose every header is known.
Not modelled: several translation units, dynamic parallelism, textures.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from teachkit.errors import CompileError, MissingCompilerError
from teachkit.frontends.cuda_headers import include_folders, missing_header_hint
from teachkit.frontends.cuda_signatures import kernels_in
from teachkit.frontends.cuda_sources import digest_of_sources
from teachkit.frontends.numba_link import RUNTIME
from teachkit.frontends.ptx_link import link
from teachkit.frontends.standard_headers import standard_headers, undefined_hint
from teachkit.frontends.target import architecture
from teachkit.frontends.two_devices import KernelModule


def compile_cuda_c(
    source: str, *, options: Sequence[str] = (), instantiate: Sequence[str] = (), file_name: str = "kernel.cu"
) -> KernelModule:
    """Compile CUDA C++.

    Parameters
    ----------
    source : str
        One translation unit with ``__global__`` functions.
    options : sequence of str
        Passed to NVRTC, for example ``"--use_fast_math"`` or ``"-DTILE=32"``.
    instantiate : sequence of str
        Template kernels to compile, for example ``"scale<float, 4>"``; they are found under these names.
    file_name : str
        What the source is called in error messages and counters by line.

    Returns
    -------
    KernelModule
        Kernels by name: ``compile_cuda_c(source)["add"][grid, block](x, y, out, n)`` with CPU tensors or NumPy
        arrays on the emulator, with CUDA tensors on the GPU. A kernel is found by the name it has in the
        source, ``extern "C"`` or not, and by its mangled name. Its ``messages`` are the compiler's warnings.

    Raises
    ------
    CompileError
        With NVRTC's messages: line, caret and what is wrong.
    MissingCompilerError
        Where NVRTC is not installed.

    Source: NVRTC documentation, "Accessing Lowered Names", "Supported Compile Options".
    """

    if not isinstance(source, str):
        raise CompileError(
            "CUDA C++", f"Expected the source as text, got {type(source).__name__}.", "read a file with read_text()."
        )
    options, instantiate = _as_list(options), _as_list(instantiate)

    def compile_for(arch: int) -> tuple[str, dict[str, str], str]:
        return _compiled_for(arch, source, options, instantiate, file_name)

    text, names, messages = compile_for(architecture())
    module = KernelModule(text, names, _with_runtime(text), lambda arch, entry: (compile_for(arch)[0], entry), messages)
    module.parameters = kernels_in(source)
    module.emulated.sources[file_name] = source
    return module


def _as_list(given: Sequence[str]) -> list[str]:
    """One option or name that was given without a list round it is not its letters."""
    return [given] if isinstance(given, str) else list(given)


def _compiled_for(
    arch: int, source: str, options: Sequence[str], instantiate: Sequence[str], file_name: str
) -> tuple[str, dict[str, str], str]:
    """PTX for an architecture, the kernels' names in it, and the compiler's warnings."""
    nvrtc = _nvrtc()
    target = f"--gpu-architecture=compute_{arch}"
    given = [] if any(o.startswith(("--std", "-std")) for o in options) else ["--std=c++17"]
    flags = [target, "-lineinfo", "--device-int128", *given, *options, *(f"-I{folder}" for folder in include_folders())]

    def build() -> tuple[bytes, dict[str, Any]]:
        text, names, messages = _named(nvrtc, source, file_name, flags, instantiate)
        return text.encode(), {"names": names, "messages": messages}

    code, facts = _cached(nvrtc, source, file_name, flags, instantiate, build)
    return code.decode(), facts["names"], facts["messages"]


def _cached(
    nvrtc: Any, source: str, file_name: str, flags: list[str], instantiate: Sequence[str], build: Any
) -> tuple[bytes, dict[str, Any]]:
    """What ``build`` gives, from the disk where an earlier process has compiled the same."""
    from teachkit.emulator.engine import jit

    folders = include_folders()
    folder = os.path.dirname(os.path.abspath(file_name))  # stands in the PTX, too
    digest = digest_of_sources(source, folder, flags, standard_headers(folders), folders)
    if digest is None:
        code, facts = build()
        return code, facts
    key = json.dumps([_library(nvrtc), flags, source, file_name, list(instantiate), digest])
    return jit.cached("CUDA C++", key, build, "cuda_c")


@functools.cache
def _library(nvrtc: Any) -> str:
    """Which NVRTC this is: its version has two numbers only, so also when its file was changed."""
    found = [str(_checked(nvrtc.nvrtcVersion()))]
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        for file in sorted({line.split(maxsplit=5)[5] for line in lines if "libnvrtc" in line}):
            status = os.stat(file)
            found.append(f"{file} {status.st_size} {status.st_mtime_ns}")
    return " ".join(found)


def _named(
    nvrtc: Any, source: str, file_name: str, flags: list[str], instantiate: Sequence[str]
) -> tuple[str, dict[str, str], str]:
    """PTX, the name in it of each kernel, and the compiler's warnings."""
    plain = list(kernels_in(source))
    try:
        text, names, messages = _compiled(nvrtc, source, file_name, flags, [*instantiate, *plain])
    except CompileError as error:
        if "__nv_name_map" not in error.messages:
            raise
        if not plain:
            raise _about_names(error) from None
        # A kernel in a namespace, or called like a function that CUDA has: its name alone says too little.
        try:
            text, names, messages = _compiled(nvrtc, source, file_name, flags, list(instantiate))
        except CompileError as second:
            raise _about_names(second) from None
    return text, _by_mangled_name(text, set(names.values())) | names, messages


def _about_names(error: CompileError) -> CompileError:
    """The same about names in ``instantiate``, which NVRTC reads in a file of its own making."""
    if "__nv_name_map" not in error.messages:
        return error
    messages = re.sub(r"#pragma nv_mangled_name", lambda found: " " * len(found[0]), error.messages)
    hint = (
        "name a template kernel of the source with all its arguments, and with its namespace where it has one: "
        'instantiate=["scale<float, 4>"].'
    )
    return CompileError("CUDA C++", re.sub(r"__nv_name_map\(\d+\)", "instantiate", messages), hint)


def _compiled(
    nvrtc: Any, source: str, file_name: str, flags: list[str], kernels: list[str]
) -> tuple[str, dict[str, str], str]:
    """PTX, the name in it of each of ``kernels``, and the compiler's warnings."""
    program = _created(nvrtc, source, file_name)
    try:
        wanted = list(dict.fromkeys(kernels))
        for name in wanted:
            _checked(nvrtc.nvrtcAddNameExpression(program, name.encode()))
        (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
        if int(status):
            messages = _log(nvrtc, program)
            hint = missing_header_hint(messages) or undefined_hint(messages) or _host_code_hint(messages)
            raise CompileError("CUDA C++", messages, hint)
        text = _text(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program)
        names = {name: _checked(nvrtc.nvrtcGetLoweredName(program, name.encode())).decode() for name in wanted}
        there = set(re.findall(r"\.entry\s+([\w$]+)", text))  # without those that are only declared
        return text, {name: entry for name, entry in names.items() if entry in there}, _log(nvrtc, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _by_mangled_name(text: str, known: set[str]) -> dict[str, str]:
    """Names of kernels that are no templates and have one entry in the PTX; mangled names hold length and name.

    So are those found that a macro wrote, or that are in a namespace.
    """
    found: dict[str, list[str]] = {}
    for entry in re.findall(r"\.entry\s+([\w$]+)", text):
        rest, name = re.sub(r"^_ZN?", "", entry), ""
        while entry.startswith("_Z") and (length := re.match(r"L?(\d+)", rest)):
            name, rest = rest[length.end() :][: int(length[1])], rest[length.end() + int(length[1]) :]
        if entry not in known and not (name and rest.startswith("I")):  # I: arguments of a template
            found.setdefault(name or entry, []).append(entry)
    return {name: entries[0] for name, entries in found.items() if len(entries) == 1}


def _with_runtime(text: str) -> str:
    """PTX with what the driver brings along on a GPU: memory for ``malloc`` and for ``grid.sync()``."""
    if not re.search(r"%envreg[12]\b|^\s*(?:malloc|free),", text, re.MULTILINE):
        return text
    return link([text, RUNTIME.read_text()])


def _created(nvrtc: Any, source: str, file_name: str) -> Any:
    headers = standard_headers(include_folders())
    texts, names = ([item.encode() for item in items] for items in (headers.values(), headers))
    return _checked(nvrtc.nvrtcCreateProgram(source.encode(), file_name.encode(), len(headers), texts, names))


def _host_code_hint(messages: str) -> str:
    """What to do about a program's own ``main``, which NVRTC has no host compiler for."""
    if "considered a host" not in messages:
        return ""
    return (
        "only device code is compiled: leave out main() and other host functions, launch from Python, and write "
        "__device__ before functions and variables that kernels use (or pass options=['-default-device'])."
    )


@functools.cache
def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc
    except ImportError as error:
        raise MissingCompilerError("CUDA C++ (NVRTC)", str(error)) from error
    try:
        _checked(nvrtc.nvrtcVersion())
    except (OSError, RuntimeError) as error:
        raise MissingCompilerError("CUDA C++ (NVRTC)", str(error)) from error
    return nvrtc


def _checked(answer: tuple[Any, ...]) -> Any:
    status, *values = answer
    if int(status):
        raise CompileError("CUDA C++", str(status))
    return values[0] if len(values) == 1 else tuple(values)


def _log(nvrtc: Any, program: Any) -> str:
    return _text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).strip()


def _text(size: Any, content: Any, program: Any) -> str:
    # NVRTC writes into the object itself. One of a single byte, as for an empty log, Python shares with everybody.
    room = bytes(_checked(size(program)) + 1)
    _checked(content(program, room))
    return room.decode(errors="replace").rstrip("\0 ")
