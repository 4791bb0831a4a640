"""Indigo: small irregular kernels in CUDA C++, right and with planted bugs, that the checks have to tell apart.

The suite is a generator, https://github.com/burtscher/IndigoSuite; set INDIGO_SUITE to a checkout. Every variant for
``int`` is made by its own script, and its file's name says which bugs are in it. A variant passes if each kind of bug
in its name is found, and no other kind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.coverage.frame import Failure

SOURCE = "INDIGO_SUITE"
TITLE = "Indigo: irregular kernels with and without planted races and accesses out of bounds, under check()"
PACKAGES = ("torch", "cuda-bindings")
CHUNK = 100
LIMIT_S = 120

_CONFIGURATION = "**/\nCODE:\n bug: {all}\n pattern: {all}\n option: {all}\n dataType: {int}\nINPUTS:\n"
_KINDS = {"atomicBug": "race", "guardBug": "race", "raceBug": "race", "syncBug": "race", "boundsBug": "memory"}
_N_VERTICES, _HUB, _N_THREADS = 80, 7, 64


def absent() -> str:
    """Why the suite cannot run here; empty where it can."""
    if not os.environ.get(SOURCE):
        return f"{SOURCE} does not name a checkout of IndigoSuite"
    return "" if _generator().exists() else f"{SOURCE} names a folder without Generators/generate_CUDA_codes.py"


def names() -> list[str]:
    """The variants, as their files are called."""
    return sorted(_variants())


def run(name: str) -> str | None:
    """Look for bugs in one variant, on a graph that reaches them all."""
    import torch

    import teachkit as tk

    text = _variants()[name]
    kernel = re.sub(r'#include "indigo_cuda.h"', "", text[: text.index("void serial_code")])
    with tk.emulator.check(raises=False) as report:
        arrays = [torch.tensor(values, dtype=torch.int32) for values in _graph()]
        module = tk.compile_cuda_c(kernel, file_name=f"{name}.cu")
        module["test_kernel"][_N_VERTICES + 1, _N_THREADS](*arrays, _N_VERTICES)
    found = {finding.kind for finding in report.findings}
    planted = {_KINDS[bug] for bug in re.findall(r"_([a-z]+Bug)", name)}
    if missed := planted - found:
        raise Failure(f"missed: {', '.join(sorted(missed))}")
    if false := found - planted:
        raise Failure(f"reported and not there: {', '.join(sorted(false))}")
    return None


def _generator() -> Path:
    return Path(os.environ[SOURCE]) / "Generators" / "generate_CUDA_codes.py"


@cache
def _variants() -> dict[str, str]:
    """Name and text of every variant."""
    sources = sorted((_generator().parent / "CUDA_sources").glob("*.idg"))
    copyright_ = _generator().parent.parent / "copyright.txt"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "configure.txt").write_text(_CONFIGURATION)
        for source in sources:
            command: list[Any] = [sys.executable, "-W", "ignore", _generator(), source, copyright_, folder]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return {path.stem: path.read_text() for path in Path(folder).rglob("*.cu")}


@cache
def _graph() -> tuple[list[int], list[int], list[int], list[int]]:
    """Offsets, neighbours and two arrays of data.

    One vertex has more neighbours than a block has threads. The first and the last vertices have none: only there do
    variants without a test for that leave the list of neighbours. The first array is a forest, each vertex behind its
    parent, since the variants that follow paths need one.
    """
    import numpy as np

    random = np.random.default_rng(3)
    inner = range(2, _N_VERTICES - 5)
    pairs = {(int(a), int(b)) for a, b in random.integers(inner.start, inner.stop, (160, 2)) if a != b}
    pairs |= {(_HUB, vertex) for vertex in inner if vertex != _HUB}
    neighbours = [sorted({b for a, b in pairs | {(b, a) for a, b in pairs} if a == v}) for v in range(_N_VERTICES)]
    offsets = np.cumsum([0, *map(len, neighbours)]).tolist()
    flat = [vertex for each in neighbours for vertex in each]
    size = max(len(flat), _N_VERTICES)
    parents = [0, *(int(random.integers(0, min(v, _N_VERTICES))) for v in range(1, size))]
    return offsets, flat, parents, [0, *random.integers(0, len(flat), size - 1).tolist()]
