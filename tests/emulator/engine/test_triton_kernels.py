"""Kernels that Triton compiles, on the engine and on the oracle: the same memory and the same counts.

Memory is compared bit by bit, except where a kernel uses ``.approx`` maths, which PTX lets each implementation
round in its own way; the bound then stands in ``ULPS``.
"""

import numpy as np
import pytest
import torch

from teachkit.emulator import configure
from teachkit.emulator.engine import launching
from teachkit.emulator.ptx import parse

DTYPES = {"fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
DTYPES |= {"fp8e5": torch.float8_e5m2, "u8": torch.uint8}
DTYPES |= {f"i{bits}": getattr(torch, f"int{bits}") for bits in (8, 16, 32, 64)}


def data(kind, *shape, seed=0):
    """Values that fill a good part of the type's range."""
    dtype = DTYPES[kind]
    generator = torch.Generator().manual_seed(seed)
    if not dtype.is_floating_point:
        low = 0 if kind == "u8" else -120
        return torch.randint(low, 120, shape, generator=generator).to(dtype)
    values = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return (values * (30 if kind == "fp8e5" else 2)).to(dtype)


def pointers(types):
    return [kind.strip("*") for kind in types.split() if kind[0] == "*"]


def vector_add(types, constants):
    n = 1056 if "/16" in types else 1033
    return 2, [*(data(kind, n, seed=i) for i, kind in enumerate(pointers(types))), n]


def strided_copy(types, constants):
    return 2, [data("fp32", 3 * 1033), data("fp32", 1033), 1033, 3]


def transpose(types, constants):
    kind, _ = pointers(types)
    return (2, 2), [data(kind, 45, 37), data(kind, 37, 45), 45, 37]


def elementwise(types, constants):
    source, target = pointers(types)
    n = constants["BLOCK"] + 77
    return 2, [data(source, n), data(target, n, seed=1), n]


def unary_maths(types, constants):
    # All lanes on: what a masked lane computes from no input may be NaN, whose sign is not the same everywhere.
    kind, _ = pointers(types)
    n = 2 * constants["BLOCK"]
    return 2, [data(kind, n).abs() + 0.01, data(kind, n, seed=1), n]


def softmax(types, constants):
    kind, _ = pointers(types)
    n = 112 if "/16" in types else 101
    return 3, [data(kind, 3, n), data(kind, 3, n, seed=1), n, n]


def layer_norm(types, constants):
    kind, n = pointers(types)[0], 1500
    tensors = [data(kind, 2, n), data(kind, 2, n), data(kind, n, seed=1), data(kind, n, seed=2)]
    return 2, [*tensors, data("fp32", 2), data("fp32", 2), n, n, 1e-5]


def dropout(types, constants):
    kind, _ = pointers(types)
    return 2, [data(kind, 1033), data(kind, 1033, seed=1), 1033, 0.25, 1234]


def matmul(types, constants):
    a, b, c = pointers(types)
    return (2, 2), [data(a, 40, 21), data(b, 21, 35, seed=1), data(c, 40, 35, seed=2), 40, 35, 21]


def one_block(types, constants):
    kinds, block = pointers(types), constants["BLOCK"]
    return 1, [data(kinds[0], block), data(kinds[1], block, seed=1), block if block < 300 else block - 33]


def argmax(types, constants):
    return 3, [data("fp32", 3, 451), data("i32", 3), 451]


def integers(types, constants):
    x, y, out = pointers(types)
    return 1, [data(x, 251), data(y, 251, seed=1).abs() + 1, data(out, 251, seed=2), 251]


def atomics(types, constants):
    x, out = pointers(types)
    return 2, [data(x, 401).abs(), data(out, 512, seed=1), 401]


def locked_sum(types, constants):
    return 3, [data("fp32", 701), torch.zeros(1), torch.zeros(1, dtype=torch.int32), 701]


def histogram(types, constants):
    return 2, [data("i32", 900).abs() % 64, torch.zeros(64, dtype=torch.int32), 900]


def attention(types, constants):
    return 1, [*(data("fp16", 60, 64, seed=i) for i in range(3)), data("fp32", 60, 64), 60, 0.18]


def printing(types, constants):
    return 1, [data("i32", 100), 100]


ARGUMENTS = {"scan": one_block, "sort": one_block}
ARGUMENTS |= dict.fromkeys(("gelu_tanh", "convert", "inline_assembly"), elementwise)
ARGUMENTS |= {
    f.__name__: f
    for f in (
        *(vector_add, strided_copy, transpose, unary_maths, softmax, layer_norm, dropout, matmul, argmax, integers),
        *(atomics, locked_sum, histogram, attention, printing),
    )
}

# Units in the last place of float32 between two ways to round .approx maths; where the kernel cancels, more.
ULPS = {"gelu_tanh": 8, "exp": 2, "rsqrt": 1, "pow": 2, "sigmoid": 4, "softmax": 4}
# By kernel and type of the result, absolute: PTX leaves open in which order an mma sums, and the sums here are of 21
# products below 84. attention rounds to float16 in between. The float64 softmax computes in float32.
ATOL = {
    ("matmul", "fp32"): 21 * 84 * 2.0**-24,
    ("matmul", "fp64"): 21 * 84 * 2.0**-53,
    ("attention", "fp32"): 2.0**-10,
    ("softmax", "fp64"): 2.0**-22,
}


def prepared(sample, samples):
    """(PTX, kernel, grid, block, arguments, dynamic shared bytes) of a launch."""
    text = samples.triton_ptx(sample)
    (name,) = (f.name for f in parse(text).functions.values() if f.is_entry)
    grid, arguments = ARGUMENTS[sample.kernel](sample.types, sample.constants)
    hidden = [None, None]  # Triton's pointers to scratch memory
    return text, name, grid, 32 * sample.num_warps, [*arguments, *hidden], samples.triton_shared_bytes(sample)


def ulps_apart(mine, theirs):
    """Per element, how many float32 values lie between; NaN and NaN are 0 apart."""
    both_nan = np.isnan(mine.view(np.float32)) & np.isnan(theirs.view(np.float32))
    a, b = (values.view(np.int32).astype(np.int64) for values in (mine, theirs))
    a, b = (np.where(bits < 0, -(bits & 0x7FFFFFFF), bits) for bits in (a, b))
    return np.where(both_nan, 0, np.abs(a - b))


def test_triton_kernel(triton_sample, samples, both):
    text, name, grid, block, arguments, shared_bytes = prepared(triton_sample, samples)
    found = both.run_both(text, name, grid, block, arguments, shared_bytes)
    found.check_counters()
    kind, label = pointers(triton_sample.types)[-1], triton_sample.constants.get("WHICH", triton_sample.kernel)
    if kind == "fp32" and label in ULPS:
        assert max(ulps_apart(*pair).max() for pair in found.memory) <= ULPS[label]
    elif (label, kind) in ATOL:
        mine, theirs = (octets.view({"fp32": "f4", "fp64": "f8"}[kind]) for octets in found.memory[-1])
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=ATOL[label, kind])
    else:
        found.check_memory()


