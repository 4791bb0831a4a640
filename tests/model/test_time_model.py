"""The time model: its arithmetic by hand, its honesty, and hardware measurements it was not fitted to."""

from __future__ import annotations

import json
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.emulator.counters import Counters
from teachkit.errors import OccupancyError, PredictionError, UnknownGpuError
from teachkit.hardware.spec import gpu, gpu_names
from teachkit.measure.report import KernelReport
from teachkit.model import predict, time_model


def counters(**fields: int) -> Counters:
    return Counters(n_launches=1, **fields)


def test_a_streaming_kernel_by_hand() -> None:
    estimate = predict(counters(dram_read_bytes=1_360_000_000, dram_write_bytes=1_360_000_000), gpu="A100")
    launch = 2.7e-6 - (404e-9 + 272e-9)
    assert estimate.terms == pytest.approx({"launch": launch, "dram": 2.72e9 / 1360e9, "latency": 676e-9})
    assert estimate.seconds == pytest.approx(launch + 2e-3)
    assert estimate.low_s == pytest.approx(0.5 * launch + 0.85 * 2e-3)
    assert estimate.high_s == pytest.approx(2 * launch + 1.15 * 2e-3)
    assert estimate.binding == "dram"
    assert estimate.bound_s == pytest.approx({"launch": launch, "dram": 2e-3})


def test_a_tiny_kernel_takes_what_tiny_kernels_take() -> None:
    estimate = predict(counters(dram_read_bytes=4096, dram_write_bytes=4096), gpu="A100-80GB")
    assert estimate.seconds == pytest.approx(2.7e-6, rel=1e-4)
    assert estimate.binding == "launch"


def test_a_write_does_not_wait_for_dram() -> None:
    only_writes = predict(counters(dram_write_bytes=4096), gpu="V100-PCIe").terms
    reads = predict(counters(dram_read_bytes=4096), gpu="V100-PCIe").terms
    assert reads["latency"] - only_writes["latency"] == pytest.approx(313e-9)


def test_a_matrix_product_is_bound_by_arithmetic() -> None:
    n = 4096
    half = counters(dram_read_bytes=4 * n * n, dram_write_bytes=2 * n * n, flop_tensor=2 * n**3)
    single = counters(dram_read_bytes=8 * n * n, dram_write_bytes=4 * n * n, flop_fp32=2 * n**3)
    assert predict(half, gpu="A100").binding == "tensor"
    assert predict(half, gpu="A100").terms["tensor"] == pytest.approx(2 * n**3 / 312e12)
    assert predict(single, gpu="A100").terms["fp32"] == pytest.approx(2 * n**3 / 19.5e12)
    assert predict(half, gpu="P100").terms["tensor"] == pytest.approx(2 * n**3 / 18.7e12)  # no tensor cores there


def test_the_other_terms_by_hand() -> None:
    terms = predict(
        counters(
            shared_load_wavefronts=600, shared_store_wavefronts=400, sfu_ops=10**6, flop_fp64=10**6, flop_fp16=10**6,
            l2_lookups=1000,
        ),
        gpu="A100",
    ).terms  # fmt: skip
    assert terms["shared"] == pytest.approx(1000 / (108 * 1.41e9))
    assert terms["sfu"] == pytest.approx(10**6 / (16 * 108 * 1.41e9))
    assert terms["fp64"] == pytest.approx(10**6 / 9.7e12)
    assert terms["fp16"] == pytest.approx(10**6 / 78e12)
    assert terms["l2"] == pytest.approx(32_000 / 5.4e12)


def report(n_blocks: int, n_threads: int, work: Counters, shared_bytes: int = 0) -> KernelReport:
    resources: Any = types.SimpleNamespace(n_registers=32, shared_bytes=shared_bytes)
    return KernelReport("k", (n_blocks, 1, 1), (n_threads, 1, 1), work, resources)


def test_one_block_has_one_sms_share_of_the_arithmetic() -> None:
    work = counters(flop_fp32=10**9)
    full = predict(report(108, 256, work), gpu="A100").terms["fp32"]
    assert predict(report(1, 256, work), gpu="A100").terms["fp32"] == pytest.approx(108 * full)
    assert predict(report(109, 256, work), gpu="A100").terms["fp32"] == pytest.approx(2 * 108 / 109 * full)


def test_waves_of_blocks() -> None:
    work = counters(dram_read_bytes=1 << 20)
    one = predict(report(108 * 8, 256, work), gpu="A100").terms["latency"]
    assert one == pytest.approx(676e-9)
    assert predict(report(10 * 108 * 8, 256, work), gpu="A100").terms["latency"] == pytest.approx(10 * one)


def test_a_block_that_does_not_fit_cannot_be_predicted() -> None:
    big = report(1, 256, counters(), shared_bytes=100_000)
    assert predict(big, gpu="A100").seconds > 0
    with pytest.raises(OccupancyError, match="T4-PCIe-16GB"):
        predict(big, gpu="T4")


