"""What this machine is, and which of the course's back ends are live on it.

A back end is called live when its libraries load and its registration is found; `teachkit doctor` goes further and
runs a kernel on each.
Not modelled: anything; every line is read from this machine.
"""

from __future__ import annotations

import dataclasses
import html
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.hardware.allowance import usable_cores, usable_memory_bytes
from teachkit.hardware.device import SWITCH, has_cuda_driver

if TYPE_CHECKING:
    from teachkit.hardware.probes.record import MachineProbe

PACKAGES = ("torch", "triton", "llvmlite", "numba", "numba-cuda", "numpy", "jupyterlab")


@dataclasses.dataclass(frozen=True)
class BackEnd:
    """One way to compile or run a kernel, whether it works here, and how or why not."""

    name: str
    live: bool
    detail: str
    hint: str | None = None


@dataclasses.dataclass(frozen=True)
class CudaDevice:
    """One CUDA device that PyTorch can use; memory in bytes."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class MachineReport:
    """What ``describe()`` found; prints as text, shows as a table in a notebook."""

    teachkit: str
    python: str
    system: str
    cpu: str
    n_cores: int
    memory_bytes: int
    packages: dict[str, str | None]
    cuda_devices: tuple[CudaDevice, ...]
    back_ends: tuple[BackEnd, ...]
    probe: MachineProbe | None = None

    @property
    def problems(self) -> tuple[BackEnd, ...]:
        """The back ends that are not live and could be made so."""
        return tuple(b for b in self.back_ends if not b.live and b.hint)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "probe"}
        plain = {name: _plain(value) for name, value in fields.items()}
        return plain | {"probe": self.probe.to_dict() if self.probe is not None else None}

    def rows(self) -> list[tuple[str, str]]:
        """Return ``(what, value)`` for each line of the report."""
        gib = 2**30
        rows = [
            ("teachkit", self.teachkit),
            ("Python", self.python),
            ("System", self.system),
            ("CPU", f"{self.cpu}, {self.n_cores} core{'' if self.n_cores == 1 else 's'} usable"),
            ("Memory", f"{self.memory_bytes / gib:.1f} GiB"),
        ]
        rows += [(name, version or "not installed") for name, version in self.packages.items()]
        rows += [
            (f"CUDA device {i}", f"{d.name}, sm_{d.capability[0]}{d.capability[1]}, {d.memory_bytes / gib:.1f} GiB")
            for i, d in enumerate(self.cuda_devices)
        ]
        return rows if self.cuda_devices else [*rows, ("CUDA device", "none: kernels run on the GPU emulator")]

    def __repr__(self) -> str:
        width = max(len(name) for name, _ in [*self.rows(), *((b.name, "") for b in self.back_ends)])
        lines = [f"{name:<{width}}  {value}" for name, value in self.rows()]
        for back_end in self.back_ends:
            lines.append(f"{back_end.name:<{width}}  {'live' if back_end.live else 'not live'}: {back_end.detail}")
        return "\n".join([*lines, "", repr(self.probe)] if self.probe is not None else lines)

    def _repr_html_(self) -> str:
        cells = [(name, value) for name, value in self.rows()]
        cells += [(b.name, f"{'live' if b.live else 'not live'}: {b.detail}") for b in self.back_ends]
        body = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in cells
        )
        readings = self.probe._repr_html_() if self.probe is not None else ""
        return f"<table><caption>This machine</caption><tbody>{body}</tbody></table>{readings}"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def describe(probe: bool = False) -> MachineReport:
    """Describe this machine and say which back ends are live.

    PyTorch is imported only where NVIDIA's driver is installed, to ask it for the devices, and for a probe.

    Parameters
    ----------
    probe
        Also measure it (:func:`teachkit.hardware.probes.probe`): caches, memory, arithmetic, dispatch. That takes some
        seconds the first time; later the recorded readings are shown with their date.

    Returns
    -------
    MachineReport
        Printable; its ``back_ends`` carry a reason each.
    """
    devices = _cuda_devices()
    readings: MachineProbe | None = None
    if probe:
        from teachkit.hardware.probes.session import probe as take

        readings = take()
    return MachineReport(
        teachkit=installed_version("teachkit") or "imported from a folder, not installed",
        python=platform.python_version(),
        system=_system(),
        cpu=cpu_model(),
        n_cores=usable_cores(),
        memory_bytes=usable_memory_bytes(),
        packages={name: installed_version(name) for name in PACKAGES},
        cuda_devices=devices,
        back_ends=(_triton(devices), _numba_cuda(), _nvrtc(), _cxx_compiler()),
        probe=readings,
    )


def installed_version(package: str) -> str | None:
    """Return the installed version of a distribution without importing it, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return f"{name or platform.system()} ({platform.machine()})"


