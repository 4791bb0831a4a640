"""Unmodified Numba-CUDA programs on the emulator, each in a process of its own, since a driver is for a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).with_name("numba_programs")
LIMIT_S = 400  # a process compiles for some seconds; a busy machine takes many times as long


def run(*command, **variables):
    """What a Python process prints."""
    ours = ("TEACHKIT_NUMBA", "NUMBA")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [sys.executable, *command],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_program_that_knows_nothing_of_teachkit():
    done = run(str(PROGRAMS / "features.py"), TEACHKIT_NUMBA="1")
    assert done.stdout.splitlines()[-1] == "all features"
    assert "teachkit" not in (PROGRAMS / "features.py").read_text().partition('"""\n')[2].replace('b"teachkit"', "")


def test_mistakes_are_told_in_the_emulators_words():
    assert "all told" in run(str(PROGRAMS / "misuse.py"), TEACHKIT_NUMBA="lines").stdout


def test_what_programs_use_now_and_then():
    assert "all patterns" in run(str(PROGRAMS / "patterns.py"), TEACHKIT_NUMBA="1").stdout


def test_tensors_checks_and_links():
    assert "all tensors" in run(str(PROGRAMS / "tensors.py")).stdout


def test_memory_that_two_processes_share():
    assert "both processes" in run(str(PROGRAMS / "two_processes.py")).stdout


def test_nvidias_packages_on_the_driver():
    assert "all calls" in run(str(PROGRAMS / "driver_calls.py")).stdout


def test_tensor_maps_by_the_driver():
    assert "all maps" in run(str(PROGRAMS / "tensor_map_calls.py")).stdout


def test_rectangles_and_block_sizes_by_the_driver():
    assert "all copies" in run(str(PROGRAMS / "rectangles.py")).stdout


def test_clusters_by_the_driver():
    assert "all clusters" in run(str(PROGRAMS / "cluster_calls.py")).stdout


COUNTED = """
import numpy as np, warnings
import teachkit as tk
tk.cuda.emulate()
from numba import cuda
from teachkit.errors import ModelledTimeWarning

@cuda.jit
def add(x, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] += x[i]

x, y = np.ones(1000, np.float32), np.ones(1000, np.float32)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    with tk.profile() as prof:
        add[8, 128](x, y)
    start, end = cuda.event(), cuda.event()
    start.record(); add[8, 128](x, y); end.record()
    assert start.elapsed_time(end) > 0
assert [w for w in said if issubclass(w.category, ModelledTimeWarning)]
(kernel,) = prof.kernels
assert kernel.name == "add", kernel.name
assert kernel.grid == (8, 1, 1) and kernel.block == (128, 1, 1)
assert kernel.counters.global_load_bytes == 8000 and kernel.counters.global_store_bytes == 4000
assert kernel.resources.n_registers > 0 and kernel.resources.occupancy == 1
assert kernel.seconds is None
np.testing.assert_array_equal(y, 3)
assert cuda.is_available()

# Kernels of teachkit's own decorator take device arrays, and only what was allocated of them.
own = tk.cuda.jit(add.py_func)
d_x, d_y = cuda.to_device(x), cuda.to_device(np.zeros(500, np.float32))
own[4, 128](d_x[::2], d_y)
np.testing.assert_array_equal(d_y.copy_to_host(), 1)
from teachkit.errors import KernelFault
try:
    own[8, 128](d_x[:10], d_y)
except KernelFault as fault:
    raise AssertionError("the whole allocation may be read") from fault
try:
    own[4, 128](d_y[400:], d_x)
except KernelFault as fault:
    assert fault.argument == "x", fault
else:
    raise AssertionError("read past the end of x, and nothing was said")
print("counted")
"""


def test_launches_are_counted_and_times_are_modelled():
    assert "counted" in run("-c", COUNTED).stdout


TOO_LATE = """
from teachkit.frontends.cuda_driver import elf
from teachkit.errors import DriverError
vendor = elf.load("libcuda.so.1", {"cuInit": 4096})
import teachkit as tk
try:
    tk.cuda.emulate()
except DriverError as error:
    print("refused:", error)
"""


def test_a_process_that_has_a_driver_keeps_it():
    said = run("-c", TOO_LATE).stdout
    assert "has loaded libcuda.so.1" in said
    assert "TEACHKIT_NUMBA=1" in said


@pytest.mark.parametrize("variables", [{}, {"TEACHKIT_NUMBA": "0"}, {"TEACHKIT_NUMBA": ""}])
def test_without_the_variable_nothing_happens(variables):
    ask = "import sys; print(any(name.startswith('teachkit') for name in sys.modules))"
    assert run("-c", ask, **variables).stdout.strip() == "False"


def test_with_the_variable_nothing_happens_until_numba_is_imported():
    ask = "import sys; print('teachkit.emulator' in sys.modules, 'ctypes' in sys.modules, 'numpy' in sys.modules)"
    assert run("-c", ask, TEACHKIT_NUMBA="1").stdout.strip() == "False False False"


def test_a_forked_process_has_no_driver():
    program = """
import os, warnings
warnings.simplefilter("ignore")
from numba import cuda
cuda.current_context()
if (child := os.fork()) == 0:
    try:
        cuda.device_array(3)
    except Exception as error:
        os._exit(42 if "forking" in str(error) or "NOT_INITIALIZED" in str(error) else 1)
    os._exit(2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run("-c", program, TEACHKIT_NUMBA="1").stdout.strip() == "42"