def test_a_what_if_device_moves_the_prediction() -> None:
    work = counters(dram_read_bytes=10**9)
    spec = gpu("A100")
    before, after = predict(work, gpu=spec), predict(work, gpu=spec.replace(dram_bytes_per_s=2 * 1555e9))
    assert after.terms["dram"] == pytest.approx(before.terms["dram"] / 2)
    assert "dram_bytes_per_s" in repr(after)
    assert "Your numbers: dram_bytes_per_s" in after.table()


def test_an_assumed_bandwidth_says_so_and_has_a_wider_band() -> None:
    work = counters(dram_read_bytes=10**9)
    assumed, measured = predict(work, gpu="B200"), predict(work, gpu="A100")
    assert "assumed: 0.83 of the data sheet" in assumed.table()
    assert "measured on hardware" in measured.table()
    assert assumed.high_s / assumed.low_s > measured.high_s / measured.low_s


def test_assumptions_are_the_means_of_the_measurements() -> None:
    sheets = [gpu(name) for name in gpu_names()]

    def mean(values: set[float]) -> float:
        return sum(values) / len(values)

    triads = {s.dram_triad_bytes_per_s / s.dram_bytes_per_s for s in sheets if s.dram_triad_bytes_per_s is not None}
    assert mean(triads) == pytest.approx(time_model.ASSUMED_DRAM_FRACTION, abs=0.005)
    for field, assumed in [
        ("dram_latency_s", time_model.ASSUMED_DRAM_LATENCY_S),
        ("block_turnover_s", time_model.ASSUMED_BLOCK_TURNOVER_S),
        ("small_kernel_s", time_model.ASSUMED_SMALL_KERNEL_S),
    ]:
        known = {getattr(sheet, field) for sheet in sheets if getattr(sheet, field) is not None}
        assert mean(known) == pytest.approx(assumed, rel=0.02)


def test_a_sequence_adds_up() -> None:
    kernels = [report(1000, 256, counters(dram_read_bytes=n << 20)) for n in (1, 10, 100)]
    whole = predict(kernels, gpu="V100")
    assert whole.seconds == pytest.approx(sum(predict(kernel, gpu="V100").seconds for kernel in kernels))
    assert whole.seconds == pytest.approx(sum(whole.bound_s.values()))
    assert predict(types.SimpleNamespace(kernels=kernels), gpu="V100").seconds == whole.seconds
    assert len(whole.kernels) == 3


def test_every_form_says_that_it_is_modelled() -> None:
    estimate = predict(counters(dram_read_bytes=10**9), gpu="V100")
    plain = json.loads(json.dumps(estimate.to_dict()))
    assert plain["provenance"] == estimate.provenance == "modelled"
    assert plain["kernels"][0]["binding"] == "dram"
    for text in (repr(estimate), estimate.table(), estimate._repr_html_()):
        assert "modelled" in text
        assert "V100-SXM2-16GB" in text
    assert repr(predict([], gpu="V100")) == (
        "<TimeEstimate: 0 s modelled on V100-SXM2-16GB (0 s to 0 s), bound by launch>"
    )


def test_the_table() -> None:
    estimate = predict([counters(dram_read_bytes=10**9), counters(dram_write_bytes=4096)], gpu="V100")
    lines = estimate.table().splitlines()
    assert lines[0].split("  ")[0] == "launch of"
    assert [line.split()[:2] for line in (lines[2], lines[3], lines[5])] == [
        ["counters", "1,119.34"],
        ["counters", "2.29"],
        ["all", "1,121.62"],
    ]
    assert lines[2].count("*") == lines[3].count("*") == 1


def test_errors() -> None:
    with pytest.raises(PredictionError, match=r"got str.\nHint: run the code inside"):
        predict("a kernel")
    with pytest.raises(UnknownGpuError):
        predict(counters(), gpu="Voodoo2")


@given(
    st.sampled_from(gpu_names()),
    st.fixed_dictionaries(
        {
            name: st.integers(0, 10**12)
            for name in ("dram_read_bytes", "dram_write_bytes", "flop_fp32", "flop_tensor", "sfu_ops", "flop_fp64")
        }
    ),
    st.integers(1, 10**5),
)
def test_more_work_never_takes_less_time(name: str, work: dict[str, int], n_blocks: int) -> None:
    estimate = predict(report(n_blocks, 128, counters(**work)), gpu=name)
    assert 0 < estimate.low_s <= estimate.seconds <= estimate.high_s
    assert estimate.seconds <= sum(estimate.terms.values()) * (1 + 1e-12)
    for field, amount in work.items():
        more = predict(report(n_blocks, 128, counters(**work | {field: 2 * amount + 1})), gpu=name)
        assert more.seconds >= estimate.seconds
