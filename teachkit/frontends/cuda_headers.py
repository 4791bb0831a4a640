"""Where the header files of CUDA C++ are, for ``#include``: ``cuda_fp16.h``, ``mma.h``, ``cub/cub.cuh`` and the rest.

They come with NVIDIA's wheels, below the namespace package ``nvidia``; several folders may hold parts of it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

# Which wheel brings a header that a program may name; the first that fits.
_WHEELS = (
    (r"crt/.*|mma\.h", "nvidia-cuda-crt"),
    (r"(cub|thrust|cuda|nv)/.*", "nvidia-cuda-cccl"),
    (r"curand.*", "nvidia-curand"),
    (r"(cuda_|cooperative_groups|vector_|device_|math_|sm_\d+_|texture_|surface_).*", "nvidia-cuda-runtime"),
)
_HOSTED = re.compile(
    r"(iostream|cstdio|stdio\.h|stdlib\.h|vector|string|algorithm|cmath|math\.h|cstdlib|memory|chrono)"
)
_MISSING = re.compile(r'cannot open source file "([^"]+)"')


@functools.cache
def include_folders() -> tuple[str, ...]:
    """Folders to search, best first: those of the wheels, then of a CUDA toolkit named by ``CUDA_HOME``."""
    found: list[Path] = []
    for root in _roots():
        found += [root, *(root / part for part in ("cccl",) if (root / part).is_dir())]
    return tuple(str(folder) for folder in dict.fromkeys(found))


def _roots() -> Iterator[Path]:
    spec = importlib.util.find_spec("nvidia")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        # Wheels of toolkit 13 share one folder, those of toolkit 12 have one each.
        yield from sorted(path for path in Path(place).glob("*/include") if _is_cuda(path))
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield from (path for path in [Path(os.environ[variable]) / "include"] if _is_cuda(path))


def _is_cuda(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("cuda_fp16.h", "crt", "cub", "cccl", "curand_kernel.h"))


def missing_header_hint(messages: str) -> str:
    """What to do about a header that a compiler's messages say it cannot open; empty where none is missing."""
    missing = _MISSING.search(messages)
    if missing is None:
        return ""
    name = missing[1]
    if _HOSTED.fullmatch(name):
        return (
            f"device code has no <{name}>: leave it out (printf, math functions and fixed-width integers need no "
            "header), or take libcu++'s <cuda/std/...>."
        )
    for pattern, wheel in _WHEELS:
        if re.fullmatch(pattern, name):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                version = importlib.metadata.version(wheel)
                return (
                    f"the wheel {wheel} {version}, which is installed, has no <{name}>: "
                    "check how it is spelt, or whether a later version has it."
                )
            return f"<{name}> comes with the wheel {wheel}, of the same CUDA version as NVRTC: pip install {wheel}."
    return f'put the folder of "{name}" on the search path: options=["-I/path/to/it"].'
