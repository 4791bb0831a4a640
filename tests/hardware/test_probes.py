"""Probes of this machine: they read and time what they say, and keep it with its date."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import teachkit as tk
from teachkit import cli
from teachkit.emulator.counters import Counters
from teachkit.errors import ProbeError
from teachkit.hardware.cpu import any_device
from teachkit.hardware.probes import MachineProbe, Reading, cuda, probe, processor, record, session


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEACHKIT_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Steps that take no time; returns the names of those taken."""
    taken: list[str] = []

    def step(name: str, value: float, unit: str) -> session.Step:
        def take() -> Reading:
            taken.append(name)
            return Reading(value, unit, "in a test", 0.5)

        return name, take

    steps = [
        step("triad_bytes_per_s", 2e10, "B/s"),
        step("matmul_fp32_flop_per_s", 1e12, "FLOP/s"),
        step("dispatch_s", 2e-6, "s"),
    ]
    monkeypatch.setattr(session, "_processor_steps", lambda *_: steps)
    monkeypatch.setattr(session, "_gpu_steps", list)
    monkeypatch.setattr(processor, "cache_sizes", lambda: {"l3_bytes": Reading(32 << 20, "bytes", "in a test")})
    monkeypatch.setattr(cuda, "device_name", lambda: None)
    return taken


def test_cache_sizes_are_read_from_the_system(tmp_path: Path) -> None:
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "64K"), ("2", "Unified", "1024K"), ("3", "Unified", "32M")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    (tmp_path / "index9").mkdir()
    found = processor.cache_sizes(tmp_path)
    assert {name: reading.value for name, reading in found.items()} == {
        "l1_bytes": 48 << 10,
        "l2_bytes": 1 << 20,
        "l3_bytes": 32 << 20,
    }
    assert processor.cache_sizes(tmp_path / "nothing") == {}


def test_the_chase_visits_every_line_before_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[np.ndarray, int]] = []
    monkeypatch.setattr(processor, "_follow", lambda: lambda ring, n: seen.append((ring, n)))
    reading = processor.chase(64 * 100)
    ring = seen[0][0]
    at, visited = 0, set()
    for _ in range(100):
        visited.add(at)
        at = int(ring[at])
    assert at == 0
    assert visited == {8 * line for line in range(100)}
    assert all(n_loads >= 100 for _, n_loads in seen)
    assert reading.unit == "s"


def test_each_probe_of_the_processor_gives_a_plain_number_and_says_how() -> None:
    readings = {
        "B/s": processor.triad(1, 1 << 20, n_repeats=2),
        "FLOP/s": processor.matmul("float32", 1, size=64, n_repeats=2),
        "s": processor.dispatch(n_calls=10, n_repeats=2),
    }
    for unit, reading in readings.items():
        assert reading.unit == unit
        assert 0 < reading.value < float("inf")
        assert reading.spread is not None
        assert 0 <= reading.spread < 1
    assert "1 thread" in readings["B/s"].how
    assert processor.chase(1 << 14, n_repeats=1).value < 1e-3


def test_threads_are_given_back() -> None:
    import torch

    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), processor.threads(1):
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_readings_are_measured_once_and_recorded_with_their_date(quick: list[str]) -> None:
    first = probe(progress=False)
    assert first.provenance == "measured"
    assert len(quick) == 3
    second = probe()
    assert len(quick) == 3
    assert second.provenance == "recorded"
    assert (second.date, second.readings) == (first.date, first.readings)
    assert f"All recorded on {first.machine}, {first.date}" in repr(second)
    assert "All measured on" in repr(first)
    assert probe(again=True).provenance == "measured"
    assert len(quick) == 6


