"""The cases with the emulated driver in the place of NVIDIA's, and CPU tensors that say they are on a GPU.

A process of its own, since a driver stays in a process. Prints a JSON object: each case and what it raised.
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from teachkit.frontends.cuda_driver import install

install()

import pytest  # noqa: E402
import torch  # noqa: E402

from teachkit.emulator import load_ptx  # noqa: E402
from teachkit.frontends.cuda_c import _with_runtime  # noqa: E402
from teachkit.frontends.cuda_driver import code  # noqa: E402
from teachkit.frontends.cuda_driver.memory import memory  # noqa: E402

capability = (8, 0)
loaded: list[str] = []


class OnGpu(torch.Tensor):
    is_cuda = property(lambda self: True)
    device = property(lambda self: torch.device("cuda", 0))


class Event:
    """Two of them are 2 ms apart."""

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None: ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, end: Event) -> float:
        return 2.0


@contextlib.contextmanager
def device(which: Any) -> Iterator[None]:
    yield


def load(text: str) -> Any:
    """As NVIDIA's driver does: what it loads may call for memory and wait for the whole grid."""
    loaded.append(text)
    return load_ptx(_with_runtime(text))


code.load_ptx = load
torch.cuda.device = device
torch.cuda.Event = Event
torch.cuda._sleep = lambda cycles: None
torch.cuda.current_device = lambda: 0
torch.cuda.current_stream = lambda: types.SimpleNamespace(cuda_stream=0)
torch.cuda.get_device_capability = lambda device: capability
_lent = contextlib.ExitStack()


def place(tensor: torch.Tensor) -> torch.Tensor:
    storage = tensor.untyped_storage()
    _lent.callback(lambda: tensor)  # it lives as long as the loan, so that no other gets its place
    _lent.enter_context(memory.lend([(storage.data_ptr(), storage.data_ptr() + storage.nbytes())]))
    return tensor.as_subclass(OnGpu)


def an_older_gpu_gets_code_that_it_can_run(place: Any) -> None:
    global capability
    from tests.frontends import two_device_cases

    kernel = two_device_cases.compiled()["increase"]
    for found, target in (((7, 5), "sm_75"), ((9, 0), "sm_80"), ((8, 0), "sm_80")):
        capability = found
        for launch, name in (
            (lambda x: kernel[1, 64](x, 64), "increase"),
            (two_device_cases.doubled[1, 64], "doubled"),
        ):
            x = place(torch.ones(64))
            launch(x)
            assert x.eq(2).all(), name
            assert any(f".target {target}" in text and name in text for text in loaded)
    assert len([text for text in loaded if ".target sm_75" in text]) == 2, "each was loaded once"


def only_kernels_that_wait_for_all_blocks_need_room_for_all(place: Any) -> None:
    from cuda.bindings import driver

    from tests.frontends import two_device_cases

    calls, launch = [], driver.cuLaunchCooperativeKernel
    driver.cuLaunchCooperativeKernel = lambda *args: calls.append(args[0]) or launch(*args)
    try:
        two_device_cases.launches_are_counted_and_timed(place)
        assert not calls
        two_device_cases.blocks_that_wait_for_each_other(place)
        assert len(calls) == 1
    finally:
        driver.cuLaunchCooperativeKernel = launch


def the_driver_says_no(place: Any) -> None:
    from cuda.bindings import driver

    from teachkit.errors import LaunchError
    from tests.frontends import two_device_cases

    kernel, launch = two_device_cases.compiled()["increase"], driver.cuLaunchKernel
    driver.cuLaunchKernel = lambda *_: (driver.CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,)
    try:
        with pytest.raises(LaunchError, match=r"refused to launch 'increase'.*LAUNCH_OUT_OF_RESOURCES"):
            kernel[1, 64](place(torch.ones(64)), 64)
    finally:
        driver.cuLaunchKernel = launch


ONLY_HERE = [
    an_older_gpu_gets_code_that_it_can_run,
    only_kernels_that_wait_for_all_blocks_need_room_for_all,
    the_driver_says_no,
]


def main() -> None:
    from tests.frontends.two_device_cases import CASES

    outcomes = {}
    for case in [*CASES, *ONLY_HERE]:
        try:
            case(place)
        except BaseException:
            outcomes[case.__name__] = traceback.format_exc()
        else:
            outcomes[case.__name__] = ""
    print(json.dumps(outcomes))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
