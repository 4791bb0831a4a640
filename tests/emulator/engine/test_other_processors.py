"""The same results and counts where LLVM may use AVX2 or only SSE2: half precision, gathers, masks."""

import os
import pathlib
import pickle
import subprocess
import sys

import llvmlite.binding as llvm
import pytest

_HERE = pathlib.Path(__file__).parent
_FEATURES = llvm.get_host_cpu_features()
# Names of LLVM, poorest first, as far as this processor can run them.
CPUS = ["x86-64", *(["x86-64-v3"] if _FEATURES.get("avx2") else [])] if _FEATURES.get("sse2") else ["generic"]

CHILD = """
import importlib.util, pickle, sys
spec = importlib.util.spec_from_file_location("both", sys.argv[1])
both = importlib.util.module_from_spec(spec)
spec.loader.exec_module(both)
from teachkit.emulator.engine.processor import converts_half
found = []
for text, kernel, grid, block, arguments, shared_bytes in pickle.load(sys.stdin.buffer):
    arguments = [both.placed(argument) for argument in arguments]
    launch, memory = both.observed(text, kernel, grid, block, arguments, shared_bytes)
    found.append((launch.counters, launch.by_line, memory))
pickle.dump((converts_half(), found), sys.stdout.buffer)
"""


def kernels(samples, both):
    """Launches of kernels that differ most between instruction sets."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("teachkit_test_triton_kernels", _HERE / "test_triton_kernels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wanted = [
        *(("vector_add", kind) for kind in ("fp16", "bf16", "i8")),
        *(
            ("softmax", "fp16"),
            ("transpose", "fp32"),
            ("dropout", "fp32"),
            ("convert", "fp8e5"),
            ("strided_copy", "fp32"),
        ),
    ]
    for kernel, kind in wanted:
        sample = next(s for s in samples.TRITON if s.kernel == kernel and s.types.startswith(f"*{kind} "))
        *launch, arguments, shared_bytes = module.prepared(sample, samples)
        octets = [argument if (view := both.octets(argument)) is None else view for argument in arguments]
        yield *launch, octets, shared_bytes
    cuda = samples.cuda_ptx("divergence")
    x, out = both.array(200, "i4"), both.array(200, "i4")
    x[:] = range(-3, 197)
    yield cuda, "loops", 2, 100, [x, out], 0
    yield cuda, "nested", 2, 100, [x, out], 0


@pytest.fixture(scope="module")
def here(samples, both):
    """The launches, and what this processor makes of them."""
    launches, results = list(kernels(samples, both)), []
    for text, kernel, grid, block, arguments, shared_bytes in launches:
        arguments = [both.placed(argument) for argument in arguments]
        results.append(both.observed(text, kernel, grid, block, arguments, shared_bytes))
    return launches, results


@pytest.mark.parametrize("cpu", CPUS)
def test_same_results_and_counts(cpu, here, both, tmp_path):
    launches, expected = here
    environment = os.environ | {"TEACHKIT_CPU": cpu, "TEACHKIT_CACHE_DIR": str(tmp_path)}
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(_HERE / "both.py")],
        input=pickle.dumps(launches),
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    converts_half, found = pickle.loads(child.stdout)
    assert converts_half == (cpu != "x86-64")
    for (counters, by_line, memory), (launch, same_memory) in zip(found, expected, strict=True):
        both.check(counters, launch.counters)
        assert by_line.keys() == launch.by_line.keys()
        for line in by_line:
            both.check(by_line[line], launch.by_line[line], f"{line}: ")
        assert all((mine == theirs).all() for mine, theirs in zip(memory, same_memory, strict=True))
