"""``torch.compile`` over PyTorch's own operator samples, its Triton kernels on the emulator, against eager PyTorch.

Listed: every operator of ``torch.testing``'s database that samples CPU tensors of float32, float16 or bfloat16, but
for linear algebra and Fourier transforms, which Inductor always hands to a library and so say nothing about kernels.
One sample an operator and dtype: the one with the most elements among the first twelve, up to 16,384 elements.
Counted against what Inductor itself can do: where the Triton route fails, the same sample goes through Inductor's C++
back end, and a test that fails there too (or that eager PyTorch refuses) is skipped with that reason. Random operators
use PyTorch's own generator on both sides (``fallback_random``), as PyTorch's test of Inductor does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from benchmarks.coverage.frame import Failure, Skip, first_line

TITLE = "Inductor over PyTorch's operator samples"
PACKAGES = ("torch", "triton")
CHUNK = 25
LIMIT_S = 180
ENVIRONMENT = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}

DTYPES = ("float32", "float16", "bfloat16")
LIBRARY_CALLS = ("linalg.", "fft.", "sparse.", "torch.ops.aten._safe_softmax", "svd", "pca_lowrank", "ormqr", "geqrf")
# Their results are not determined by their inputs: uninitialised memory, or a choice of basis.
UNDETERMINED = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted")

# Relative and absolute. float32: other orders of summation, and functions that are right to a few units in the last
# place, over chains of a few operators. Half types: one rounding of the result; what PyTorch rounds in between,
# Inductor keeps in float32, so a mismatch is judged once more against float64.
TOLERANCES = {"float32": (2e-4, 2e-5), "float16": (4e-3, 2e-3), "bfloat16": (3e-2, 1e-2)}


@functools.cache
def operators() -> dict[str, Any]:
    """Return the operators by name, variant included."""
    from torch.testing._internal.common_methods_invocations import op_db

    chosen = [op for op in op_db if not op.name.startswith(LIBRARY_CALLS) and op.name not in UNDETERMINED]
    return {op.name + (f".{op.variant_test_name}" if op.variant_test_name else ""): op for op in chosen}


def names() -> list[str]:
    import torch

    return [
        f"{dtype}/{name}"
        for dtype in DTYPES
        for name, op in operators().items()
        if op.supports_dtype(getattr(torch, dtype), "cpu")
    ]


def setup() -> None:
    import torch
    import torch._inductor.config as config

    torch.set_num_threads(1)
    config.fallback_random = True


def run(name: str) -> str:
    import torch

    dtype_name, _, op_name = name.partition("/")
    op = operators()[op_name]
    sample = chosen_sample(op, getattr(torch, dtype_name))
    try:
        expected = seeded(call_of(op, sample))
    except Exception as error:
        raise Skip(f"eager PyTorch refuses the sample: {first_line(error)}") from error
    try:
        return triton_route(op, sample, expected, dtype_name)
    except Exception as error:
        other = cpp_route(op, sample, expected, dtype_name)
        if other is not None:
            cause = f"Inductor's C++ back end fails too: {other}"
            raise Skip(cause) from error
        raise


def triton_route(op: Any, sample: Any, expected: Any, dtype_name: str) -> str:
    """Compile for the emulator, run, compare; returns a note about what ran."""
    import torch

    from teachkit.emulator import observe
    from teachkit.frontends.inductor_adapter import triton_for_cpu_tensors

    torch._dynamo.reset()
    launches: list[Any] = []
    with triton_for_cpu_tensors(), observe(launches.append):
        got = seeded(torch.compile(call_of(op, sample)))
    compare(got, expected, op, sample, dtype_name)
    return "" if launches else "no kernel of its own: a view, or handed to ATen"


def cpp_route(op: Any, sample: Any, expected: Any, dtype_name: str) -> str | None:
    """Return why the C++ back end fails on the same sample, or ``None``."""
    import torch

    torch._dynamo.reset()
    try:
        compare(seeded(torch.compile(call_of(op, sample))), expected, op, sample, dtype_name)
    except Exception as error:
        return first_line(error, 120)
    return None


def chosen_sample(op: Any, dtype: Any) -> Any:
    """Return the sample with the most elements among the first twelve, up to 16,384 elements."""
    import itertools

    import torch

    torch.manual_seed(0)
    samples = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=False), 12))
    if not samples:
        raise Skip("the database has no sample")
    return max(samples, key=lambda sample: n if (n := n_elements(sample)) <= 1 << 14 else -n)


def n_elements(sample: Any) -> int:
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = tree_leaves((sample.input, sample.args, sample.kwargs))
    return sum(leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor))


def call_of(op: Any, sample: Any) -> Callable[[], Any]:
    """Return a function of no argument that applies the operator to copies of the sample's tensors."""
    import torch
    from torch.utils._pytree import tree_map_only

    values = tree_map_only(torch.Tensor, torch.clone, (sample.input, sample.args, sample.kwargs))

    def call() -> Any:
        value, args, kwargs = values
        return op(value, *args, **kwargs)

    return call


def seeded(call: Callable[[], Any]) -> Any:
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        return call()


def compare(got: Any, expected: Any, op: Any, sample: Any, dtype_name: str) -> None:
    """Compare, and where a half type differs, let float64 decide whose error is larger."""
    import torch

    rtol, atol = TOLERANCES[dtype_name]
    try:
        torch.testing.assert_close(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    except AssertionError as error:
        if closer_to_float64(got, expected, op, sample, rtol, atol):
            return
        raise Failure("wrong result: " + first_line(error).removeprefix("AssertionError: ")) from error


def closer_to_float64(got: Any, expected: Any, op: Any, sample: Any, rtol: float, atol: float) -> bool:
    """Whether a result is no further from the float64 result than twice eager PyTorch's, plus the tolerance."""
    import torch
    from torch.utils._pytree import tree_leaves, tree_map_only

    def widened(value: torch.Tensor) -> torch.Tensor:
        return value.double() if value.is_floating_point() else value

    wide = type(sample)(
        tree_map_only(torch.Tensor, widened, sample.input),
        args=tree_map_only(torch.Tensor, widened, sample.args),
        kwargs=tree_map_only(torch.Tensor, widened, sample.kwargs),
    )
    try:
        truth = seeded(call_of(op, wide))
    except Exception:
        return False
    for mine, eager, exact in zip(tree_leaves(got), tree_leaves(expected), tree_leaves(truth), strict=True):
        if not isinstance(exact, torch.Tensor) or not exact.is_floating_point():
            if not isinstance(exact, torch.Tensor) or not torch.equal(mine, eager):
                return False
            continue
        if mine.dtype != eager.dtype or mine.shape != eager.shape:
            return False
        allowed = 2 * (eager.double() - exact).abs() + atol + rtol * exact.abs()
        error = (mine.double() - exact).abs()
        fine = (error <= allowed) | (mine.double() == exact) | (mine.isnan() & eager.isnan()) | (mine == eager)
        if not bool(fine.all()):
            return False
    return True
