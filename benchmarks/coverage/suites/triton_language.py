"""Triton's own tests of its language and its launcher, unmodified, from a checkout of its sources.

The wheel has no tests, so ``TRITON_SOURCE`` names the folder of a checkout, of about the version that is installed.
Many of these tests have hundreds of parameters; taken are the first ``CASES`` of each in the order of a hash of their
names, the same everywhere. Tensors that the tests ask for on ``"cuda"`` are made on the CPU, and questions to
``torch.cuda`` are answered for the modelled GPU; the rest is pytest's business. A test that skips itself is skipped
here, with the reason that it gives.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.coverage.frame import Failure, Skip

TITLE = "Triton: its own tests of the language and of launches"
PACKAGES = ("triton", "torch", "pytest")
CHUNK = 200  # collecting the tests takes longer than most of them
LIMIT_S = 600

SOURCE = "TRITON_SOURCE"
CASES = 2
MODULES = (
    "language/test_annotations.py",
    "language/test_block_pointer.py",
    "language/test_conversions.py",
    "language/test_core.py",
    "language/test_libdevice.py",
    "language/test_matmul.py",
    "language/test_pipeliner.py",
    "language/test_random.py",
    "language/test_standard.py",
    "language/test_tensor_descriptor.py",
    "language/test_tuple.py",
    "runtime/test_autotuner.py",
    "runtime/test_bindings.py",
    "runtime/test_launch.py",
    "runtime/test_specialize.py",
)
NOT_HERE = {
    "test_int_annotation": "stores behind the end of its tensor, unnoticed on a GPU; it looks at the PTX alone",
    "test_launch_with_options[options2]": "links a library that only a checkout has which was built",
    "test_load_store_same_ptr": "1,000 launches of 65,536 blocks of 1,024 threads",
    "test_atomic_rmw[add-bfloat16": "looks for PTX that this version of the compiler writes in another way",
    "test_histogram": "looks for an instruction of SASS, which depends on the version of ptxas",
    "test_pointer_arguments": "expects that CPU tensors are refused, which are what kernels take here",
}
"""Parts of names of tests that are not run, with their reason."""


def absent() -> str:
    """Why the suite cannot run here; empty where it can."""
    if not os.environ.get(SOURCE):
        return f"{SOURCE} does not name a checkout of Triton's sources"
    return "" if (_tests() / "conftest.py").exists() else f"{SOURCE} names a folder without python/test/conftest.py"


def versions() -> dict[str, str]:
    """Version of the checkout, which need not be that of the wheel."""
    text = (Path(os.environ[SOURCE]) / "python/triton/__init__.py").read_text()
    return {"Triton's tests": re.findall(r"__version__ = '([^']*)'", text)[0]}


def names() -> list[str]:
    """The first cases of each test, by module."""
    return [name for function in _by_function(_PytestSession().items) for name in function]


def setup() -> None:
    """Collect the tests once for all that this process runs."""
    global _session
    _session = _PytestSession()


def run(name: str) -> None:
    for part, reason in NOT_HERE.items():
        if part in name:
            raise Skip(reason)
    outcome, text = _session.run(name)
    if outcome == "skipped":
        raise Skip(text)
    if outcome == "failed":
        raise Failure(text)


def _tests() -> Path:
    return Path(os.environ[SOURCE]) / "python" / "test"


def _by_function(items: dict[str, Any]) -> Iterator[list[str]]:
    """The chosen names of each test function, in the order of the modules."""
    for _, group in itertools.groupby(items, lambda name: name.partition("[")[0]):
        yield sorted(group, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:CASES]


class _PytestSession:
    """A run of pytest that waits, on a thread of its own, to be told which test is next."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self._wanted: queue.Queue[str] = queue.Queue()
        self._answers: queue.Queue[tuple[str, str]] = queue.Queue()
        threading.Thread(target=self._main, daemon=True).start()
        if (problem := self._answers.get())[0] == "failed":
            raise Failure(problem[1])

    def run(self, name: str) -> tuple[str, str]:
        """Outcome of one test, and why it failed or was skipped."""
        self._wanted.put(name)
        return self._answers.get()

    def _main(self) -> None:
        import pytest

        folder = str(_tests())
        options = ["-q", "-c", os.devnull, "--rootdir", folder, "--confcutdir", folder, "--import-mode=importlib"]
        options += [
            "--continue-on-collection-errors",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:nbval",
            "-W",
            "ignore",
            "--device=cuda",
        ]
        modules = [str(_tests() / "unit" / module) for module in MODULES]
        status = pytest.main([*options, *(path for path in modules if Path(path).exists())], plugins=[self])
        self._answers.put(("failed", f"pytest ended with status {int(status)}"))

    def pytest_configure(self, config: Any) -> None:
        from benchmarks.coverage.device_queries import answer_for_modelled_gpu

        answer_for_modelled_gpu()  # some modules ask when they are imported
        if hasattr(config.option, "max_cases_per_test"):
            config.option.max_cases_per_test = 0  # the choice is ours

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run what is asked for, in place of everything."""
        unit = f"{_tests()}/unit/"
        self.items = {
            f"{item.path}{item.nodeid[item.nodeid.index('::') :]}".removeprefix(unit): item for item in session.items
        }
        self._answers.put(("passed", ""))
        while True:
            name = self._wanted.get()
            self._reports: list[Any] = []
            with _cuda_is_the_cpu():
                session.config.hook.pytest_runtest_protocol(item=self.items[name], nextitem=None)
            self._answers.put(_verdict(self._reports))

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._reports.append(report)


def _verdict(reports: list[Any]) -> tuple[str, str]:
    for report in reports:
        if report.failed:
            print(report.longreprtext, flush=True)
            lines = [line[1:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")]
            return "failed", lines[0] if lines else report.longreprtext[-200:]
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(getattr(report, "wasxfail", ""))
            return "skipped", reason.removeprefix("Skipped: ")
    return "passed", ""


def _cuda_is_the_cpu() -> Any:
    """A context in which tensors that are asked for on a CUDA device are made on the CPU."""
    import torch
    from torch.overrides import TorchFunctionMode

    def is_cuda(value: Any) -> bool:
        return isinstance(value, str | torch.device) and str(value).startswith("cuda")

    class OnTheCpu(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(function, "__name__", "") == "cuda":  # x.cuda()
                return args[0]
            kwargs = {key: "cpu" if is_cuda(value) else value for key, value in (kwargs or {}).items()}
            return function(*("cpu" if is_cuda(value) else value for value in args), **kwargs)

    return OnTheCpu()