# Enough work for several threads: (grid, arguments) of the first sample of each kernel.
LARGE = {
    "vector_add": lambda: (200, [data("fp32", 204000), data("fp32", 204000, seed=1), data("fp32", 204000), 204000]),
    "transpose": lambda: ((13, 11), [data("fp32", 401, 333), data("fp32", 333, 401), 401, 333]),
    "softmax": lambda: (300, [data("fp32", 300, 1001), data("fp32", 300, 1001, seed=1), 1001, 1001]),
    "dropout": lambda: (100, [data("fp32", 102000), data("fp32", 102000, seed=1), 102000, 0.25, 7]),
}


@pytest.mark.parametrize("kernel", LARGE)
def test_counts_and_memory_do_not_depend_on_the_number_of_threads(kernel, samples, both, monkeypatch):
    sample = next(s for s in samples.TRITON if s.kernel == kernel)
    text, name, _, block, _, shared_bytes = prepared(sample, samples)
    grid, arguments = LARGE[kernel]()
    arguments = [*arguments, None, None]
    helpers = []
    together = launching.Launching._together

    def spy(self, first, n_helpers, end, deadline):
        helpers.append(n_helpers)
        together(self, first, n_helpers, end, deadline)

    monkeypatch.setattr(launching.Launching, "_together", spy)
    monkeypatch.setattr(launching, "ALONE_S", 0.0)
    runs = {}
    for n_threads in (1, 2, 3):
        old = configure(n_threads=n_threads)
        try:
            runs[n_threads] = both.observed(text, name, grid, block, arguments, shared_bytes)
        finally:
            configure(n_threads=old.n_threads)
    assert [n for n in helpers if n] == [1, 2]
    alone, memory = runs[1]
    for n_threads in (2, 3):
        launch, same_memory = runs[n_threads]
        assert launch.counters == alone.counters  # the modelled fields too
        assert launch.by_line == alone.by_line
        assert all((mine == theirs).all() for mine, theirs in zip(same_memory, memory, strict=True))
