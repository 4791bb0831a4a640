"""A processor in software, Bochs, that runs the engine's AVX-512 code where the real processor has no AVX-512.

Compiled code, its stack, its memory and the C library stay where they are in this process: the page tables of the
simulated processor lead to the same addresses. Functions that the real process must run (``realloc``, callbacks into
Python) begin with a ``hlt`` instruction in the simulated processor's copy of their page.

``make test-avx512`` uses it for every launch of the emulator's tests (see conftest.py).
"""

import concurrent.futures
import contextlib
import ctypes
import functools
import mmap
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import llvmlite.binding as llvm

PAGE = 4096
GIGABYTE = 30  # bits of an address inside a page of this size, the largest that page tables know
TABLES_AT = 1023 << GIGABYTE  # physical address of the page tables, far beyond the pages of the process
PRESENT, WRITABLE, USER, LARGE = 1, 2, 4, 1 << 7

STACK_BYTES = 8 << 20
HLT = 0xF4
# invd; jmp *%r11. Bochs keeps decoded instructions, and does not see when others are put in their place.
FORGET_CODE_AND_JUMP = bytes.fromhex("0f08 41ffe3")
ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")

CODE_64_BIT, DATA = 0xA09B, 0xC093  # attributes of segments
CR4_VECTORS = 1 << 18 | 1 << 10 | 1 << 9  # OSXSAVE, OSXMMEXCPT, OSFXSR
XCR0_AVX_512 = 0b1110_0111

# glibc before 2.38 lacks two names that the wheel was linked against.
NEWER_LIBC = """
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
unsigned long long __isoc23_strtoull(const char *s, char **end, int base) { return strtoull(s, end, base); }
int __isoc23_sscanf(const char *s, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsscanf(s, format, arguments);
    va_end(arguments);
    return n;
}
"""


def c_compiler():
    """The C compiler of this machine, which also assembles."""
    found = shutil.which("cc") or shutil.which("gcc")
    assert found, "a processor in software needs a C compiler here: install gcc"
    return found


@functools.cache
def bochs():
    """The module ``bochscpu``, with what its wheel needs of a newer C library where this one is older."""
    if not hasattr(ctypes.CDLL(None), "__isoc23_sscanf"):
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder, "newer_libc.so")
            command = [c_compiler(), "-shared", "-fPIC", "-x", "c", "-", "-o", library]
            subprocess.run(command, input=NEWER_LIBC, text=True, check=True)
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    import bochscpu
    import bochscpu.cpu
    import bochscpu.memory

    return bochscpu


_kept = []


def room(n_bytes):
    """The address of whole new pages, which stay for ever."""
    _kept.append(ctypes.c_char.from_buffer(mmap.mmap(-1, n_bytes)))
    return ctypes.addressof(_kept[-1])


def halting(addresses):
    """Copies of the pages with these addresses, in which a ``hlt`` stands at each: by address, where the copy is."""
    copies = {}
    for address in addresses:
        page = address & -PAGE
        if page not in copies:
            copies[page] = room(PAGE)
            ctypes.memmove(copies[page], page, PAGE)
        ctypes.c_uint8.from_address(copies[page] + address - page).value = HLT
    return copies


class Pages:
    """Page tables by which the simulated processor finds each address of this process at that address."""

    def __init__(self, copies):
        self._copies = copies
        self._tables = {}  # physical address: where it lies
        self._gigabytes = []  # by number in physical memory, the number in this process
        self._third_levels = {}
        self.root, self._fourth_level = self._table()

    def _table(self):
        at = room(PAGE)
        physical = TABLES_AT + PAGE * len(self._tables)
        self._tables[physical] = at
        return physical, (ctypes.c_uint64 * 512).from_address(at)

    def cover(self):
        """Make everything visible that is mapped in this process now."""
        for line in Path("/proc/self/maps").read_text().splitlines():
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            for gigabyte in range(begin >> GIGABYTE, (end - 1 >> GIGABYTE) + 1):
                if gigabyte < 1 << 17 and gigabyte not in self._gigabytes:
                    self._add(gigabyte)

    def _add(self, gigabyte):
        high, low = divmod(gigabyte, 512)
        if high not in self._third_levels:
            physical, self._third_levels[high] = self._table()
            self._fourth_level[high] = physical | PRESENT | WRITABLE | USER
        number = len(self._gigabytes)
        self._gigabytes.append(gigabyte)
        self._third_levels[high][low] = number << GIGABYTE | PRESENT | WRITABLE | USER | LARGE

    def insert(self, physical):
        """Called with a physical address that is touched for the first time."""
        page = physical & -PAGE
        at = self._tables.get(page)
        if at is None:
            number, inside = divmod(page, 1 << GIGABYTE)
            here = self._gigabytes[number] << GIGABYTE | inside
            at = self._copies.get(here, here)
        bochs().memory.page_insert(page, at)


