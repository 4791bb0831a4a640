"""The test modules that the numba-cuda wheel carries, unmodified, with ``TEACHKIT_NUMBA=1`` and nothing else.

The list is every module of the folders that use a device: ``cudapy``, ``cudadrv``, ``nrt``, ``doc_examples``. Not taken
are the folders that test the compiler alone (``core``, ``nocuda``), Numba's own simulator (``cudasim``) and timings
(``benchmarks``). A test that skips itself is skipped here, with the reason that it gives. So is one that passes without
a single call of the driver, for it would pass on any machine. Besides, the modules need filecheck, ml_dtypes and cffi.
"""

from __future__ import annotations

import importlib
import pkgutil
import unittest
from collections.abc import Iterator
from types import ModuleType

from benchmarks.coverage.frame import Failure, Skip

TITLE = "numba-cuda: the wheel's own tests of everything that uses a device"
PACKAGES = ("numba-cuda", "numba", "filecheck", "ml-dtypes", "cffi")
CHUNK = 60
LIMIT_S = 400  # some tests compile hundreds of kernels
ENVIRONMENT = {"TEACHKIT_NUMBA": "1"}

TESTS = "numba.cuda.tests"
COMPILED_ONLY = ("TestLibdeviceCompilation",)  # one test for each of 300 functions, none of which is run
FOLDERS = ("cudapy", "cudadrv", "nrt", "doc_examples")


NOT_HERE = {
    "cudadrv.test_managed_alloc.TestManagedAlloc.test_managed_alloc_driver_undersubscribe": (
        "fills a tenth of the device's memory and compares it: 8 GB in one process"
    ),
}
"""Tests that are not run, with their reason."""

THEIR_OWN = {
    "cudapy.test_dispatcher.TestDispatcher.test_dispatcher_cpointer_arguments": (
        "the test's kernel uses 16 elements of arrays of 10, which is out of bounds anywhere"
    ),
    "cudapy.test_localmem.TestCudaLocalMem.test_struct_model_type_arr": (
        "the test's kernel writes 10 elements to arrays of 1, np.array((10,)), which is out of bounds anywhere"
    ),
    "cudapy.test_caching.CUDAAndCPUCachingTest.": (
        "numba 0.68 marks its cache with the source's hash and numba-cuda 0.30 with its time: each drops the other's"
    ),
    "cudapy.test_ipc.": "numba-cuda 0.30 asks for CUipcMemHandle.reserved, which cuda-bindings 13.4 and 13.5 lack",
}
"""Failures that a GPU would show as well, by the beginning of the test's name, with what was found out."""


def names() -> list[str]:
    found: list[str] = []
    for folder in FOLDERS:
        package = importlib.import_module(f"{TESTS}.{folder}")
        for entry in sorted(pkgutil.iter_modules(package.__path__), key=lambda entry: entry.name):
            if not entry.name.startswith("test_"):
                continue
            module = f"{folder}.{entry.name}"
            try:
                tests = list(_tests(importlib.import_module(f"{TESTS}.{module}")))
            except unittest.SkipTest:
                tests = []
            except BaseException as error:  # pytest's own way to skip a module is no Exception
                if type(error).__name__ != "Skipped":
                    raise
                tests = []
            tests = [test for test in tests if type(test).__name__ not in COMPILED_ONLY]
            found += [f"{module}.{type(test).__name__}.{test._testMethodName}" for test in tests]
    return found


def setup() -> None:
    # What numba-cuda's conftest.py gives its test case class under pytest.
    from numba.cuda.testing import CUDATestCase

    CUDATestCase._dump_failed_filechecks = False


def run(name: str) -> None:
    if name in NOT_HERE:
        raise Skip(NOT_HERE[name])
    module, case, method = name.rsplit(".", 2)
    from teachkit.frontends.cuda_driver.entry import n_calls

    test = getattr(importlib.import_module(f"{TESTS}.{module}"), case)(method)
    result = unittest.TestResult()
    before = n_calls()
    # Fixtures of the class and the module belong to a suite, not to a test.
    unittest.TestSuite([test]).run(result)
    if result.skipped and not (result.errors or result.failures):
        raise Skip(result.skipped[0][1])
    if result.unexpectedSuccesses:
        raise Failure("passed although numba-cuda expects a failure")
    for _, text in [*result.errors, *result.failures]:
        print(text, flush=True)
        if "Skipped: " in _cause(text):  # by pytest's own exception, which unittest takes for an error
            raise Skip(_cause(text).partition("Skipped: ")[2])
        why = next((reason for start, reason in THEIR_OWN.items() if name.startswith(start)), None)
        raise Failure(_cause(text) if why is None else f"{why} ({_cause(text)})")
    if n_calls() == before:
        raise Skip("passes without a device: it compiles and looks at the code")


def _cause(text: str) -> str:
    """The last line of a traceback that is not indented and names an exception."""
    lines = [line for line in text.splitlines() if line and not line.startswith(" ") and not line.startswith("Stdout")]
    starts = [line for line in lines if ":" in line or line.endswith(("Error", "Exception"))]
    after = [line for line in starts if not line.startswith(("Traceback", "During", "The above"))]
    return (after or lines or [text])[0]


def _tests(module: ModuleType) -> Iterator[unittest.TestCase]:
    def walk(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
        for item in suite:
            if isinstance(item, unittest.TestSuite):
                yield from walk(item)
            else:
                yield item

    return walk(unittest.TestLoader().loadTestsFromModule(module))
