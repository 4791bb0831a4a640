"""The time model: its arithmetic by hand, and its honesty."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import teachkit as tk
from teachkit.emulator.counters import Counters
from teachkit.errors import OccupancyError, PredictionError, UnknownGpuError
from teachkit.hardware.spec import gpu, gpu_names
from teachkit.measure.report import KernelReport
from teachkit.model import predict, time_model


def counters(**fields: int) -> Counters:
    return Counters(n_launches=1, **fields)


def test_a_streaming_kernel_by_hand() -> None:
    estimate = predict(counters(dram_read_bytes=1_360_000_000, dram_write_bytes=1_360_000_000), gpu="A100")
    # The small kernels of the measurement worked on 64 KB that lay in L2.
    launch = 2.7e-6 - (213 / 1.41e9 + 272e-9)
    assert estimate.terms == pytest.approx({"launch": launch, "dram": 2.72e9 / 1360e9, "latency": 676e-9})
    assert estimate.seconds == pytest.approx(launch + 2e-3)
    assert estimate.low_s == pytest.approx(0.5 * launch + 0.85 * 2e-3)
    assert estimate.high_s == pytest.approx(2 * launch + 1.15 * 2e-3)
    assert estimate.binding == "dram"
    assert estimate.bound_s == pytest.approx({"launch": launch, "dram": 2e-3})


def test_a_tiny_kernel_takes_what_tiny_kernels_take() -> None:
    work = counters(dram_read_bytes=4096, dram_write_bytes=4096, compulsory_read_bytes=4096)
    warm, cold = (predict(work, gpu="A100-80GB", l2=state) for state in ("warm", "cold"))
    # As measured: kernels of next to no work, one after the other, whose few bytes are in L2.
    assert warm.seconds == pytest.approx(2.7e-6, rel=1e-4)
    assert cold.seconds - warm.seconds == pytest.approx(402e-9 - 211 / 1.41e9, rel=1e-3)
    assert warm.binding == cold.binding == "launch"


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
    assumed, measured = predict(work, gpu="A6000"), predict(work, gpu="A100")
    assert "assumed: 0.86 of the data sheet" in assumed.table()
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
        ("graph_kernel_s", time_model.ASSUMED_GRAPH_KERNEL_S),
    ]:
        known = {getattr(sheet, field) for sheet in sheets if getattr(sheet, field) is not None}
        assert mean(known) == pytest.approx(assumed, rel=0.02)
    blocks = {s.blocks_per_s / s.clock_hz for s in sheets if s.blocks_per_s is not None}
    assert mean(blocks) == pytest.approx(time_model.ASSUMED_BLOCKS_PER_CYCLE, rel=0.02)
    l2 = {s.l2_latency_cycles / s.clock_hz for s in sheets if s.l2_latency_cycles is not None}
    assert mean(l2) == pytest.approx(time_model.ASSUMED_L2_LATENCY_S, rel=0.02)


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


def test_few_launches_stand_in_columns_and_many_in_rows() -> None:
    one, many = (predict([counters(dram_read_bytes=10**9)] * n, gpu="V100") for n in (1, 8))
    shown = one._repr_html_()
    assert shown.startswith('<table><thead><tr><th scope="col">launch of</th><th scope="col">counters</th>')
    n_terms = len(one.terms)
    assert shown.count("<tr>") == 4 + n_terms
    assert f'<th scope="row">DRAM bandwidth</th><td>{one.terms["dram"] * 1e6:,.2f}*</td>' in shown
    assert many._repr_html_().count("<tr>") == 1 + 8 + 1
    assert many._repr_html_().count('<th scope="col">') == 4 + n_terms


def test_the_table() -> None:
    estimate = predict([counters(dram_read_bytes=10**9), counters(dram_write_bytes=4096)], gpu="V100")
    lines = estimate.table().splitlines()
    assert lines[0].split("  ")[0] == "launch of"
    assert [line.split()[:2] for line in (lines[2], lines[3], lines[5])] == [
        ["counters", "1,119.11"],
        ["counters", "2.06"],
        ["all", "1,121.17"],
    ]
    assert lines[2].count("*") == lines[3].count("*") == 1


def test_an_empty_profile_is_refused() -> None:
    with tk.profile() as prof:
        pass
    with pytest.raises(PredictionError, match=r"with launches, got one without any\.\nHint: run kernels"):
        predict(prof, gpu="V100")


def test_l2_keeps_what_fits_from_one_run_to_the_next() -> None:
    small, large = (
        counters(compulsory_read_bytes=n, compulsory_write_bytes=n, dram_read_bytes=n, dram_write_bytes=n)
        for n in (4 << 20, 400 << 20)
    )
    for work, share in ((small, 0.0), (large, 1.0)):
        warm, cold = predict(work, gpu="A100", l2="warm"), predict(work, gpu="A100")
        assert warm.terms.get("dram", 0.0) == pytest.approx(share * cold.terms["dram"], abs=1e-12)
    assert "L2 warm from a run before" in predict(small, gpu="A100", l2="warm").table()
    assert predict(small, gpu="A100", l2="warm").to_dict()["l2"] == "warm"
    # An operator's bytes that DRAM no longer delivers come from L2.
    assert predict(small, gpu="A100", l2="warm").terms["l2"] == pytest.approx((8 << 20) / 3.9e12)
    in_place = predict(large, gpu="A100", l2="warm", footprint_bytes=1 << 20)
    assert "dram" not in in_place.terms


def test_many_tiny_blocks_take_the_time_to_start_them() -> None:
    work = counters(dram_read_bytes=4096, compulsory_read_bytes=4096)
    many = predict(report(10**6, 32, work), gpu="A100")
    assert many.binding == "blocks"
    assert many.terms["blocks"] == pytest.approx(1e6 / 1.348e9, rel=1e-3)
    assert "1,000,000 blocks" in many.table()
    assumed = predict(report(10**6, 32, work), gpu="V100").terms["blocks"]
    assert assumed == pytest.approx(1e6 / (0.85 * 1.53e9), rel=1e-3)


def test_l2_copies_have_a_rate_of_their_own() -> None:
    sectors = 10**6
    work = counters(global_load_sectors=sectors, global_store_sectors=sectors)
    reads = counters(global_load_sectors=2 * sectors)
    assert predict(work, gpu="A100").terms["l2"] == pytest.approx(64 * sectors / 3.9e12)
    assert predict(reads, gpu="A100").terms["l2"] == pytest.approx(64 * sectors / 5.4e12)
    assert predict(work, gpu="V100").terms["l2"] == pytest.approx(64 * sectors / 2.44e12)


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


def test_passes_through_l1_are_the_banks_or_the_tags_whichever_is_more() -> None:
    cycle = 1 / (108 * 1.41e9)
    banks = counters(global_load_requests=100, global_load_wavefronts=3200, l1_tag_lookups=100)
    tags = counters(global_load_requests=100, global_load_wavefronts=100, l1_tag_lookups=3200)
    assert predict(banks, gpu="A100").terms["l1"] == pytest.approx(3200 * cycle)
    assert predict(tags, gpu="A100").terms["l1"] == pytest.approx(100 * (32 + 3) / 4 * cycle)
    stores = counters(global_store_requests=100)
    assert predict(stores, gpu="A100").terms["l1"] == pytest.approx(100 * cycle)


def test_issue_slots() -> None:
    work = counters(warp_instructions=10**6)
    assert predict(work, gpu="A100").terms["issue"] == pytest.approx(10**6 / (4 * 108 * 1.41e9))
    assert predict(work, gpu="P100").terms["issue"] == pytest.approx(10**6 / (2 * 56 * gpu("P100").clock_hz))
    assert predict(work, gpu="A100").binding == "launch"


def test_waiting_for_reads_adds_to_traffic_as_legs_of_a_right_triangle() -> None:
    n_blocks, n_threads = 108 * 2 * 100, 1024
    n_bytes = 8 * n_blocks * n_threads
    reads = predict(report(n_blocks, n_threads, counters(dram_read_bytes=n_bytes)), gpu="A100").kernels[0]
    writes = predict(report(n_blocks, n_threads, counters(dram_write_bytes=n_bytes)), gpu="A100").kernels[0]
    assert reads.body_s == pytest.approx(math.hypot(reads.terms["dram"], reads.terms["latency"]))
    assert writes.body_s == max(writes.terms["dram"], writes.terms["latency"])
    assert reads.terms["dram"] == pytest.approx(n_bytes / 1503e9)  # one way: the faster of read and write


def test_traffic_is_priced_by_its_mixture() -> None:
    def dram(read: int, written: int) -> float:
        return predict(counters(dram_read_bytes=read, dram_write_bytes=written), gpu="V100-PCIe").terms["dram"]

    assert dram(2 * 10**9, 10**9) == pytest.approx(3e9 / 814e9)
    assert dram(10**9, 2 * 10**9) == pytest.approx(3e9 / 814e9)
    assert dram(4 * 10**9, 10**9) == pytest.approx(3e9 / 814e9 + 2e9 / 895e9)
    assert dram(10**9, 0) == pytest.approx(1e9 / 895e9)


def test_eager_waits_for_the_host_and_a_graph_does_not() -> None:
    tiny = [counters(dram_read_bytes=4096) for _ in range(100)]
    big = [counters(dram_read_bytes=10**8) for _ in range(100)]
    queue, compiled = predict(tiny, gpu="A100"), predict(tiny, gpu="A100", launch="compiled")
    eager, graph = predict(tiny, gpu="A100", launch="eager"), predict(tiny, gpu="A100", launch="graph")
    assert compiled.seconds == queue.seconds
    assert eager.seconds == pytest.approx(100 * 5e-6 + tiny_body("A100"), rel=1e-3)
    dram_instead_of_l2 = 404e-9 - 213 / 1.41e9
    assert eager.binding == "host"
    assert eager.seconds == pytest.approx(sum(eager.bound_s.values()))
    assert graph.seconds == pytest.approx(100 * (1.35e-6 + dram_instead_of_l2), rel=1e-3)
    faster = predict(tiny, gpu="A100", launch="eager", host_s=1e-6)
    assert faster.seconds == pytest.approx(queue.seconds)  # the launches themselves take longer than the host
    waits = predict(big, gpu="A100", launch="eager").bound_s["host"]
    assert waits <= 5e-6 * (1 + 1e-9)  # only before the first: then the GPU is behind
    for estimate in (eager, graph):
        assert estimate.low_s <= estimate.seconds <= estimate.high_s
        assert {"eager": "eager PyTorch", "graph": "a CUDA graph"}[estimate.launch] in estimate.table()


def tiny_body(name: str) -> float:
    return predict(counters(dram_read_bytes=4096), gpu=name).kernels[0].body_s


def test_counters_of_many_launches_wait_like_many_launches() -> None:
    one_by_one = predict([counters(dram_read_bytes=4096)] * 50, gpu="A100", launch="eager").seconds
    summed = predict(Counters(n_launches=50, dram_read_bytes=50 * 4096), gpu="A100", launch="eager").seconds
    assert summed == pytest.approx(one_by_one, rel=0.01)


def test_tensor_cores_work_at_the_rate_of_the_type_that_is_named() -> None:
    work = counters(flop_tensor=10**12)
    assert predict(work, gpu="H100", tensor="fp8").terms["tensor"] == pytest.approx(10**12 / 1978.9e12)
    assert predict(work, gpu="H100", tensor="tf32").terms["tensor"] == pytest.approx(10**12 / 494.7e12)
    assert predict(work, gpu="H100", tensor="int8").terms["tensor"] == pytest.approx(10**12 / 1978.9e12)


def test_what_a_sheet_lacks_is_said() -> None:
    estimate = predict(counters(dram_read_bytes=10**9), gpu="A6000")
    assert "DRAM bandwidth" in estimate.lacks
    assert "Not measured on it: DRAM bandwidth" in estimate.table()
    assert "Not measured on it: DRAM bandwidth" in estimate._repr_html_()
    assert predict(counters(dram_read_bytes=10**9), gpu="A100").lacks == ()


def test_a_processor_has_the_terms_of_its_roofline() -> None:
    work = counters(dram_read_bytes=10**9, flop_fp32=10**12, flop_fp64=10**12, sfu_ops=10**9)
    estimate = predict(work, gpu="EPYC-9755")
    assert estimate.terms == pytest.approx({"dram": 1e9 / (0.86 * 614.4e9), "fp64": 1 / 11.059, "fp32": 1 / 22.118})
    assert estimate.binding == "fp64"
    assert "assumed: 0.86 of the data sheet" in predict(counters(dram_read_bytes=10**9), gpu="XEON-6980P").table()


def test_every_number_of_a_sheet_that_is_used_moves_the_prediction() -> None:
    amounts = {f.name: 10**9 for f in dataclasses.fields(Counters) if f.type == "int"}
    work = dataclasses.replace(Counters(**amounts), n_launches=1)
    spec = gpu("A100")
    moved = {}
    for name in ("dram_bytes_per_s", "clock_hz", "n_sms", "l2_bytes_per_s", "fp32_flop_per_s", "small_kernel_s"):
        after = predict(work, gpu=spec.replace(**{name: 2 * getattr(spec, name)})).terms
        before = predict(work, gpu=spec).terms
        moved[name] = {term for term in before if before[term] != after[term]}
    assert moved["dram_bytes_per_s"] == {"dram"}
    assert moved["l2_bytes_per_s"] == {"l2"}
    assert moved["fp32_flop_per_s"] == {"fp32"}
    assert moved["small_kernel_s"] == {"launch"}
    assert {"l1", "shared", "issue", "fp64", "tensor", "sfu"} <= moved["clock_hz"] & moved["n_sms"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"launch": "fast"}, "launch to be one of queue, eager, compiled, graph"),
        ({"tensor": "fp12"}, "tensor to be one of fp16"),
        ({"l2": "hot"}, "l2 to be one of cold, warm, got 'hot'"),
        ({"footprint_bytes": 1}, 'footprint_bytes of 0 or more with l2="warm"'),
        ({"l2": "warm", "footprint_bytes": -1}, "got -1"),
        ({"host_s": 1e-6}, 'host_s of 0 or more with launch="eager"'),
        ({"launch": "eager", "host_s": float("nan")}, "host_s of 0 or more"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(PredictionError, match=words):
        predict(counters(), gpu="A100", **arguments)


def test_printing_shows_every_term_and_the_band() -> None:
    estimate = predict(counters(dram_read_bytes=10**9, flop_fp32=10**9), gpu="A100")
    for text in (str(estimate), estimate._repr_html_()):
        for label in ("DRAM bandwidth", "memory latency", "FP32 rate", "Band:", "all modelled"):
            assert label in text
        assert "easured:" not in text.replace("Not measured", "")
