"""Data sheets: the schema holds for every file, and a broken one says what is wrong."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from teachkit.emulator.counters import Counters
from teachkit.errors import DataSheetError, UnknownGpuError
from teachkit.hardware.sheet import by_alias, read_folder
from teachkit.hardware.spec import DEFAULT_GPU_NAME, GpuSpec, gpu, gpu_names, parse_spec
from teachkit.model import predict

FILES = {
    entry.name: entry.read_text()
    for entry in (resources.files("teachkit.hardware") / "gpus").iterdir()
    if entry.name.endswith(".toml")
}


def test_the_promised_devices_are_there() -> None:
    promised = {
        "P100-PCIe-16GB",
        "V100-PCIe-16GB",
        "V100-SXM2-16GB",
        "T4-PCIe-16GB",
        "A100-SXM4-40GB",
        "A100-SXM4-80GB",
        "H100-PCIe-80GB",
        "H100-SXM5-80GB",
        "H200-SXM5-141GB",
        "B200-SXM6-180GB",
        "RTX-4090-24GB",
        "A40-PCIe-48GB",
        "L40-PCIe-48GB",
    }
    assert promised <= set(gpu_names())
    assert set(FILES) == {f"{name}.toml" for name in gpu_names()}


@pytest.mark.parametrize("name", gpu_names())
def test_every_number_has_a_source_and_every_source_is_used(name: str) -> None:
    data = tomllib.loads(FILES[f"{name}.toml"])
    sections = [value for key, value in data.items() if isinstance(value, dict) and key != "sources"]
    used = {entry["source"] for section in sections for entry in section.values()}
    assert used == set(data["sources"])
    spec = gpu(name)
    numbers = {
        field.name
        for field in dataclasses.fields(GpuSpec)
        if isinstance(getattr(spec, field.name), (int, float)) and getattr(spec, field.name) is not None
    }
    assert numbers == set(spec.sources)


@pytest.mark.parametrize("name", gpu_names())
def test_numbers_agree_with_each_other(name: str) -> None:
    spec = gpu(name)
    lanes = {(6, 0): 64, (7, 0): 64, (7, 5): 64, (8, 0): 64, (8, 6): 128, (8, 9): 128, (9, 0): 128, (10, 0): 128}
    derived = spec.n_sms * lanes[spec.compute_capability] * 2 * spec.clock_hz
    # Data sheets print two or three digits.
    assert spec.fp32_flop_per_s == pytest.approx(derived, rel=0.015)
    assert spec.shared_bytes_per_block_max + spec.shared_bytes_reserved_per_block <= spec.shared_bytes_per_sm
    if spec.l1_includes_shared:
        assert spec.shared_bytes_per_sm < spec.l1_bytes_per_sm
    for field in ("dram_triad", "dram_copy", "dram_read", "dram_write"):
        measured = getattr(spec, f"{field}_bytes_per_s")
        assert measured is None or 0.5 * spec.dram_bytes_per_s < measured < spec.dram_bytes_per_s
    for kind in ("tf32", "fp16", "bf16", "fp8"):
        dense, sparse = (getattr(spec, f"{p}tensor_{kind}_flop_per_s") for p in ("", "sparse_"))
        assert sparse is None or sparse == pytest.approx(2 * dense, rel=0.002)


# FLOP a cycle and SM, dense, with float32 accumulation, from the white papers' descriptions of an SM's tensor cores.
TENSOR_FP16 = {(7, 0): 1024, (7, 5): 1024, (8, 0): 2048, (8, 6): 1024, (8, 9): 512, (9, 0): 4096, (10, 0): 8192}


@pytest.mark.parametrize("name", gpu_names())
def test_tensor_rates_follow_from_the_cores(name: str) -> None:
    spec = gpu(name)
    if spec.compute_capability == (6, 0):
        assert spec.tensor_fp16_flop_per_s is None
        return
    derived = spec.n_sms * TENSOR_FP16[spec.compute_capability] * spec.clock_hz
    assert spec.tensor_fp16_flop_per_s is not None
    # Hopper and Blackwell run tensor work at a lower clock than the highest.
    assert 0.9 < spec.tensor_fp16_flop_per_s / derived < 1.01
    for kind, factor in (("tf32", 0.5), ("bf16", 1.0), ("fp8", 2.0)):
        rate = getattr(spec, f"tensor_{kind}_flop_per_s")
        assert rate is None or rate == pytest.approx(factor * spec.tensor_fp16_flop_per_s, rel=0.01)


def test_aliases_and_the_drivers_names_find_the_sheet() -> None:
    assert gpu("V100").name == "V100-SXM2-16GB"
    assert gpu("a100").name == gpu().name == DEFAULT_GPU_NAME
    assert gpu("NVIDIA A100-SXM4-80GB").name == "A100-SXM4-80GB"
    assert gpu("Tesla V100-PCIE-16GB").name == "V100-PCIe-16GB"
    assert gpu("NVIDIA H100 80GB HBM3").name == "H100-SXM5-80GB"
    assert gpu(gpu("T4")) is gpu("T4")


def test_an_unknown_name_lists_what_exists_and_suggests() -> None:
    with pytest.raises(UnknownGpuError, match=r"(?s)'H10O'.*RTX-4090-24GB.*Hint: did you mean 'H100"):
        gpu("H10O")
    with pytest.raises(UnknownGpuError, match=r"Hint: a device is added by one file"):
        gpu("????")


def test_replace_makes_a_what_if_device() -> None:
    spec = gpu("A100")
    faster = spec.replace(dram_bytes_per_s=2 * spec.dram_bytes_per_s)
    assert faster.dram_triad_bytes_per_s == 2 * 1360e9
    assert "dram_bytes_per_s" in faster.changed
    assert spec.changed == ()
    kept = spec.replace(dram_bytes_per_s=2e12, dram_triad_bytes_per_s=1.9e12)
    assert kept.dram_triad_bytes_per_s == 1.9e12
    with pytest.raises(DataSheetError, match="did you mean 'n_sms'"):
        spec.replace(n_sm=1)
    with pytest.raises(DataSheetError, match="a positive number, got -1"):
        spec.replace(dram_bytes_per_s=-1)
    for name in ("n_sms", "l2_bytes", "max_warps_per_sm"):
        with pytest.raises(DataSheetError, match="1 or more, got 0"):
            spec.replace(**{name: 0})
    assert spec.replace(shared_bytes_reserved_per_block=0).shared_bytes_reserved_per_block == 0
    with pytest.raises(DataSheetError, match="a number, got '2 TB/s'"):
        spec.replace(dram_bytes_per_s="2 TB/s")


def test_a_number_of_yours_says_so_and_what_it_replaced() -> None:
    spec = gpu("A100")
    yours = spec.replace(dram_bytes_per_s=2e12)
    assert yours.source("dram_bytes_per_s").startswith("your number, in place of 1555000000000.0 (Paderborn Center")
    assert yours.source("dram_triad_bytes_per_s").startswith("scaled with dram_bytes_per_s")
    assert yours.changed == ("dram_bytes_per_s",)
    assert spec.replace(dram_triad_bytes_per_s=None).source("dram_triad_bytes_per_s").endswith("no source was found")


@pytest.mark.parametrize("name", sorted(GpuSpec.numbers()))
def test_every_number_can_be_replaced(name: str) -> None:
    before = gpu("A100")
    old = getattr(before, name)
    new = not old if isinstance(old, bool) else 2 * (old or 1)
    after = before.replace(**{name: new})
    assert getattr(after, name) == new
    assert after.changed == (name,)


def test_arithmetic_follows_the_clock_and_the_number_of_sms() -> None:
    spec = gpu("A100")
    both = spec.replace(clock_hz=2 * spec.clock_hz, n_sms=54, tensor_bf16_flop_per_s=1e15)
    assert both.fp32_flop_per_s == spec.fp32_flop_per_s
    assert both.tensor_bf16_flop_per_s == 1e15
    assert spec.replace(n_sms=216).tensor_fp16_flop_per_s == 2 * 312e12


def test_a_device_is_added_by_one_file(tmp_path: Path) -> None:
    text = SHEET.replace('name = "A100-SXM4-40GB"', 'name = "MINE"').replace(
        'aliases = ["A100", "A100-40GB"]', "aliases = []"
    )
    (tmp_path / "MINE.toml").write_text(text.replace("value = 108", "value = 10"))
    assert read_folder(GpuSpec, tmp_path)["MINE"].n_sms == 10
    mine = gpu(tmp_path / "MINE.toml")
    assert (mine.name, mine.n_sms) == ("MINE", 10)
    assert predict(Counters(n_launches=1, dram_read_bytes=10**9), gpu=str(tmp_path / "MINE.toml")).gpu.name == "MINE"
    (tmp_path / "OTHER.toml").write_text(text)
    with pytest.raises(DataSheetError, match=r"expected the file to be called MINE\.toml"):
        read_folder(GpuSpec, tmp_path)
    with pytest.raises(DataSheetError, match=r"Expected a data sheet at .*NONE\.toml"):
        gpu(tmp_path / "NONE.toml")


def test_two_devices_of_one_alias_are_refused() -> None:
    with pytest.raises(DataSheetError, match="the alias 'A100' is also one of"):
        by_alias([gpu("A100"), dataclasses.replace(gpu("V100"), aliases=("A100",))])


SHEET = FILES["A100-SXM4-40GB.toml"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (SHEET.replace("n_sms = {", "n_smss = {"), "n_smss is not a number of GpuSpec"),
        (
            SHEET.replace('value = 108, source = "pc2"', 'value = 108, source = "nowhere"'),
            "a source that .sources. lists, got 'nowhere'",
        ),
        (SHEET.replace('{ value = 108, source = "pc2" }', "108"), "source = ..."),
        (SHEET.replace("value = 108", "value = 1.5"), "whole number"),
        (SHEET.replace("value = 1.41e9", "value = -1.0"), "positive number"),
        (SHEET.replace("[clock]", "[clocks]"), "one of the sections"),
        (SHEET.replace("n_sms = {", "# {"), "expected n_sms"),
        (SHEET.replace("product =", "produkt ="), "'product'"),
        (
            SHEET.replace("value = 1.41e9, source", "value = 1410, source"),
            r"1e\+08 to 1e\+10 Hz, got 1410.\nHint: is the unit",
        ),
        (SHEET.replace("value = 1.41e9, ", 'value = 1.41, unit = "GHz", '), "expected the unit Hz, got 'GHz'"),
        (SHEET.replace("dram_bytes_per_s =", "dram_gb_per_s ="), "did you mean 'dram_bytes_per_s'"),
        (SHEET.replace('{ value = 1.41e9, source = "pc2" }', "{ value = 1.41e9 }"), "a source beside the value"),
        (SHEET.replace("value = true", "value = 1"), "true or false"),
        (SHEET.replace('"8.0"', '"eight"'), "a compute capability such as '8.0'"),
        (SHEET.replace("[sm]", "[sm"), "expected TOML"),
    ],
)
def test_a_broken_sheet_says_what_is_wrong(broken: str, words: str) -> None:
    with pytest.raises(DataSheetError, match=words):
        parse_spec(broken, "broken.toml")
