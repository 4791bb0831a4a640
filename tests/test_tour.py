"""The tour: what it prints is what was counted, and the command ends by itself."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from teachkit import tour

N_ELEMENTS = 2**14


@pytest.fixture(scope="module")
def stops() -> list[tour.Stop]:
    return tour.run_stops(N_ELEMENTS)


def test_it_counts_the_story_of_the_first_lessons(stops: list[tour.Stop]) -> None:
    counted = [(stop.prof.n_launches, stop.prof.dram_bytes / 4 / N_ELEMENTS) for stop in stops]
    assert counted == [(1, 3.0), (8, 18.0), (1, 2.0), (1, 2.0)]


def test_every_result_is_right(stops: list[tour.Stop]) -> None:
    assert stops[0].largest_error == 0
    # Two roundings of a float32 near 4, whose last bit is 2.4e-7, and the cancellation in 1 + tanh.
    assert all(stop.largest_error < 1e-6 for stop in stops)


def test_its_table_says_where_each_number_comes_from(stops: list[tour.Stop]) -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(tour.build_table(stops, N_ELEMENTS))
    text = console.export_text()
    for part in ("18.00 N", "2.00 N", "counted", "modelled", "V100", "A100", "H100"):
        assert part in text


def test_the_command_prints_the_table_and_ends() -> None:
    # Half a minute is what it may take; the rest is for a machine that is busy with other tests.
    done = subprocess.run(
        [sys.executable, "-m", "teachkit.cli", "tour"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "18.00 N" in done.stdout
    assert "moves 9 times fewer bytes than the eager formula" in " ".join(done.stdout.split())
