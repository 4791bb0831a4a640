"""When operators run: host ahead, device ahead, and a host that is made to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.emulator.counters import Counters
from teachkit.errors import PredictionError
from teachkit.model.time_model import predict
from teachkit.model.timeline import timeline

TINY = Counters(n_launches=1, dram_read_bytes=4096, dram_write_bytes=4096)
LARGE = Counters(n_launches=1, dram_read_bytes=1 << 28, dram_write_bytes=1 << 28)
EACH_S = {name: predict(counters, "A100").seconds for name, counters in (("tiny", TINY), ("large", LARGE))}


def test_a_slow_host_leaves_the_gpu_idle() -> None:
    plan = timeline([TINY] * 8, "A100", host_s=10e-6)
    assert plan.seconds == pytest.approx(8 * 10e-6 + EACH_S["tiny"])
    assert plan.device_busy_s == pytest.approx(8 * EACH_S["tiny"])
    assert plan.device_idle_share == pytest.approx(1 - 8 * EACH_S["tiny"] / plan.seconds)


def test_with_large_tensors_the_host_is_done_long_before() -> None:
    plan = timeline([LARGE] * 8, "A100", host_s=10e-6)
    assert plan.seconds == pytest.approx(10e-6 + 8 * EACH_S["large"])
    assert plan.steps[-1].host_end_s == pytest.approx(80e-6)


def test_waiting_puts_host_and_device_one_after_the_other() -> None:
    free = timeline([LARGE] * 4, "A100", host_s=10e-6)
    waiting = timeline([LARGE] * 4, "A100", host_s=10e-6, wait_after=range(4))
    assert waiting.seconds == pytest.approx(4 * (10e-6 + EACH_S["large"]))
    assert waiting.seconds > free.seconds
    assert waiting.dram_bytes == free.dram_bytes == 4 * LARGE.dram_bytes


@given(
    st.lists(st.sampled_from([TINY, LARGE]), max_size=6),
    st.floats(0, 1e-3),
    st.sets(st.integers(0, 5)),
)
def test_nothing_runs_before_it_is_launched_and_nothing_overlaps(
    launches: list[Counters], host_s: float, waits: set[int]
) -> None:
    plan = timeline(launches, "A100", host_s=host_s, wait_after={index for index in waits if index < len(launches)})
    before = None
    for step in plan.steps:
        assert step.host_start_s <= step.host_end_s <= step.device_start_s < step.device_end_s
        if before is not None:
            assert step.device_start_s >= before.device_end_s
            assert step.host_start_s >= (before.device_end_s if before.waits else before.host_end_s)
        before = step
    assert 0 <= plan.device_idle_share <= 1


@pytest.mark.parametrize("host_s", [-1e-6, float("nan"), float("inf")])
def test_a_host_time_that_is_none_is_refused(host_s: float) -> None:
    with pytest.raises(PredictionError, match="host_s"):
        timeline([TINY], "A100", host_s=host_s)


def test_an_operator_that_is_not_there_cannot_be_waited_for() -> None:
    with pytest.raises(PredictionError, match="wait_after"):
        timeline([TINY], "A100", host_s=1e-6, wait_after=[1])
