"""Order, nesting, threads, exceptions and the ways to read a profile."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import torch

from teachkit.emulator.counters import Counters
from teachkit.errors import ProfileError
from teachkit.measure import profile, time_function


def names(prof: Any) -> list[str]:
    return [kernel.name for kernel in prof.kernels]


def test_kernels_and_operators_keep_their_order(emulator: Any) -> None:
    x = torch.ones(4)
    with profile() as prof:
        x = x + 1
        emulator.launch(name="first")
        x = x * 2
        emulator.launch(name="second", seconds=None)
    emulator.launch(name="after")
    x + 1
    assert names(prof) == ["aten.add", "first", "aten.mul", "second"]
    assert [kernel.kind for kernel in prof.kernels] == ["operator", "kernel", "operator", "kernel"]
    assert prof.n_launches == 4
    assert prof.total == sum((kernel.counters for kernel in prof.kernels), Counters())
    assert emulator.observers == []


def test_operators_can_be_left_out(emulator: Any) -> None:
    with profile(operators=False) as prof:
        torch.ones(4) + 1
        emulator.launch()
    assert names(prof) == ["kernel"]


def test_an_operator_that_is_run_by_a_kernel_counts_once(emulator: Any) -> None:
    library = torch.library.Library("teachkit_test_profiler", "FRAGMENT")
    library.define("twice(Tensor x) -> Tensor")

    def twice(x: torch.Tensor) -> torch.Tensor:
        emulator.launch(name="twice_kernel")
        return x * 2

    library.impl("twice", twice, "CPU")
    with profile() as prof:
        torch.ops.teachkit_test_profiler.twice(torch.ones(4))
    assert names(prof) == ["aten.ones", "twice_kernel"]


def test_an_exception_closes_the_profile(emulator: Any) -> None:
    prof = profile()

    def fail() -> None:
        with prof:
            torch.ones(4) + 1
            torch.ones(2, 3) @ torch.ones(2, 3)

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        fail()
    assert names(prof) == ["aten.ones", "aten.add", "aten.ones", "aten.ones"]
    assert emulator.observers == []
    torch.ones(4)
    assert prof.n_launches == 4


def test_profiles_nest(emulator: Any) -> None:
    x = torch.ones(4)
    with profile() as outer:
        x + 1
        with profile() as inner:
            x * 2
            emulator.launch()
        x - 1
    assert names(inner) == ["aten.mul", "kernel"]
    assert names(outer) == ["aten.add", "aten.mul", "kernel", "aten.sub"]


def test_a_profile_can_go_on_but_not_twice_at_once(emulator: Any) -> None:
    prof = profile()
    with prof:
        torch.ones(4)
    with prof:
        emulator.launch()
        with pytest.raises(ProfileError, match="already open"):
            prof.__enter__()
    assert names(prof) == ["aten.ones", "kernel"]
    assert emulator.observers == []


def test_kernels_of_other_threads_are_seen(emulator: Any) -> None:
    n_threads, n_each = 4, 50
    with profile() as prof:
        threads = [
            threading.Thread(target=lambda: [emulator.launch() for _ in range(n_each)]) for _ in range(n_threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert prof.n_launches == n_threads * n_each


def test_two_threads_profile_their_own_operators(emulator: Any) -> None:
    found: dict[int, list[str]] = {}
    barrier = threading.Barrier(2)

    def work(index: int) -> None:
        x = torch.ones(4)
        with profile() as prof:
            barrier.wait()
            for _ in range(20):
                x = x + 1 if index else x * 2
            barrier.wait()
        found[index] = names(prof)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: ["aten.mul"] * 20, 1: ["aten.add"] * 20}


@pytest.fixture
def mixed(emulator: Any) -> Any:
    x = torch.ones(1024)
    with profile() as prof:
        (x + 1).sum().item()
        emulator.launch(
            name="a_kernel_with_a_name_that_is_far_too_long_for_a_table",
            grid=(4, 2, 1),
            counters=Counters(n_launches=1, dram_read_bytes=4096, dram_write_bytes=4096, flop_fp32=1024),
        )
    return prof


def test_the_table_is_the_same_everywhere(mixed: Any) -> None:
    expected = [
        "#  name                                      grid x block  read bytes  written bytes   FLOP  FLOP/byte",
        "1  aten.add                                  operator           4,096          4,096  1,024      0.125",
        "2  aten.sum                                  operator           4,096              4  1,024       0.25",
        "3  a_kernel_with_a_name_that_is_far_too_...  (4, 2) x 128       4,096          4,096  1,024      0.125",
        "   3 launches                                                  12,288          8,196  3,072       0.15",
    ]
    lines = mixed.table().splitlines()
    assert [line for line in lines[:-1] if not line.startswith("-")] == expected
    assert lines[-1] == (
        "launches and FLOP counted; operators' bytes counted; kernels' bytes modelled (L2 cache); "
        "1 host synchronisation counted."
    )


def test_other_forms(mixed: Any) -> None:
    plain = json.loads(json.dumps(mixed.to_dict()))
    assert plain["n_launches"] == 3
    assert plain["n_syncs"] == 1
    assert plain["dram_bytes"] == mixed.dram_bytes == plain["total"]["dram_bytes"]
    assert plain["provenance"]["seconds"] == "measured"
    assert [kernel["kind"] for kernel in plain["kernels"]] == ["operator", "operator", "kernel"]
    frame = mixed.to_frame()
    assert list(frame["name"]) == names(mixed)
    assert frame["dram_bytes"].sum() == mixed.dram_bytes
    assert "<caption>launches and FLOP counted" in mixed._repr_html_()
    assert repr(mixed) == "<Profile: 3 launches, 20,484 bytes of DRAM traffic, 3,072 FLOP, 1 host synchronisations>"


def test_an_empty_profile_has_a_table(emulator: Any) -> None:
    with profile() as prof:
        pass
    assert "0 launches" in prof.table()
    assert prof.seconds is None
    assert len(prof.to_frame()) == 0


def test_measured_seconds_are_summed_only_if_complete(emulator: Any) -> None:
    with profile() as prof:
        emulator.launch(seconds=1e-6)
        emulator.launch(seconds=2e-6)
    assert prof.seconds == pytest.approx(3e-6)
    assert "measured us" in prof.table()
    with prof:
        emulator.launch()
    assert prof.seconds is None


def test_the_timer_measures_the_cpu_and_refuses_the_emulator(emulator: Any) -> None:
    calls: list[int] = []
    timing = time_function(calls.append, 1, n_warmup=2, n_runs=5)
    assert len(calls) == 7
    assert len(timing.times_s) == 5
    assert timing.median_s > 0
    assert "measured on cpu" in repr(timing)
    with pytest.raises(ProfileError, match=r"(?s)'kernel' on the emulator.*Hint: count it"):
        time_function(emulator.launch)
    with pytest.raises(ProfileError, match="at least 1 warm-up"):
        time_function(emulator.launch, n_warmup=0)


@pytest.mark.parametrize("wanted", [True, False])
def test_launches_on_a_device_are_watched_where_there_is_one(
    emulator: Any, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    device, asked = type(emulator)(), []

    def observe_hardware(callback: Any, *, counters: bool) -> Any:
        asked.append(counters)
        return device.observe(callback)

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("teachkit.frontends.triton_hardware.observe_hardware", observe_hardware)
    with profile(operators=False, counters=wanted) as prof:
        device.launch(name="on the device", seconds=2e-6)
    assert asked == [wanted]
    assert prof.seconds == 2e-6
    assert device.observers == []


class Result(torch.Tensor):
    is_cuda = property(lambda self: True)


@pytest.mark.parametrize("where", ["argument", "result", "in a list", "in a dict", "nowhere"])
def test_work_on_a_gpu_is_timed_there_wherever_it_shows(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[Any] = []
    monkeypatch.setattr("teachkit.measure.timer._cuda_time", lambda *call: timed.append(call) or 1e-3)
    tensor = torch.ones(1).as_subclass(Result)
    shows = {"result": tensor, "in a list": [1, (tensor,)], "in a dict": {"loss": tensor}}
    args = [tensor] if where == "argument" else []
    assert time_function(lambda *_: shows.get(where), *args, n_runs=4).device == (
        "cpu" if where == "nowhere" else "cuda"
    )
    assert len(timed) == (0 if where == "nowhere" else 4)


@pytest.mark.gpu
def test_eager_operators_on_cuda_are_timed() -> None:
    x = torch.ones(1 << 20, device="cuda")
    with profile() as prof:
        x + 1
    assert prof.kernels[0].seconds is not None
    assert 0 < prof.kernels[0].seconds < 1
