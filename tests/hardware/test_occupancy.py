"""The occupancy rules against known rows and against NVIDIA's own header, which ships with Triton."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import OccupancyError
from teachkit.hardware.occupancy import occupancy
from teachkit.hardware.sm_limits import compute_capabilities, sm_limits
from teachkit.hardware.spec import gpu, gpu_names

HEADER_PROGRAM = r"""
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "cuda_occupancy.h"
int main(void) {
    int major, minor, warps, optin, per_sm, reserved, threads, registers, shared;
    while (scanf("%d %d %d %d %d %d %d %d %d", &major, &minor, &warps, &optin, &per_sm, &reserved, &threads,
                 &registers, &shared) == 9) {
        struct cudaOccDeviceProp device;
        struct cudaOccFuncAttributes kernel;
        struct cudaOccDeviceState state;
        struct cudaOccResult result;
        memset(&device, 0, sizeof device);
        memset(&kernel, 0, sizeof kernel);
        memset(&state, 0, sizeof state);
        device.computeMajor = major;
        device.computeMinor = minor;
        device.maxThreadsPerBlock = 1024;
        device.maxThreadsPerMultiprocessor = warps * 32;
        device.regsPerBlock = 65536;
        device.regsPerMultiprocessor = 65536;
        device.warpSize = 32;
        device.sharedMemPerBlock = 49152;
        device.sharedMemPerMultiprocessor = per_sm;
        device.numSms = 1;
        device.sharedMemPerBlockOptin = optin;
        device.reservedSharedMemPerBlock = reserved;
        kernel.maxThreadsPerBlock = INT_MAX;
        kernel.numRegs = registers;
        kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
        kernel.maxDynamicSharedSizeBytes = shared;
        kernel.numBlockBarriers = 1;
        state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
        int status = cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, shared);
        printf("%d\n", status ? -status : result.activeBlocksPerMultiprocessor);
    }
    return 0;
}
"""

# Worked by hand from the rules. 32 registers x 32 lanes = 1,024 a warp; 65,536 / 1,024 = 64 warps; and so on.
KNOWN = [
    ("A100", 256, 32, 0, 8, 1.0, "warps"),
    ("A100", 256, 33, 0, 6, 0.75, "registers"),  # 33 x 32 rounds up to 1,280: 12 warps a quarter, 48 in all
    ("A100", 128, 255, 0, 2, 0.125, "registers"),
    ("A100", 32, 16, 0, 32, 0.5, "blocks"),
    ("A100", 128, 32, 81 * 1024, 2, 0.125, "shared"),  # 82 KiB with the reserved one, of 164
    ("A100", 128, 32, 82 * 1024, 1, 0.0625, "shared"),
    ("V100", 1024, 32, 49152, 2, 1.0, "warps"),  # no reserved KiB before compute capability 8.0
    ("T4", 1024, 64, 0, 1, 1.0, "warps"),
    ("RTX-4090", 512, 40, 0, 3, 1.0, "warps"),
    ("H100", 384, 168, 200 * 1024, 1, 12 / 64, "registers"),
    ("P100", 1024, 32, 0, 2, 1.0, "warps"),
]


@pytest.mark.parametrize(("name", "threads", "registers", "shared", "n_blocks", "fraction", "limiter"), KNOWN)
def test_known_rows(
    name: str, threads: int, registers: int, shared: int, n_blocks: int, fraction: float, limiter: str
) -> None:
    found = occupancy(gpu(name), threads, registers, shared)
    assert (found.n_blocks_per_sm, found.fraction, found.limiter) == (n_blocks, fraction, limiter)


def test_equals_nvidias_header(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    triton = find_spec("triton")
    if compiler is None or triton is None or triton.origin is None:
        pytest.skip("needs a C compiler (apt-get install gcc) and triton")
    include = Path(triton.origin).parent / "backends" / "nvidia" / "include"
    (tmp_path / "rows.c").write_text(HEADER_PROGRAM)
    subprocess.run([compiler, "-I", str(include), "-o", "rows", "rows.c"], cwd=tmp_path, check=True)
    threads = [1, 31, 32, 64, 96, 100, 128, 160, 192, 224, 256, 320, 384, 512, 640, 768, 896, 1000, 1024]
    registers = [8, 16, 24, 31, 32, 33, 40, 48, 56, 63, 64, 65, 72, 80, 96, 104, 128, 160, 168, 200, 254, 255]
    shared = [0, 1, 100, 1000, 1024, 4096, 8192, 12345, 16384, 24576, 32768, 49151, 49152, 65536, 99 * 1024, 163 * 1024]
    rows = []
    for name, n, r, s in itertools.product(compute_capabilities(), threads, registers, shared):
        if s <= sm_limits(name).shared_bytes_per_block_max:
            rows.append((name, n, r, s))
    # And what nobody thought of: 2,000 kernels at random for every compute capability.
    random = np.random.default_rng(0)
    for name in compute_capabilities():
        most = sm_limits(name).shared_bytes_per_block_max
        for _ in range(2000):
            n, r = int(random.integers(1, 1025)), int(random.integers(1, 256))
            rows.append((name, n, r, int(most * random.random() ** 3)))
    lines = []
    for name, n, r, s in rows:
        spec = sm_limits(name)
        major, minor = spec.compute_capability
        device = (
            major,
            minor,
            spec.max_warps_per_sm,
            spec.shared_bytes_per_block_max,
            spec.shared_bytes_per_sm,
            spec.shared_bytes_reserved_per_block,
        )
        lines.append(" ".join(map(str, (*device, n, r, s))))
    done = subprocess.run(["./rows"], cwd=tmp_path, input="\n".join(lines), text=True, capture_output=True, check=True)
    theirs = [int(line) for line in done.stdout.split()]
    assert len(theirs) == len(rows) > 60_000
    wrong = []
    for (name, n, r, s), expected in zip(rows, theirs, strict=True):
        try:
            got = occupancy(sm_limits(name), n, r, s).n_blocks_per_sm
        except OccupancyError:
            got = 0
        if got != expected:
            wrong.append((name, n, r, s, expected, got))
    assert wrong == []


@pytest.mark.parametrize("name", gpu_names())
def test_every_sheet_has_the_limits_of_its_compute_capability(name: str) -> None:
    spec, limits = gpu(name), sm_limits(gpu(name).compute_capability)
    for field in dataclasses.fields(limits):
        if field.name != "name":
            assert getattr(spec, field.name) == getattr(limits, field.name), field.name


def test_limits_as_published() -> None:
    # Threads an SM, from the guide's table: 2,048 but for 7.5 with 1,024 and 8.6, 8.7, 8.9, 12.0 with 1,536.
    threads = {name: 32 * sm_limits(name).max_warps_per_sm for name in compute_capabilities()}
    assert {n for n, t in threads.items() if t == 2048} == {"6.0", "6.1", "7.0", "8.0", "9.0", "10.0"}
    assert {n for n, t in threads.items() if t == 1536} == {"8.6", "8.7", "8.9", "12.0"}
    assert threads["7.5"] == 1024
    with pytest.raises(OccupancyError, match=r"6\.0, 6\.1, .*12\.0, got '5\.2'"):
        sm_limits((5, 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0,), "1 to 1024 threads"), ((1025,), "1 to 1024"), ((32, 256), "registers"), ((32, 32, 10**6), "shared")],
)
def test_impossible_blocks_are_refused(arguments: tuple[int, ...], words: str) -> None:
    with pytest.raises(OccupancyError, match=words):
        occupancy(gpu("A100"), *arguments)


@given(st.sampled_from(gpu_names()), st.integers(1, 1024), st.integers(0, 64), st.integers(0, 48 * 1024))
def test_more_of_anything_never_fits_more_blocks(name: str, threads: int, registers: int, shared: int) -> None:
    spec = gpu(name)
    here = occupancy(spec, threads, registers, shared)
    assert 0 < here.fraction <= 1
    assert here.n_warps_per_sm <= spec.max_warps_per_sm
    if registers:
        assert occupancy(spec, threads, registers - 1, shared).n_blocks_per_sm >= here.n_blocks_per_sm
    if shared:
        assert occupancy(spec, threads, registers, shared - 1).n_blocks_per_sm >= here.n_blocks_per_sm
