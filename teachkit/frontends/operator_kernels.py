"""One ATen operator as one compiled Triton kernel: the kernels behind ``tk.eager_kernels()``.

Each call of an operator with new shapes, strides, dtypes or numbers is compiled by Inductor, alone, so that nothing is
fused across operators, and kept for the process. Reductions are not split into two kernels: as in PyTorch's own CUDA
kernels, blocks that share a sum meet in one launch. Matrix products take Inductor's Triton template, with the first
configuration that it proposes for the shape.
A convolution takes a template too, after kernels that change the layout of its inputs; a few other operators (the
gradient of an embedding, a copy between layouts) are two kernels.
Not modelled: the tile sizes and the unrolling of PyTorch's own CUDA kernels, of cuBLAS and cuDNN. An operator that
Inductor does not write itself (sorts, top-k, fused attention) has no kernel here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from teachkit.errors import CompileOptionError
from teachkit.frontends import inductor_adapter, target
from teachkit.hardware.device import uses_cuda

_OPTIONS = {
    "split_reductions": False,
    "max_autotune_gemm": True,
    "max_autotune_gemm_backends": "TRITON",
    "max_autotune_conv_backends": "TRITON",
    "test_configs.max_mm_configs": 1,
    "triton.autotune_pointwise": False,
}
# From here on one block would read for long while all other SMs are idle (the rule of Inductor on a GPU).
_SHARED_SUM_ELEMENTS, _SHARED_SUM_RESULTS = 32768, 8
_CALL_OF_ANOTHER = re.compile(r"^(?!\s*#).*(?:extern_kernels\.|torch\.ops\.|\baten\.).*$", re.MULTILINE)
_SEED = "aten.randint.low_out("  # the number that a random kernel starts from; PyTorch's CUDA kernels take one too
_PLAIN = (torch.strided,)


def _bernoulli(x: torch.Tensor, p: float = 0.5, *, generator: None = None) -> torch.Tensor:
    return x.copy_(torch.rand_like(x, dtype=torch.float32) < p)


def _uniform(x: torch.Tensor, low: float = 0.0, high: float = 1.0, *, generator: None = None) -> torch.Tensor:
    return x.copy_(torch.rand_like(x, dtype=torch.float32) * (high - low) + low)


def _normal(x: torch.Tensor, mean: float = 0.0, std: float = 1.0, *, generator: None = None) -> torch.Tensor:
    return x.copy_(torch.randn_like(x, dtype=torch.float32) * std + mean)


# What Inductor would hand to PyTorch's CPU generator, in terms of what it writes itself.
_REWRITTEN = {
    torch.ops.aten.bernoulli_.float: _bernoulli,
    torch.ops.aten.uniform_.default: _uniform,
    torch.ops.aten.normal_.default: _normal,
}

Key = tuple[Any, ...]
_lock = threading.RLock()


class OperatorKernel:
    """A compiled operator; call it with the operator's arguments."""

    def __init__(self, func: Any, call: Callable[..., Any], spec: Any, is_tensor: list[bool]) -> None:
        self._func, self._call, self._spec, self._is_tensor = func, call, spec, is_tensor

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Launch; returns what the operator returns."""
        with _disable_current_modes(), torch.no_grad():
            results = list(self._call(*_distinct_tensors(args, kwargs)))
        if _returns_arguments(self._func):
            written = _written(self._func, args, kwargs)
            n_returns = len(self._func._schema.returns)
            return None if n_returns == 0 else written[0] if n_returns == 1 else tuple(written[:n_returns])
        results.reverse()
        leaves = [results.pop() if is_tensor else None for is_tensor in self._is_tensor]
        return tree_unflatten(leaves, self._spec)


_compiled: dict[Key, OperatorKernel | str] = {}  # or why there is none


def kernel_of(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> OperatorKernel | str:
    """Return the kernel of one call, compiled when it is first needed, or a string that says why there is none.

    Parameters
    ----------
    func : torch._ops.OpOverload
        For example ``torch.ops.aten.add.Tensor``.
    args, kwargs
        What it is called with. Tensors are on the CPU.
    """
    if (reason := _unfit(func, args, kwargs)) is not None:
        return reason
    key = _key(func, args, kwargs)
    with _lock:
        if key not in _compiled:
            _compiled[key] = _compile(func, args, kwargs)
        return _compiled[key]


def _compile(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> OperatorKernel | str:
    from torch.fx.experimental.proxy_tensor import make_fx

    leaves, spec = tree_flatten((args, dict(kwargs)))
    inputs = _distinct_tensors(args, kwargs)
    position = {id(tensor): index for index, tensor in enumerate(inputs)}
    out_spec: list[tuple[Any, list[bool]]] = []
    sizes: list[int] = []
    implementation = _REWRITTEN.get(func, func)

    def call(*tensors: torch.Tensor) -> list[torch.Tensor]:
        filled = [tensors[position[id(leaf)]] if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        call_args, call_kwargs = tree_unflatten(filled, spec)
        results, result_spec = tree_flatten(implementation(*call_args, **call_kwargs))
        out_spec.append((result_spec, [isinstance(result, torch.Tensor) for result in results]))
        sizes.append(max((result.numel() for result in results if isinstance(result, torch.Tensor)), default=0))
        return [] if _returns_arguments(func) else [result for result in results if isinstance(result, torch.Tensor)]

    # What watches operators is not to see those of the compiler.
    with _disable_current_modes(), torch.no_grad():
        examples = [tensor.detach() for tensor in inputs]
        try:
            graph = make_fx(call, tracing_mode="fake")(*examples)
        except Exception as error:  # wrong arguments, say: PyTorch itself will tell
            return f"it cannot be traced: {str(error).splitlines()[0][:200]}"
        try:
            shares = torch.Tag.reduction in func.tags and sizes[-1] <= _SHARED_SUM_RESULTS
            shares = shares and inputs[0].numel() >= _SHARED_SUM_ELEMENTS * sizes[-1]
            options = _OPTIONS | {"triton.force_cooperative_reductions": shares}
            compiled, source = inductor_adapter.compile_graph(graph, examples, options)
        except CompileOptionError as error:
            return f"Inductor does not compile it: {error.message.splitlines()[0][:200]}"
    calls = [match.group(0).strip() for match in _CALL_OF_ANOTHER.finditer(_body(source))]
    if foreign := [line for line in calls if not line.startswith(_SEED) and "assert_" not in line]:
        return f"Inductor hands it to another library: {foreign[0][:120]}"
    if "@triton.jit" not in source:
        return "Inductor writes no kernel for it"
    return OperatorKernel(func, compiled, *out_spec[-1])


def _body(source: str) -> str:
    """The function that launches, without the kernels and what is imported before them."""
    return source[max(source.rfind("\ndef call("), source.rfind("\nclass Runner"), 0) :]


def _unfit(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    if uses_cuda():
        return "there is a CUDA device, on which PyTorch's own kernels run"
    if func.namespace not in ("aten", "prims"):
        return f"an operator of {func.namespace}"
    for tensor in _distinct_tensors(args, kwargs):
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            return f"a tensor of class {type(tensor).__name__}"
        if tensor.device.type != "cpu" or tensor.layout not in _PLAIN:
            return f"a tensor on {tensor.device.type} with layout {tensor.layout}"
        if tensor.is_complex() or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
            return "complex or quantised numbers"
        if not tensor.numel():
            return "an empty tensor"
    if torch.device(kwargs.get("device") or "cpu").type != "cpu":
        return f"device {kwargs['device']}"
    if {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags):
        return "its result's shape depends on data"
    if any(leaf is not None and isinstance(leaf, torch.Generator) for leaf in tree_leaves((args, kwargs))):
        return "a generator of its own"
    return _overlap(func, args, kwargs)


def _overlap(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """Whether an argument that is written shares memory with another one, other than being the same tensor."""
    written = _written(func, args, kwargs)
    tensors = _distinct_tensors(args, kwargs)
    for target_tensor in (leaf for leaf in tree_leaves(written) if isinstance(leaf, torch.Tensor)):
        start, end = _span(target_tensor)
        for tensor in tensors:
            other_start, other_end = _span(tensor)
            if tensor is not target_tensor and start < other_end and other_start < end:
                return "an argument that is written overlaps with another"
    return None


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    last = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.itemsize


def _key(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Key:
    leaves, spec = tree_flatten((args, dict(kwargs)))
    seen: dict[int, int] = {}
    described: list[Any] = [func, spec, target.architecture(), torch.get_default_dtype()]
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            same_as = seen.setdefault(id(leaf), len(seen))
            described.append((same_as, leaf.dtype, leaf.shape, leaf.stride(), leaf.data_ptr() % 16))
        else:
            described.append((type(leaf), repr(leaf)))  # repr tells 0.0 from -0.0, and nan from another
    return tuple(described)


def _distinct_tensors(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    leaves = tree_leaves((args, dict(kwargs)))
    return list({id(leaf): leaf for leaf in leaves if isinstance(leaf, torch.Tensor)}.values())


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)


def _written(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    """The arguments that the operator writes to."""
    return [
        args[index] if index < len(args) else kwargs.get(argument.name)
        for index, argument in enumerate(func._schema.arguments)
        if _is_written(argument)
    ]


def _returns_arguments(func: Any) -> bool:
    """Whether an operator returns what it wrote to (in place, ``out=``), or nothing; not so batch normalisation."""
    schema = func._schema
    return any(map(_is_written, schema.arguments)) and all(r.alias_info is not None for r in schema.returns)
