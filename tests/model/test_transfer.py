from __future__ import annotations

import pytest

from teachkit.model.transfer import copy_seconds, pcie_bytes_per_s


def test_rates_are_those_of_the_standard() -> None:
    # PCI-SIG's rounded figures for 16 lanes, one direction: about 15.8, 31.5 and 63 GB/s.
    assert [round(pcie_bytes_per_s(generation) / 1e9, 1) for generation in (3, 4, 5)] == [15.8, 31.5, 63.0]
    assert pcie_bytes_per_s(4, lanes=8) == pcie_bytes_per_s(4) / 2


def test_a_copy_costs_a_start_and_its_bytes() -> None:
    assert copy_seconds(0) == pytest.approx(10e-6)
    assert copy_seconds(3_150_000, efficiency=1.0, copy_s=0) == pytest.approx(100e-6, rel=1e-3)
    assert copy_seconds(10**9, generation=5) < copy_seconds(10**9, generation=4)
