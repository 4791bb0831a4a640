"""The one device: what it is called and what it can do, by the data sheet of the modelled GPU.

Modelled: the attributes that programs ask for. Source of their numbers: ``CUdevice_attribute`` of the CUDA Driver API.
Not modelled: attributes that are not listed; they answer 0, which means "none" or "cannot" for nearly all of them.
"""

from __future__ import annotations

import os
from typing import Any

from teachkit.frontends.cuda_driver.entry import Refused, Status, entry, put, put_text

VERSION = 13000  # of the interface that is answered to, 1000 * major + 10 * minor
UUID = b"teachkit\0\0\0\0\0\0\0\1"

_pid: int | None = None


def spec() -> Any:
    """Data sheet of the modelled GPU: that of the settings, else of the architecture compiled for."""
    from teachkit.emulator.kernel import settings
    from teachkit.frontends.target import modelled_gpu
    from teachkit.hardware.spec import gpu

    return gpu(settings.gpu) if settings.gpu else modelled_gpu()


def require_initialized() -> None:
    """Refuse a process that has not called ``cuInit``, which a forked child has not."""
    if _pid != os.getpid():
        raise Refused(Status.NOT_INITIALIZED)


def check_device(device: int) -> None:
    """Refuse all devices but the one."""
    require_initialized()
    if device != 0:
        raise Refused(Status.INVALID_DEVICE)


def attributes() -> dict[int, int]:
    """Attributes by their number."""
    gpu = spec()
    major, minor = gpu.compute_capability
    threads_per_sm = 32 * gpu.max_warps_per_sm
    has = 1
    rates = gpu.fp32_flop_per_s, gpu.fp64_flop_per_s
    return {
        1: 1024,  # threads per block
        2: 1024,
        3: 1024,
        4: 64,  # block dimensions
        5: 2**31 - 1,
        6: 65535,
        7: 65535,  # grid dimensions
        8: 49152,  # shared memory per block without opting in
        9: 65536,  # constant memory
        10: 32,  # warp
        11: 2**31 - 1,  # pitch
        12: gpu.registers_per_sm,  # registers per block
        13: round(gpu.clock_hz / 1e3),  # clock in kHz
        14: 512,  # texture alignment
        15: has,  # copies overlap kernels
        16: gpu.n_sms,
        19: has,  # maps host memory
        22: 16384,  # width of a 1D texture
        31: has,  # concurrent kernels
        38: gpu.l2_bytes,
        39: threads_per_sm,
        40: 1,  # copy engines
        41: has,  # unified addressing
        75: major,
        76: minor,
        78: has,  # stream priorities
        79: has,  # global memory cached in L1
        80: has,  # local memory too
        81: gpu.shared_bytes_per_sm,
        82: gpu.registers_per_sm,
        83: has,  # managed memory
        87: round(rates[0] / rates[1]) if all(rates) else 0,  # single against double precision
        89: has,  # managed memory while kernels run
        91: has,  # registered host memory has one address
        95: has,  # cooperative launch
        97: gpu.shared_bytes_per_block_max,
        99: has,  # host registration
        106: gpu.max_blocks_per_sm,
        111: gpu.shared_bytes_reserved_per_block,
        115: has,  # memory pools
        120: int(major >= 9),  # launches with clusters
        127: int(major >= 9),  # tensor maps
    }


@entry("cuInit", "I")
def init(flags: int) -> None:
    global _pid
    if flags:
        raise Refused(Status.INVALID_VALUE)
    if _pid is not None and _pid != os.getpid():
        raise Refused(Status.NOT_INITIALIZED)
    _pid = os.getpid()


@entry("cuDriverGetVersion", "p")
def driver_version(version: int) -> None:
    put("i", version, VERSION)


@entry("cuDeviceGetCount", "p")
def count(number: int) -> None:
    require_initialized()
    put("i", number, 1)


@entry("cuDeviceGet", "pi")
def get_device(device: int, ordinal: int) -> None:
    check_device(ordinal)
    put("i", device, ordinal)


@entry("cuDeviceGetName", "pii")
def name(text: int, n_bytes: int, device: int) -> None:
    check_device(device)
    put_text(f"teachkit emulator of {spec().name}", text, n_bytes)


@entry("cuDeviceGetUuid", "pi")
def uuid(where: int, device: int) -> None:
    check_device(device)
    put("B", where, *UUID)


@entry("cuDeviceGetAttribute", "pii")
def attribute(value: int, number: int, device: int) -> None:
    check_device(device)
    put("i", value, attributes().get(number, 0))


@entry("cuDeviceTotalMem", "pi")
def total_memory(n_bytes: int, device: int) -> None:
    check_device(device)
    put("Q", n_bytes, spec().dram_bytes)


@entry("cuDeviceGetPCIBusId", "pii")
def bus(text: int, n_bytes: int, device: int) -> None:
    check_device(device)
    put_text("0000:00:00.0", text, n_bytes)


@entry("cuDeviceCanAccessPeer", "pii")
def can_access_peer(answer: int, device: int, peer: int) -> None:
    check_device(device)
    check_device(peer)
    put("i", answer, 0)


@entry("cuDeviceComputeCapability", "ppi")
def capability(major: int, minor: int, device: int) -> None:
    check_device(device)
    put("i", major, spec().compute_capability[0])
    put("i", minor, spec().compute_capability[1])
