"""Machine code in front of each driver function: others call them until the process ends, when Python is gone.

Libraries written in C++ give their handles back in destructors that run after the interpreter's end. From then on
nothing is called: what gives something back succeeds, since the process's end frees all, and every other function
answers ``CUDA_ERROR_DEINITIALIZED``, as NVIDIA's driver does.
"""

from __future__ import annotations

import atexit
import ctypes
import platform
from collections.abc import Mapping

_DEINITIALIZED = 4
_GIVES_BACK = ("Free", "Destroy", "Unload", "Release", "Unregister", "Sync", "CtxGetCurrent", "CtxSetCurrent")
_WIDTHS = {"p": "i64", "s": "i64", "Q": "i64", "q": "i64", "I": "i32", "i": "i32"}
# The calling conventions leave the upper bits of small integers to whoever widens them.
_WIDTHS |= {"H": "i16 zeroext", "B": "i8 zeroext"}
# A structure of 64 bytes by value: on the stack on x86-64, behind a pointer to a copy on aarch64.
_BY_VALUE = "ptr byval([64 x i8]) align 8" if platform.machine() == "x86_64" else "ptr"


def guarded(functions: Mapping[str, tuple[int, str]]) -> dict[str, int]:
    """Addresses that outlive Python, for functions given as (address, kinds of the parameters)."""
    import llvmlite.binding as llvm

    is_alive = ctypes.c_int32(1)
    kept: list[object] = [is_alive]
    text = "\n".join(
        _function(name, address, kinds, ctypes.addressof(is_alive)) for name, (address, kinds) in functions.items()
    )
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(reloc="pic")
    jit = llvm.create_lljit_compiler(machine)
    builder = llvm.JITLibraryBuilder().add_ir(text)
    for name in functions:
        builder.export_symbol(f"guard.{name}")
    tracker = builder.link(jit, "teachkit-cuda-driver")
    kept += [machine, jit, tracker]
    for thing in kept:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    atexit.register(setattr, is_alive, "value", 0)
    return {name: tracker[f"guard.{name}"] for name in functions}


def _function(name: str, address: int, kinds: str, flag: int) -> str:
    answer = 0 if any(word in name for word in _GIVES_BACK) else _DEINITIALIZED
    # Who gives something back may ask for the current context first: there is none any more.
    forget = "%p = inttoptr i64 %a0 to ptr\n      store i64 0, ptr %p" if name == "cuCtxGetCurrent" else ""
    parameters = ", ".join(f"{_BY_VALUE if kind == 'h' else _WIDTHS[kind]} %a{i}" for i, kind in enumerate(kinds))
    passed = ", ".join(f"{'ptr' if kind == 'h' else _WIDTHS[kind]} %a{i}" for i, kind in enumerate(kinds))
    return f"""
    define i32 @"guard.{name}"({parameters}) {{
      %alive = load atomic i32, ptr inttoptr (i64 {flag} to ptr) seq_cst, align 4
      %dead = icmp eq i32 %alive, 0
      br i1 %dead, label %refuse, label %go
    refuse:
      {forget}
      ret i32 {answer}
    go:
      %status = call i32 inttoptr (i64 {address} to ptr)({passed})
      ret i32 %status
    }}"""