class Processor:
    """One simulated processor. It lives on one thread of the real one, where calls of several threads take turns.

    ``outside`` has the functions, by address, that the real processor runs when code calls them.
    """

    def __init__(self, outside):
        self.n_calls = 0
        self._outside = outside
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "bochs")
        self._return_to, self._entry = room(PAGE), room(PAGE)
        ctypes.memmove(self._entry, FORGET_CODE_AND_JUMP, len(FORGET_CODE_AND_JUMP))
        self._pages = Pages(halting([*outside, self._return_to]))
        self._stack_end = room(STACK_BYTES) + STACK_BYTES
        self._session = self._thread.submit(bochs().Session).result()
        self._session.missing_page_handler = self._pages.insert
        self._hook = bochs().Hook()
        # Neither may refer to this object: Python does not find cycles that go through Bochs, and crashes at its end.
        self._hook.hlt = lambda session, _: session.stop()
        self._failures = []
        self._hook.exception = functools.partial(_note_exception, self._failures)

    def call(self, function, *arguments):
        """Run the function at an address; returns its 64-bit result, signed. Raises RuntimeError at an exception."""
        self.n_calls += 1
        running = self._thread.submit(self._call, function, arguments)
        try:
            return running.result()
        finally:  # at Ctrl-C too: the caller frees memory that the code works on
            concurrent.futures.wait([running])

    def _call(self, function, arguments):
        self._pages.cover()
        stack = self._stack_end - 64 - 8  # a function starts 8 bytes below a multiple of 16
        ctypes.c_uint64.from_address(stack).value = self._return_to
        state = first_state(self._pages.root)
        for register, argument in zip(ARGUMENTS, arguments, strict=False):
            setattr(state, register, argument % (1 << 64))
        state.rip, state.r11, state.rsp = self._entry, function, stack
        while (place := self._run(state)) != self._return_to:
            state = self._session.cpu.state
            state.rax = self._outside[place](*(getattr(state, register) for register in ARGUMENTS)) or 0
            self._pages.cover()  # it may have mapped memory
            state.rip = ctypes.c_uint64.from_address(state.rsp).value
            state.rsp += 8
        return ctypes.c_int64(self._session.cpu.rax).value

    def _run(self, state):
        """Go on to the next ``hlt``; returns its address."""
        self._session.cpu.state = state
        self._session.run([self._hook])
        if self._failures:
            first = self._failures[0]  # the others come from the first, which nothing handles
            self._failures.clear()
            raise RuntimeError(first)
        return self._session.cpu.rip - 1


def first_state(page_tables):
    """The registers with which a function starts on this thread of the real processor."""
    state = bochs().State()
    bochs().cpu.set_long_mode(state)
    state.cr3 = page_tables
    state.cr4 |= CR4_VECTORS
    state.xcr0 = XCR0_AVX_512
    state.rflags, state.mxcsr, state.mxcsr_mask, state.fpcw = 2, 0x1F80, 0xFFFF, 0x37F
    state.cs = _segment(CODE_64_BIT)
    state.ss = state.ds = state.es = state.gs = _segment(DATA)
    own_thread = ctypes.CDLL(None).pthread_self
    own_thread.restype = ctypes.c_uint64
    state.fs = _segment(DATA, own_thread())  # its thread-local variables
    return state


def _segment(attributes, base=0):
    segment = bochs().Segment()
    segment.present, segment.selector, segment.base = True, 0, base
    segment.limit, segment.attr = 0xFFFFFFFF, attributes
    return segment


def _note_exception(failures, session, _, vector, error):
    cpu = session.cpu
    kind = bochs().cpu.ExceptionType(vector)
    failures.append(f"{kind} (error code {error}) at {cpu.rip:#x}, page fault address {cpu.cr2:#x}")
    session.stop()


@contextlib.contextmanager
def where_needed():
    """Let launches run on a :class:`Processor` where their code wants AVX-512 and this machine has none; yields it."""
    from teachkit.emulator.engine import jit, residents
    from teachkit.emulator.engine.processor import has_wide_vectors

    if llvm.get_host_cpu_features().get("avx512f") or not has_wide_vectors():
        yield None
        return
    processor = Processor(_outside())
    machine = jit.target_machine()
    kept = residents.run_function, machine.emit_object, jit.cache_folder
    residents.run_function = lambda: functools.partial(processor.call, jit.runtime()["tk_run"])
    machine.emit_object = lambda module: assembled(machine.emit_assembly(module))
    jit.cache_folder = lambda: kept[2]() / "bochs"
    try:
        yield processor
    finally:
        residents.run_function, machine.emit_object, jit.cache_folder = kept


def assembled(text):
    """The object file of LLVM's assembly, without the two instructions of which Bochs makes 0."""
    text = re.sub(r"(kshift[lr]w\t)\$15, (%k\d, )(%k\d)", r"\1$14, \2\3\n\t\1$1, \3, \3", text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "code.o")
        command = [c_compiler(), "-c", "-x", "assembler", "-", "-o", path]
        subprocess.run(command, input=text, text=True, check=True)
        return path.read_bytes()


def _outside():
    """What compiled code calls and the real processor must run, by address: callbacks into Python, allocation."""
    from teachkit.emulator.engine import host

    callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
    outside = {address: _taking(3, callback(address)) for address in host.callbacks().values()}
    for name, n_arguments in (("malloc", 1), ("realloc", 2)):  # LLVM makes the one of the other
        allocate = getattr(ctypes.CDLL(None), name)
        allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t] * n_arguments
        outside[ctypes.cast(allocate, ctypes.c_void_p).value] = _taking(n_arguments, allocate)
    return outside


def _taking(n_arguments, function):
    return lambda *registers: function(*registers[:n_arguments])
