"""LLVM text to machine code in this process, with a cache of objects on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from teachkit.emulator.engine.context import offset

_lock = threading.Lock()
_FORMAT = 1  # of the cache files


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """A loaded kernel: the address of its warp function, and what was stored beside it."""

    address: int
    facts: dict[str, Any]
    keep_alive: Any


def cache_folder() -> Path:
    """Where compiled objects are kept: ``TEACHKIT_CACHE_DIR``, else the user's cache folder."""
    chosen = os.environ.get("TEACHKIT_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "teachkit"


@functools.cache
def cpu() -> tuple[str, str]:
    """LLVM's name of this processor and its features; ``TEACHKIT_CPU`` (e.g. x86-64-v3) narrows both."""
    chosen = os.environ.get("TEACHKIT_CPU")
    if chosen:
        return chosen, ""
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def keeps_registers() -> bool:
    """Whether functions can leave all registers as they were, LLVM's ``preserve_allcc``: on x86-64 alone."""
    return bool(llvm.get_default_triple().startswith("x86_64"))


@functools.cache
def engine_fingerprint() -> str:
    """Changes whenever the engine's own source does, so that no stale object is ever loaded."""
    digest = hashlib.sha256(f"{_FORMAT} {llvm.llvm_version_info} {cpu()}".encode())
    root = Path(__file__).parents[1]
    rooms = (*root.glob("engine/**/*"), *root.glob("isa/*.py"), *root.glob("checks/*.py"), *root.glob("ptx/*.py"))
    for path in sorted((*rooms, root / "sites.py", root / "signatures.py")):
        if path.suffix in (".py", ".ll"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def target_machine() -> Any:
    """LLVM's code generator for :func:`cpu`."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = cpu()
    target = llvm.Target.from_default_triple()
    # Level 2 schedules instructions twice more: a tenth more time to compile, and code that runs no faster.
    return target.create_target_machine(cpu=name, features=features, opt=1, reloc="pic", codemodel="small")


@functools.cache
def _jit() -> Any:
    # Elsewhere than on x86-64 the older linker fails where it gets memory of one object in places far apart.
    return llvm.create_lljit_compiler(target_machine(), use_jit_link=not keeps_registers())


def compile_object(text: str, *, thorough: bool = False) -> bytes:
    """Optimise and compile LLVM text to an object file.

    A few passes do for a kernel, whose values are in registers or in memory as it is written, what LLVM's first level
    does, in a quarter of the time: it runs no slower. ``thorough`` is for code that a person wrote.
    """
    with _lock:
        machine = target_machine()
        module = llvm.parse_assembly(text)
        module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=1)
        # Lanes are vectors already, and loops are the kernel's own.
        options.loop_vectorization = options.slp_vectorization = False
        options.loop_unrolling = thorough
        builder = llvm.create_pass_builder(machine, options)
        passes = builder.getModulePassManager() if thorough else _few_passes()
        passes.run(module, builder)
        return bytes(machine.emit_object(module))


def _few_passes() -> Any:
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    return passes


_numbers = itertools.count()


def load_object(code: bytes, symbol: str, imports: dict[str, int]) -> tuple[int, Any]:
    """Link an object into the process; returns the address of ``symbol`` and what keeps it there."""
    with _lock:
        name = f"kernel-{next(_numbers)}"
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(symbol)
        for imported, address in imports.items():
            builder.import_symbol(imported, address)
        tracker = builder.link(_jit(), name)
        return tracker[symbol], tracker


RUNTIME_SYMBOLS = (
    "tk_run",
    "tk_fault",
    "tk_trace_reserve",
    "tk_deal",
    "tk_interleave",
    "tk_find_global",
    "tk_find_global_each",
    "tk_find_global_indexed",
    "tk_find_shared",
    "tk_find_shared_each",
    "tk_find_shared_offsets",
    "tk_place_global",
    "tk_place_global_each",
    "tk_place_global_indexed",
    "tk_place_shared",
    "tk_place_shared_each",
    "tk_place_shared_offsets",
    "tk_put_shared",
    "tk_put_shared_each",
    "tk_put_shared_offsets",
    "tk_apart_load_global",
    "tk_apart_store_global",
    "tk_apart_load_group",
    "tk_apart_store_group",
    "tk_apart_load_shared",
    "tk_apart_store_shared",
    "tk_load_global",
    "tk_store_global",
    "tk_load_shared",
    "tk_store_shared",
    "tk_access_global",
    "tk_access_shared",
    "tk_access_atomic",
    "tk_load_private",
    "tk_load_local",
    "tk_store_local",
    "tk_box",
    "tk_bulk",
    "tk_map_field",
    "tk_map_copy",
    "tk_cluster_rank",
    "tk_cluster_hosts",
    "tk_cluster_names",
    "tk_cluster_check",
    "tk_cluster_arrive",
    "tk_cluster_leave",
    "tk_cluster_over",
    "tk_tensor_alloc",
    "tk_tensor_dealloc",
    "tk_tensor_place",
    "tk_tensor_relinquish",
)


def runtime_text() -> str:
    """LLVM text of all of ``runtime/*.ll`` for this processor."""
    files = sorted(Path(__file__).with_name("runtime").glob("*.ll"))
    template, features = "\n".join(file.read_text() for file in files), cpu()[1]
    if not keeps_registers():
        template = template.replace("preserve_allcc ", "")
        template = template.replace('"target-features"="«features»-vzeroupper"', "nounwind")
    template = template.replace("«features»", features and f"{features},")
    return re.sub("«([a-z_.]+)»", lambda match: str(offset(match[1])), template)


@functools.cache
def runtime() -> dict[str, int]:
    """Addresses of the runtime's functions, compiled once and cached like a kernel."""
    text = runtime_text()
    code = cached("runtime", text, lambda: (compile_object(text, thorough=True), {}))[0]
    with _lock:
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for symbol in RUNTIME_SYMBOLS:
            builder.export_symbol(symbol)
        tracker = builder.link(_jit(), "teachkit-runtime")
    _kept.append(tracker)
    return {symbol: tracker[symbol] for symbol in RUNTIME_SYMBOLS}


_kept: list[Any] = []


def cached(kind: str, key_text: str, build: Any, folder: str = "objects") -> tuple[bytes, dict[str, Any]]:
    """``build()``'s object and facts, from the disk cache where it has them.

    A file that is damaged, foreign or unreadable is built anew; a folder that cannot be written is no error.
    """
    key = hashlib.sha256(f"{engine_fingerprint()} {kind} {key_text}".encode()).hexdigest()
    path = cache_folder() / folder / key[:2] / key
    stored = _read(path)
    if stored is not None:
        return stored
    code, facts = build()
    _write(path, code, facts)
    return code, facts


def _read(path: Path) -> tuple[bytes, dict[str, Any]] | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    header, _, code = body.partition(b"\n")
    return code, json.loads(header)


def _write(path: Path, code: bytes, facts: dict[str, Any]) -> None:
    body = json.dumps(facts).encode() + b"\n" + code
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(body).digest() + body)
            os.replace(temporary, path)  # whole or not at all, whoever else writes
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
