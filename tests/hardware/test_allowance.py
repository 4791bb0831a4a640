"""Cores and memory that a process may use: what control groups allow counts, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from teachkit.hardware import describe
from teachkit.hardware.allowance import usable_cores, usable_memory_bytes
from teachkit.hardware.probes import session

GIB = 2**30


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "n_cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu.max": "\n"}, 8),
    ],
)
def test_cores(eight_cores: None, tmp_path: Path, files: dict[str, str], n_cores: int) -> None:
    assert usable_cores(write(tmp_path, files)) == n_cores


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"memory.max": "max\n"}, None),
        ({"memory.max": f"{GIB // 2}\n"}, GIB // 2),
        ({"memory/memory.limit_in_bytes": f"{GIB // 4}\n"}, GIB // 4),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),  # what version 1 says for no limit
    ],
)
def test_memory(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    assert usable_memory_bytes(write(tmp_path, files)) == (limit or psutil.virtual_memory().total)


def test_the_report_and_the_probe_show_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "usable_cores", lambda: 1)
    monkeypatch.setattr(describe, "usable_memory_bytes", lambda: 3 * GIB)
    report = describe.describe()
    assert (report.n_cores, report.memory_bytes) == (1, 3 * GIB)
    assert "1 core usable" in repr(report)
    assert session.usable_cores() == usable_cores()
