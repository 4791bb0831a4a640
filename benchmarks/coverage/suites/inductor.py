"""``torch.compile`` over PyTorch's own operator samples, its Triton kernels on the emulator, against eager PyTorch.

Listed: every operator of ``torch.testing``'s database that samples CPU tensors of float32, float16 or bfloat16, but
for linear algebra and Fourier transforms, which Inductor always hands to a library and so say nothing about kernels.
Half types and backward passes: the pointwise functions, the reductions and ``nn.functional`` among them.
One sample an operator and dtype: the one with the most elements among the first twelve, up to 16,384 elements. Rows
of "backward" also compile the backward pass and compare the gradients of all inputs. Matrix products and convolutions
use Inductor's Triton templates (the first configuration; ``max_autotune_gemm``). A sample for which Inductor makes no
kernel (a view, a call of ATen's) says nothing about the emulator, so it is skipped once it is found to be right.
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

HALF_DTYPES = ("float16", "bfloat16")
BACKWARD = "backward"  # of float32
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

    def of_dtype(dtype: str) -> list[str]:
        chosen = operators().items()
        return [f"{dtype}/{name}" for name, op in chosen if op.supports_dtype(getattr(torch, dtype), "cpu")]

    half = [name for dtype in HALF_DTYPES for name in of_dtype(dtype) if is_basic(name)]
    backward = [f"{BACKWARD}/{name}" for name, op in operators().items() if op.supports_autograd and is_basic(name)]
    return of_dtype("float32") + half + backward


def is_basic(name: str) -> bool:
    """Whether a test is of a pointwise function, a reduction or something in ``nn.functional``."""
    from torch.testing._internal.opinfo.core import BinaryUfuncInfo, ReductionOpInfo, UnaryUfuncInfo

    op_name = name.rpartition("/")[2]
    op = operators()[op_name]
    return isinstance(op, (BinaryUfuncInfo, ReductionOpInfo, UnaryUfuncInfo)) or op_name.startswith("nn.functional.")


def setup() -> None:
    import torch
    import torch._inductor.config as config

    torch.set_num_threads(1)
    config.fallback_random = True
    config.max_autotune_gemm = True
    config.max_autotune_gemm_backends = "TRITON"
    config.test_configs.max_mm_configs = 1


def run(name: str) -> None:
    import torch

    kind, _, op_name = name.partition("/")
    op, dtype_name = operators()[op_name], "float32" if kind == BACKWARD else kind
    sample = chosen_sample(op, getattr(torch, dtype_name), requires_grad=kind == BACKWARD)
    try:
        expected = evaluated(op, sample)
    except Skip:
        raise
    except Exception as error:
        raise Skip(f"eager PyTorch refuses the sample: {first_line(error)}") from error
    try:
        n_launches = triton_route(op, sample, expected, dtype_name)
    except Exception as error:
        other = cpp_route(op, sample, expected, dtype_name)
        if other is not None:
            cause = f"Inductor's C++ back end fails too: {other}"
            raise Skip(cause) from error
        raise
    if not n_launches:
        raise Skip("right, but Inductor made no kernel: a view, or a call of ATen's")


def triton_route(op: Any, sample: Any, expected: Any, dtype_name: str) -> int:
    """Compile for the emulator, run, compare; returns the number of kernels launched."""
    import torch

    from teachkit.emulator import observe
    from teachkit.frontends.inductor_adapter import triton_for_cpu_tensors

    torch._dynamo.reset()
    launches: list[Any] = []
    with triton_for_cpu_tensors(), observe(launches.append):
        got = evaluated(op, sample, torch.compile)
    compare(got, expected, op, sample, dtype_name)
    return len(launches)


def cpp_route(op: Any, sample: Any, expected: Any, dtype_name: str) -> str | None:
    """Return why the C++ back end fails on the same sample, or ``None``."""
    import torch

    torch._dynamo.reset()
    try:
        with torch._inductor.config.patch(max_autotune_gemm=False):
            compare(evaluated(op, sample, torch.compile), expected, op, sample, dtype_name)
    except Exception as error:
        return first_line(error, 120)
    return None


def chosen_sample(op: Any, dtype: Any, *, requires_grad: bool = False) -> Any:
    """Return the sample with the most elements among the first twelve, up to 16,384 elements."""
    import itertools

    import torch

    torch.manual_seed(0)
    samples = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=requires_grad), 12))
    if not samples:
        raise Skip("the database has no sample")
    return max(samples, key=usefulness)


def usefulness(sample: Any) -> tuple[bool, int]:
    """Sort samples: those without empty tensors first, then by elements, up to 16,384."""
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = tree_leaves((sample.input, sample.args, sample.kwargs))
    sizes = [leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor)]
    return all(sizes), sum(sizes) if sum(sizes) <= 1 << 14 else -sum(sizes)


def evaluated(op: Any, sample: Any, compiler: Callable[..., Any] = lambda call: call) -> Any:
    """Return the operator's result on copies of the sample's tensors, and its gradients where the sample has some."""
    import torch
    from torch.utils._pytree import tree_leaves, tree_map_only

    def fresh(tensor: torch.Tensor) -> torch.Tensor:
        copy = tensor.detach().clone()
        return copy.requires_grad_() if tensor.requires_grad else copy

    value, args, kwargs = tree_map_only(torch.Tensor, fresh, (sample.input, sample.args, sample.kwargs))
    leaves = [t for t in tree_leaves((value, args, kwargs)) if isinstance(t, torch.Tensor) and t.requires_grad]
    torch.manual_seed(0)
    if not leaves:
        with torch.no_grad():
            return compiler(lambda: op(value, *args, **kwargs))()

    def call() -> Any:
        # In-place variants may not write to a leaf.
        inputs = tree_map_only(torch.Tensor, lambda t: t * 1 if t.requires_grad else t, (value, args))
        return op(inputs[0], *inputs[1], **kwargs)

    out = compiler(call)()
    if sample.output_process_fn_grad is not None:
        out = sample.output_process_fn_grad(out)
    outputs = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor) and t.requires_grad]
    if not outputs:
        raise Skip("nothing to differentiate")
    weights = [torch.linspace(0.5, 1.5, t.numel(), dtype=torch.float64).view(t.shape).to(t.dtype) for t in outputs]
    return out, torch.autograd.grad(outputs, leaves, weights, allow_unused=True)


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
        if not value.is_floating_point():
            return value
        return value.detach().double().requires_grad_(value.requires_grad)

    wide = type(sample)(
        tree_map_only(torch.Tensor, widened, sample.input),
        args=tree_map_only(torch.Tensor, widened, sample.args),
        kwargs=tree_map_only(torch.Tensor, widened, sample.kwargs),
        output_process_fn_grad=sample.output_process_fn_grad,
    )
    try:
        truth = evaluated(op, wide)
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
