"""A stand-in for the emulator's announcements, so that these tests need no compiled kernel."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from teachkit.emulator.counters import Counters


@dataclasses.dataclass
class FakeLaunch:
    name: str = "kernel"
    grid: tuple[int, int, int] = (4, 1, 1)
    block: tuple[int, int, int] = (128, 1, 1)
    counters: Counters = dataclasses.field(default_factory=lambda: Counters(n_launches=1, dram_read_bytes=64))
    resources: Any = None
    seconds: float | None = None


class Bus:
    """Every observer hears of every launch."""

    def __init__(self) -> None:
        self.observers: list[Callable[[Any], None]] = []

    @contextlib.contextmanager
    def observe(self, callback: Callable[[Any], None]) -> Iterator[None]:
        self.observers.append(callback)
        try:
            yield
        finally:
            self.observers.remove(callback)

    def launch(self, **fields: Any) -> None:
        launch = FakeLaunch(**fields)
        for observer in list(self.observers):
            observer(launch)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus()
    monkeypatch.setattr("teachkit.measure.profiler._observe", bus.observe)
    monkeypatch.setattr("teachkit.measure.timer._observe", bus.observe)
    return bus
