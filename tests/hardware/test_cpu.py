"""Data sheets of processors: the same schema, and one way to find any device."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from teachkit.errors import DataSheetError, UnknownGpuError
from teachkit.hardware.cpu import CpuSpec, any_device, cpu, cpu_names
from teachkit.hardware.sheet import parse
from teachkit.hardware.spec import gpu

FILES = {
    entry.name: entry.read_text()
    for entry in (resources.files("teachkit.hardware") / "cpus").iterdir()
    if entry.name.endswith(".toml")
}


@pytest.mark.parametrize("name", cpu_names())
def test_numbers_have_sources_and_agree_with_each_other(name: str) -> None:
    spec = cpu(name)
    data = tomllib.loads(FILES[f"{name}.toml"])
    used = {e["source"] for k, v in data.items() if isinstance(v, dict) and k != "sources" for e in v.values()}
    assert used == set(data["sources"])
    assert {n for n in CpuSpec.numbers() if getattr(spec, n) is not None} == set(spec.sources)
    assert spec.base_clock_hz is not None
    assert spec.vector_bits is not None
    for bits, rate in ((64, spec.fp64_flop_per_s), (32, spec.fp32_flop_per_s)):
        assert rate == pytest.approx(spec.n_cores * 2 * 2 * spec.vector_bits / bits * spec.base_clock_hz, rel=0.001)
    # 12 channels of 8 bytes: 6,400 or 8,800 million transfers a second.
    assert spec.dram_bytes_per_s in (12 * 8 * 6.4e9, 12 * 8 * 8.8e9)


def test_any_device_is_found_by_name_or_alias() -> None:
    assert any_device("AMD EPYC 9755").name == "EPYC-9755"
    assert any_device("Intel(R) Xeon(R) 6980P") is cpu("XEON-6980P")
    assert any_device("A100") is gpu("A100")
    assert any_device(cpu("EPYC-9755")) is cpu("EPYC-9755")


def test_an_unknown_device_lists_both_kinds() -> None:
    with pytest.raises(UnknownGpuError, match=r"(?s)A100-SXM4-40GB.*EPYC-9755.*Hint: did you mean 'EPYC-9755'"):
        any_device("EPYC-9756")
    with pytest.raises(UnknownGpuError, match=r"(?s)EPYC-9755, XEON-6980P.*Hint: did you mean 'XEON-6980P'"):
        cpu("XEON-6990P")


def test_what_if() -> None:
    spec = cpu("EPYC-9755")
    assert spec.fp32_flop_per_s is not None
    assert spec.replace(n_cores=64).fp32_flop_per_s == spec.fp32_flop_per_s / 2
    with pytest.raises(DataSheetError, match="not a number of CpuSpec"):
        parse(CpuSpec, FILES["EPYC-9755.toml"].replace("n_cores", "n_sms"), "x.toml")
