"""describe() and device(): true on this machine, and right about what is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
import torch

import teachkit as tk
from teachkit.hardware import describe as module
from teachkit.kernels.vector_add import vector_add


def test_it_names_the_versions_that_are_installed() -> None:
    report = tk.describe()
    # A CUDA build adds its toolkit to the version that the module gives and not to the installed name.
    assert (report.packages["torch"] or "").split("+")[0] == torch.__version__.split("+")[0]
    assert report.python == ".".join(map(str, sys.version_info[:3]))
    assert report.n_cores >= 1
    assert report.memory_bytes > 2**28


def test_it_does_not_import_torch_where_there_is_no_driver() -> None:
    code = (
        "import sys; from teachkit.hardware import describe as d; d.has_cuda_driver = lambda: False\n"
        "print(d.describe().cuda_devices, [m for m in ('torch', 'triton', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "() []"


def test_text_and_html_show_every_row_and_back_end() -> None:
    report = tk.describe()
    text, page = repr(report), report._repr_html_()
    for name, value in report.rows():
        assert name in text
        assert value in text
        assert name in page
    for back_end in report.back_ends:
        assert back_end.detail in text
        assert back_end.name in page


def test_html_is_escaped() -> None:
    back_end = module.BackEnd("x", False, "<b>no</b>")
    report = module.MachineReport("1", "3", "s", "c", 1, 2**30, {}, (), (back_end,))
    assert "<b>no" not in report._repr_html_()


def test_the_compilers_of_the_pinned_set_are_live() -> None:
    live = {b.name: b.live for b in tk.describe().back_ends}
    assert live["Numba-CUDA"]
    assert live["CUDA C++"]


@pytest.mark.parametrize("package", ["triton", "numba-cuda"])
def test_a_missing_package_is_a_reason_with_a_hint(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(module.metadata, "version", version)
    problems = {b.detail: b.hint for b in tk.describe().problems}
    assert "make setup" in (problems[f"{package} is not installed"] or "")


def test_an_unregistered_back_end_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.metadata, "entry_points", lambda **_: ())
    assert "not registered with Triton" in module._triton(()).detail


def test_a_missing_compiler_says_what_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    back_end = module._cxx_compiler()
    assert not back_end.live
    assert "everything else works" in back_end.detail
    assert back_end.hint == "On Debian or Ubuntu, as root: apt-get install g++"


def test_a_cuda_device_is_listed_and_used() -> None:
    gpu = module.CudaDevice("NVIDIA A100-SXM4-40GB", (8, 0), 40 * 2**30)
    report = module.MachineReport("1", "3", "s", "c", 1, 2**30, {}, (gpu,), (module._triton((gpu,)),))
    assert ("CUDA device 0", "NVIDIA A100-SXM4-40GB, sm_80, 40.0 GiB") in report.rows()
    assert "run on the CUDA device" in report.back_ends[0].detail


def test_the_emulator_can_be_asked_for_where_there_is_a_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert tk.device() == torch.device("cuda")
    monkeypatch.setenv("TEACHKIT_EMULATE", "1")
    assert tk.device() == torch.device("cpu")
    gpu = module.CudaDevice("NVIDIA A100-SXM4-40GB", (8, 0), 40 * 2**30)
    assert "on the GPU emulator" in module._triton((gpu,)).detail
    monkeypatch.setenv("TRITON_DEFAULT_BACKEND", "cpu")  # what the switch sets where it is on before Triton is imported
    x = torch.ones(100)
    with tk.profile() as prof:
        vector_add(x, x)
    assert prof.n_launches == 1  # the emulator's, and not once more as if it had run on the device
    assert prof.seconds is None


def test_the_device_is_the_cpu_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert tk.device() == torch.device("cpu")


@pytest.mark.gpu
def test_the_device_is_cuda_with_cuda() -> None:
    assert tk.device().type == "cuda"
    assert tk.describe().cuda_devices
