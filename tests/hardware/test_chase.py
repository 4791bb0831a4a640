"""The latency probe: one kernel, launched through the driver, on a GPU or on the emulated one; its times are modelled
there and measured here."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from teachkit import cli
from teachkit.emulator.kernel import load_ptx
from teachkit.errors import PredictionError, ProbeError
from teachkit.hardware.probes import chase, cuda, session
from teachkit.hardware.spec import gpu
from teachkit.model.pointer_chase import chase_latency_s, emulated_chase_s, emulated_probe


@given(st.integers(1, 500), st.sampled_from([8, 32, 64, 128]), st.integers(0, 3))
def test_the_ring_visits_every_place_once_and_returns(n_places: int, step_bytes: int, seed: int) -> None:
    base = 1 << 40
    words = chase.ring(base, n_places * step_bytes, step_bytes, seed)
    at, seen = 0, set()
    for _ in range(n_places):
        seen.add(at)
        at = int(words[at // 8]) - base
    assert at == 0
    assert seen == {place * step_bytes for place in range(n_places)}


@pytest.mark.parametrize(("n_bytes", "step"), [(63, 64), (64, 12), (64, 0), (0, 64)])
def test_a_ring_without_places_is_refused(n_bytes: int, step: int) -> None:
    with pytest.raises(ProbeError, match="one step or more and steps of a multiple of 8"):
        chase.ring(0, n_bytes, step)


def test_the_kernel_ends_where_following_the_pointers_by_hand_ends() -> None:
    words, out = np.empty(4096 // 8, dtype=np.uint64), np.zeros(1, dtype=np.uint64)
    words[:] = chase.ring(words.ctypes.data, 4096)
    load_ptx(chase.ptx())[chase.KERNEL][1, 1](words, out, 40)
    at = words.ctypes.data
    for _ in range(40):
        at = int(words[(at - words.ctypes.data) // 8])
    assert int(out[0]) == at


@pytest.mark.parametrize("name", ["V100", "A100", "H100-PCIe", "L40"])
@pytest.mark.parametrize("kib", [16, 1024])
def test_the_emulated_probe_agrees_with_the_model_of_a_chase(name: str, kib: int) -> None:
    spec = gpu(name)
    assert emulated_chase_s(spec, kib << 10) == pytest.approx(chase_latency_s(spec, kib << 10), rel=0.01)


def test_the_emulated_probe_is_the_data_sheets_latencies_and_says_that_it_is_modelled() -> None:
    found, spec = emulated_probe("V100"), gpu("V100")
    assert spec.l1_latency_cycles is not None
    assert spec.l2_latency_cycles is not None
    assert found["gpu_l1_latency_s"] == pytest.approx(spec.l1_latency_cycles / spec.clock_hz, rel=0.01)
    assert found["gpu_l2_latency_s"] == pytest.approx(spec.l2_latency_cycles / spec.clock_hz, rel=0.01)
    assert found["gpu_dram_latency_s"] == pytest.approx(spec.dram_latency_s, rel=0.01)
    assert found.provenance == "modelled"
    assert "All modelled on V100-SXM2-16GB" in repr(found)
    assert "easured" not in repr(found)
    done = CliRunner().invoke(cli.app, ["probe", "--gpu", "V100", "--json"])
    assert json.loads(done.stdout)["provenance"] == "modelled"


def test_a_gpu_without_latencies_or_without_a_sheet() -> None:
    with pytest.raises(PredictionError, match="latencies of L1 and L2, got T4"):
        emulated_probe("T4")
    done = CliRunner().invoke(cli.app, ["probe", "--gpu", "Voodoo"])
    assert done.exit_code != 0


def test_buffers_lie_in_the_level_that_they_measure() -> None:
    for name in ("P100", "V100", "T4", "A100", "H100", "B200", "RTX-4090"):
        spec = gpu(name)
        assert cuda.chase_bytes("l1", spec.l2_bytes) < 24 << 10
        assert spec.l1_bytes_per_sm < cuda.chase_bytes("l2", spec.l2_bytes) <= spec.l2_bytes / 2
        assert cuda.chase_bytes("dram", spec.l2_bytes) >= 2 * spec.l2_bytes
    assert chase.n_loads_for(64 * 13, at_least=1) == 16


# In a process of its own, since a driver stays in a process. Events of the emulated driver are priced, not timed.
TWIN = """
import warnings
from teachkit.frontends.cuda_driver import install
install()
from teachkit.emulator import observe
from teachkit.errors import ModelledTimeWarning
from teachkit.hardware.probes import chase
warnings.simplefilter("ignore", ModelledTimeWarning)
seen = []
with observe(seen.append):
    reading = chase.measure(4096, n_loads=64, n_repeats=2)
from cuda.bindings import driver
assert int(driver.cuCtxGetCurrent()[1]) == 0, "no context is left behind that may be gone"
print([launch.name for launch in seen], [launch.counters.global_load_requests for launch in seen])
print(reading.unit, reading.how)
"""


def test_the_driver_path_runs_on_the_emulated_driver() -> None:
    done = subprocess.run([sys.executable, "-c", TWIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    launches, reading = done.stdout.splitlines()
    assert launches == str(["chase"] * 5) + " " + str([64, 64, 64, 128, 128])
    assert reading == "s pointer chase by one thread over 0.00391 MiB in random order, events"


class _Driver:
    """Just enough of the bindings to refuse: each call returns (status, result)."""

    def __init__(self, fails: str) -> None:
        self._fails = fails

    def __getattr__(self, name: str) -> object:
        status = types.SimpleNamespace(name="CUDA_ERROR_OUT_OF_MEMORY")

        class Status(int):
            name = status.name

        return lambda *_: (Status(2 if name == self._fails else 0), 1)


def test_a_call_that_the_driver_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bindings = types.ModuleType("cuda.bindings")
    bindings.driver = _Driver("cuMemAlloc")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    with pytest.raises(ProbeError, match="cuMemAlloc of the CUDA driver to succeed, got CUDA_ERROR_OUT_OF_MEMORY"):
        chase.measure(4096, n_loads=8)


def test_without_the_bindings_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ProbeError, match=r"Hint: pip install 'teachkit\[cuda\]'"):
        chase.measure(4096)


@pytest.mark.gpu
def test_latencies_of_a_cuda_device_grow_from_level_to_level() -> None:
    readings = {name: take() for name, take in session._gpu_steps() if name.endswith("latency_s")}
    l1, l2, dram = (readings[f"gpu_{level}_latency_s"].value for level in ("l1", "l2", "dram"))
    assert 5e-9 < l1 < l2 < dram < 5e-6
