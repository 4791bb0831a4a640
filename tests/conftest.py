"""GPU rows run only where there is a device; in continuous integration nothing else may be skipped."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Keep what checks record out of the user's own folder."""
    if "TEACHKIT_DATA_DIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="teachkit-data-")
        config.add_cleanup(folder.cleanup)
        os.environ["TEACHKIT_DATA_DIR"] = folder.name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the GPU rows as skipped where no CUDA device can be used."""
    rows = [item for item in items if item.get_closest_marker("gpu")]
    if not rows:
        return
    import torch

    if not torch.cuda.is_available():
        for item in rows:
            item.add_marker(pytest.mark.skip(reason="no CUDA device; `make test-gpu` runs this where there is one"))


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Every run of a test draws the same numbers, whatever ran before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Turn a skip into a failure in continuous integration, unless it is a GPU row or an expected failure."""
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not expected_failure and os.environ.get("CI") and not item.get_closest_marker("gpu"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"in continuous integration only GPU rows may be skipped; this one was: {reason}"
    return report
