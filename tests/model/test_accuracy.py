"""The model against measurements on hardware that others published: the bars it must hold."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from teachkit.hardware.spec import gpu as data_sheet
from tests.model import measured, measured_caches
from tests.model.measured import SHEETS, Pair, Strided


@pytest.fixture(scope="module")
def streams() -> list[Pair]:
    return list(measured.streams())


@pytest.fixture(scope="module")
def strides() -> list[Strided]:
    return list(measured.strides())


def mean_error(pairs: list[Pair]) -> float:
    return statistics.mean(abs(pair.error) for pair in pairs)


def test_streams_at_full_occupancy_are_within_15_percent(streams: list[Pair]) -> None:
    full = [pair for pair in streams if pair.at == "1024"]
    assert {(pair.gpu, pair.what) for pair in full} == {(gpu, k) for gpu in SHEETS.values() for k in measured.ARRAYS}
    assert max(abs(pair.error) for pair in full) < 0.15


@pytest.mark.parametrize("gpu", SHEETS.values())
def test_streams_at_all_occupancies_are_within_20_percent_on_average(streams: list[Pair], gpu: str) -> None:
    of_gpu = [pair for pair in streams if pair.gpu == gpu]
    assert len(of_gpu) == 32 * 6
    assert mean_error(of_gpu) < 0.20
    # Not a bar but a guard: the model reached 2.9 % and 6.2 % when this was written, and 28 % at the worst point.
    assert mean_error(of_gpu) < 0.07
    assert max(abs(pair.error) for pair in of_gpu) < 0.30


def test_the_page_shows_what_the_model_says_today(streams: list[Pair]) -> None:
    page = (Path(__file__).parents[2] / "benchmarks" / "model_accuracy.md").read_text(encoding="utf-8")
    full = max(100 * abs(pair.error) for pair in streams if pair.at == "1024")
    cells = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in page.splitlines() if "|" in line}
    assert cells["streams at full occupancy, worst of 12"] == f"{full:.1f}"
    assert cells["streams at all occupancies, mean of 384"] == f"{100 * mean_error(streams):.1f}"


def test_gpus_without_a_measured_bandwidth_are_within_the_bars_on_average() -> None:
    blind = list(measured.streams(knows_bandwidth=False))
    assert len(blind) == 384
    assert mean_error(blind) < 0.20


def test_passes_of_loads_through_the_banks_are_those_of_hardware_on_every_row(strides: list[Strided]) -> None:
    assert len(strides) == 144
    wrong = [s for s in strides if s.counted_wavefronts != s.measured_wavefronts]
    assert wrong == []


def test_cycles_of_loads_that_hit_in_l1(strides: list[Strided]) -> None:
    assert mean_error([s.cycles for s in strides]) < 0.10
    # Where the banks decide, and not the unpublished hash of the tags, cycles are the passes.
    by_banks = [s for s in strides if s.counted_wavefronts >= 4 and s.cycles.modelled == s.counted_wavefronts]
    assert len(by_banks) > 20
    assert max(abs(s.cycles.error) for s in by_banks) < 0.20


def test_l1_of_gpus_that_were_not_looked_at_when_the_rule_was_made() -> None:
    """A40 (64 bytes a cycle on the way back to the registers) and H200."""
    others = list(measured.strides("hw_l1_strides_other_gpus.csv"))
    assert len(others) == 118
    assert [s for s in others if s.counted_wavefronts != s.measured_wavefronts] == []
    for name in ("A40-PCIe-48GB", "H200-SXM5-141GB"):
        assert mean_error([s.cycles for s in others if s.cycles.gpu == name]) < 0.10


def test_streams_of_gpus_that_changed_nothing_in_the_model() -> None:
    pairs = [p for p in measured.streams("hw_stream_bandwidth_other_gpus.csv") if p.gpu[:3] in ("A40", "L40")]
    assert len(pairs) == 288
    assert mean_error(pairs) < 0.10
    assert max(abs(pair.error) for pair in pairs if pair.at == "768") < 0.15


def test_small_kernels_by_size_block_and_launch() -> None:
    pairs = list(measured_caches.small_kernels())
    assert len(pairs) == 1914
    assert mean_error(pairs) < 0.05
    # Away from the size of L2; what is wrong around it is said on the page.
    clear = [p for p in pairs if not 0.6 <= int(p.at.split()[0]) / data_sheet(p.gpu).l2_bytes < 1.5]
    for name in {p.gpu for p in clear}:
        for launch in ("queue", "graph"):
            assert mean_error([p for p in clear if (p.gpu, p.what) == (name, launch)]) < 0.06
    assert max(abs(p.error) for p in clear) < 0.30


def test_bandwidth_of_l2_and_of_l1() -> None:
    l2, buffers = list(measured_caches.l2_bandwidth()), list(measured_caches.cache_bandwidth())
    assert mean_error([p for p in l2 if p.what == "L2"]) < 0.03
    assert mean_error([p for p in l2 if p.what == "DRAM"]) < 0.05
    assert mean_error([p for p in buffers if p.what == "L1"]) < 0.02
    assert mean_error([p for p in buffers if p.what == "L2"]) < 0.15


@pytest.mark.parametrize(("file", "n"), [("hw_latency.csv", 40), ("hw_latency_other_gpus.csv", 81)])
def test_latency_by_buffer_size(file: str, n: int) -> None:
    pairs = list(measured.latencies(file, every=5))
    assert len(pairs) == n
    assert mean_error(pairs) < 0.10
    near = [pair for pair in pairs if abs(pair.error) < 0.10]
    assert len(near) >= 0.8 * len(pairs)