def cpu_model() -> str:
    """Name of the processor, as the operating system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return model or platform.processor() or platform.machine()


def _cuda_devices() -> tuple[CudaDevice, ...]:
    if not has_cuda_driver():
        return ()
    import torch

    if not torch.cuda.is_available():
        return ()
    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return tuple(CudaDevice(p.name, (p.major, p.minor), p.total_memory) for p in found)


def _triton(devices: tuple[CudaDevice, ...]) -> BackEnd:
    name = "Triton"
    if installed_version("triton") is None:
        return BackEnd(name, False, "triton is not installed", "Run `make setup` on Linux (x86-64 or aarch64).")
    registered = metadata.entry_points(group="triton.backends", name="cpu")
    if not any(entry.value.startswith("teachkit.") for entry in registered):
        return BackEnd(
            name, False, "teachkit is not registered with Triton as a back end", "Install it: `make setup`, not a path."
        )
    if devices and os.environ.get(SWITCH) != "1":
        return BackEnd(name, True, "kernels run on the CUDA device; the emulator counts them")
    return BackEnd(name, True, "kernels run on the GPU emulator, with counters")


def _numba_cuda() -> BackEnd:
    name = "Numba-CUDA"
    version = installed_version("numba-cuda")
    if version is None:
        return BackEnd(name, False, "numba-cuda is not installed", _EXTRA_HINT)
    reason = _library_problem("nvvm")
    return BackEnd(name, not reason, reason or f"numba-cuda {version} compiles to PTX", reason and _EXTRA_HINT)


def _nvrtc() -> BackEnd:
    reason = _library_problem("nvrtc")
    version = installed_version("nvidia-cuda-nvrtc")
    return BackEnd(
        "CUDA C++",
        not reason,
        reason or f"NVRTC {version or '(from the system)'} compiles to PTX",
        reason and _EXTRA_HINT,
    )


_EXTRA_HINT = "Install the compilers: `make setup`, or pip install 'teachkit[cuda]'."


def _library_problem(library: str) -> str | None:
    """Return why one of NVIDIA's compiler libraries does not load, or None when it does."""
    try:
        from cuda import pathfinder
    except ImportError:
        return "NVIDIA's compiler packages are not installed"
    try:
        pathfinder.load_nvidia_dynamic_lib(library)
    except (pathfinder.DynamicLibNotFoundError, OSError, RuntimeError) as error:
        return f"{library} does not load: {str(error).splitlines()[0]}"
    return None


def _cxx_compiler() -> BackEnd:
    name = "torch.compile to C++"
    path = next((p for p in map(shutil.which, (os.environ.get("CXX") or "g++", "clang++")) if p), None)
    if path is None:
        return BackEnd(
            name,
            False,
            "no C++ compiler, so torch.compile cannot build its C++ kernels; everything else works",
            "On Debian or Ubuntu, as root: apt-get install g++",
        )
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return BackEnd(name, done.returncode == 0, (done.stdout or done.stderr or path).strip().splitlines()[0])
