"""One launch on the LLVM engine and on the NumPy oracle, on the same memory, and what may differ between them."""

import dataclasses
import mmap
from typing import NamedTuple

import numpy as np

from teachkit.emulator import load_ptx, observe
from teachkit.emulator.counters import MODELLED_FIELDS, Counters
from teachkit.emulator.oracle import run
from teachkit.emulator.ptx import parse

# The oracle has no caches.
EXACT = tuple(
    field.name
    for field in dataclasses.fields(Counters)
    if field.name not in MODELLED_FIELDS and not field.name.endswith("lookups")
)


class Both(NamedTuple):
    """``launch`` is the engine's, ``result`` the oracle's; ``memory`` holds each pair of (engine, oracle) bytes."""

    launch: object
    result: object
    memory: list

    def check_counters(self):
        """Every exact counter agrees, in total and on every source line."""
        check(self.launch.counters, self.result.counters)
        lines, expected = self.launch.by_line, self.result.by_line
        assert set(lines) >= set(expected)  # the engine also lists lines that no warp reached
        for line in lines:
            check(lines[line], expected.get(line, Counters()), f"line {line}: ")

    def check_memory(self):
        """Every byte of every argument agrees."""
        for number, (mine, theirs) in enumerate(self.memory):
            different = np.flatnonzero(mine != theirs)
            assert not different.size, f"argument {number}: {different.size} bytes differ, first {different[:8]}"


def check(got, expected, where=""):
    """The exact fields of two ``Counters`` agree."""
    differences = [
        f"{where}{name}: engine {getattr(got, name)}, oracle {getattr(expected, name)}"
        for name in EXACT
        if getattr(got, name) != getattr(expected, name)
    ]
    assert not differences, "; ".join(differences)


def octets(value):
    """A view of the bytes of an array or tensor, None for anything else."""
    if isinstance(value, np.ndarray):
        return value.reshape(-1).view(np.uint8)
    if hasattr(value, "untyped_storage"):
        import torch

        return torch.empty(0, dtype=torch.uint8).set_(value.untyped_storage()).numpy()
    return None


def observed(text, kernel, grid, block, arguments, shared_bytes=0):
    """Run on the engine and put the memory back: the ``Launch``, and the bytes that it left in each array."""
    views = [view for view in map(octets, arguments) if view is not None]
    before = [view.copy() for view in views]
    launches = []
    with observe(launches.append):
        load_ptx(text)[kernel].launch(grid, block, arguments, shared_bytes=shared_bytes)
    after = [view.copy() for view in views]
    for view, old in zip(views, before, strict=True):
        view[:] = old
    return launches[0], after


def run_both(text, kernel, grid, block, arguments, shared_bytes=0):
    """Run on the engine, put the memory back, run on the oracle, whose results stay."""
    launch, after = observed(text, kernel, grid, block, arguments, shared_bytes)
    result = run(parse(text), kernel, grid, block, arguments, shared_bytes=shared_bytes)
    assert not result.faults, result.faults[:3]
    views = [view for view in map(octets, arguments) if view is not None]
    return Both(launch, result, list(zip(after, views, strict=True)))


HEADER = ".version 8.7\n.target sm_80\n.address_size 64\n"
REGISTERS = (
    ".reg .b16 %h<9>; .reg .b32 %r<40>; .reg .b64 %rd<20>; .reg .pred %p<16>; .reg .f32 %f<9>; .reg .f64 %fd<9>;"
)
# %r1 is the thread's number in the block, %r2 in the launch, %rd1 its 4-byte element of the first argument.
PROLOGUE = (
    "ld.param.u64 %rd0, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %ctaid.x;\n"
    "mad.lo.u32 %r2, %r3, %r2, %r1; mul.wide.u32 %rd1, %r2, 4; add.s64 %rd1, %rd0, %rd1;"
)


in_a_loop = False  # kernels have their body in a loop that runs once: the engine writes other code there


def kernel(body, *, before="", variables="", pointers=(), directives=""):
    """PTX of kernel ``k``: ``out`` and the other ``pointers`` (%rd10, %rd11, ...) are its parameters."""
    parameters = ", ".join(f".param .u64 {name}" for name in ("out", *pointers))
    loads = " ".join(f"ld.param.u64 %rd{10 + i}, [{name}];" for i, name in enumerate(pointers))
    if in_a_loop:
        again = ".reg .b32 %turns; .reg .pred %more; mov.u32 %turns, 1;\nAGAIN:"
        body = f"{again}\n{body}\nadd.u32 %turns, %turns, -1; setp.gt.s32 %more, %turns, 0; @%more bra AGAIN;"
    head = f"{HEADER}{before}\n.visible .entry k({parameters}) {directives}\n"
    return f"{head}{{\n{REGISTERS}\n{variables}\n{PROLOGUE}\n{loads}\n{body}\nret;\n}}\n"


def array(n, dtype=np.uint32, value=0, shift=0):
    """``n`` elements that start ``shift`` bytes after a multiple of 256, as far from the next one as possible."""
    size = np.dtype(dtype).itemsize
    # Whole pages: the allocation itself begins at a multiple of 256, as it does on a GPU.
    room = np.frombuffer(mmap.mmap(-1, n * size + 512), np.uint8)
    view = room[shift : shift + n * size].view(dtype)
    view[:] = value
    return view


def placed(argument):
    """A copy of an array at a multiple of 256 bytes, so that its sectors are the same wherever it lands."""
    if not isinstance(argument, np.ndarray):
        return argument
    copy = array(argument.size, argument.dtype)
    copy[:] = argument.reshape(-1)
    return copy