def test_ctrl_c_leaves_nothing_behind(quick: list[str], empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> Reading:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "_processor_steps", lambda *_: [("dispatch_s", stop)])
    done = CliRunner().invoke(cli.app, ["probe"])
    assert done.exit_code == 130
    assert not list(empty_folder.rglob("*.json"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 0}', '{"format": 1, "readings": {"x": {"nonsense": 1}}}'])
def test_a_broken_record_is_measured_again(quick: list[str], text: str) -> None:
    probe(progress=False)
    (file,) = record.folder().glob("*.json")
    file.write_text(text)
    assert probe(progress=False).provenance == "measured"
    assert len(quick) == 6


def test_a_folder_that_cannot_be_made_is_no_error(
    quick: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TEACHKIT_CACHE_DIR", str(tmp_path / "file"))
    assert probe(progress=False).provenance == "measured"
    assert len(quick) == 3


def test_describe_shows_readings_only_when_asked(quick: list[str]) -> None:
    assert tk.describe().probe is None
    assert quick == []
    report = tk.describe(probe=True)
    assert "memory bandwidth, all cores" in repr(report)
    assert "20 GB/s" in report._repr_html_()
    assert json.loads(json.dumps(report.to_dict()))["probe"]["readings"]["dispatch_s"]["value"] == 2e-6


def test_the_command_prints_json(quick: list[str]) -> None:
    done = CliRunner().invoke(cli.app, ["probe", "--json"])
    assert json.loads(done.stdout)["provenance"] == "measured"


def test_this_machine_is_a_device_for_predictions_and_rooflines(quick: list[str]) -> None:
    with pytest.raises(ProbeError, match="Hint: measure it once: `teachkit probe`"):
        any_device("this machine")
    found = probe(progress=False)
    device = any_device("this machine")
    assert device == found.device()
    assert device.source("dram_triad_bytes_per_s").startswith("recorded on ")
    work = Counters(n_launches=1, dram_read_bytes=10**9, dram_write_bytes=10**9, flop_fp32=10**9)
    estimate = tk.predict(work, gpu="this machine")
    assert estimate.terms == pytest.approx({"launch": 2e-6, "dram": 0.1, "fp32": 1e-3})
    assert estimate.provenance == "modelled"
    figure = tk.roofline(work, gpu="this machine")
    assert "this machine" in figure.alt_text  # type: ignore[attr-defined]
    with pytest.raises(ProbeError, match="there are l3_bytes"):
        found["gpu_sms"]


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (Reading(2.5e10, "B/s", ""), "25 GB/s"),
        (Reading(3.2e-9, "s", ""), "3.2 ns"),
        (Reading(49_152, "bytes", ""), "48 KiB"),
        (Reading(32 << 20, "bytes", ""), "32 MiB"),
        (Reading(1.234e12, "FLOP/s", ""), "1.23 TFLOP/s"),
        (Reading(108, "", ""), "108"),
    ],
)
def test_readings_are_shown_with_a_unit_that_suits_them(reading: Reading, text: str) -> None:
    assert record.shown(reading) == text


def test_html_is_escaped() -> None:
    found = MachineProbe("<b>", "now", 1, {"dispatch_s": Reading(1e-6, "s", "<i>")})
    assert "<b>" not in found._repr_html_()
    assert "<i>" not in found._repr_html_()


def test_without_a_driver_the_gpu_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "has_cuda_driver", lambda: False)
    assert cuda.device_name() is None
    assert session._gpu_steps() == []


def test_arithmetic_of_the_gpus_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def events(call: Callable[[], object], n: int = 7) -> list[float]:
        calls.append(call())
        return [2e-3, 1e-3]

    monkeypatch.setattr(cuda, "_event_seconds", events)
    triad = cuda.triad(1 << 20, device="cpu")
    assert triad.value == 3 * (1 << 20) / 1e-3
    assert triad.spread == 0.5
    assert cuda.matmul("float32", 64, device="cpu").value == 2 * 64**3 / 1e-3
    assert cuda.small_kernels(in_graph=False, device="cpu").value == 1e-6
    assert len(calls) == 3


def test_the_driver_is_asked_for_what_the_sheet_has(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    device = types.SimpleNamespace(multi_processor_count=108, L2_cache_size=40 << 20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: device)
    nvml = types.SimpleNamespace(
        NVMLError=RuntimeError,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMaxClockInfo=lambda handle, kind: 1410,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    values = {name: reading.value for name, reading in cuda.from_driver().items()}
    assert values == {"gpu_sms": 108, "gpu_l2_bytes": 40 << 20, "gpu_clock_hz": 1.41e9}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "gpu_clock_hz" not in cuda.from_driver()


@pytest.mark.gpu
def test_probes_of_a_cuda_device() -> None:
    readings = cuda.from_driver() | {name: take() for name, take in session._gpu_steps()}
    assert readings["gpu_sms"].value >= 1
    assert readings["gpu_graph_kernel_s"].value <= readings["gpu_small_kernel_s"].value
    assert all(reading.value > 0 for reading in readings.values())
