"""Floating-point operations of one PyTorch operator.

Conventions, the same for every chapter:

- matrix products, convolutions and attention: PyTorch's own formulas (``torch.utils.flop_counter``), 2 for each
  multiply and add; biases are not counted there;
- pointwise operators: 1 for each output element, whatever the function (``tanh``, ``exp`` and ``gelu`` count as 1);
- reductions, scans and pooling: 1 for each input element;
- softmax: 5 for each element (maximum, subtract, exponential, sum, divide); their backward passes 4;
- layer, group and batch normalisation: 8 for each element (mean 1, variance 3, normalise 2, scale and shift 2);
  the backward pass of layer normalisation 12 (normalise again 2, scale 1, two sums 3, combine 3, gradients of scale 2
  and shift 1);
- everything else (copies, casts, selections, random numbers, fills): 0.

Not modelled: address arithmetic, the extra operations that a kernel makes to evaluate a transcendental function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

# Pointwise by PyTorch's tags, but they only move or choose.
_FREE = ("clone", "where", "masked_fill", "masked_fill_", "copy_", "_to_copy", "fill", "fill_", "zero_", "real", "imag")
_PER_ELEMENT = {
    "_softmax": 5,
    "_log_softmax": 5,
    "_softmax_backward_data": 4,
    "_log_softmax_backward_data": 4,
    "native_layer_norm": 8,
    "native_layer_norm_backward": 12,
    "native_group_norm": 8,
    "native_batch_norm": 8,
    "_native_batch_norm_legit": 8,
    "_fused_rms_norm": 4,
}
_ONE_PER_INPUT = ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "nll_loss_forward", "native_dropout")
_POOLS = ("avg_pool2d", "max_pool2d_with_indices", "_adaptive_avg_pool2d")
_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FIELD_OF_DTYPE = {torch.float64: "flop_fp64", torch.complex128: "flop_fp64"}


def count(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], tensors: list[torch.Tensor], out: Any) -> int:
    """Return the operations of one call, by the conventions above.

    Parameters
    ----------
    func
        The overload, for example ``torch.ops.aten.add.Tensor``.
    args, kwargs
        What it was called with.
    tensors
        The input tensors among them.
    out
        What it returned.
    """
    packet = func.overloadpacket
    name = packet.__name__
    if is_contraction(func):
        return _contraction(packet, args, kwargs, tensors, out)
    if name in _FREE:
        return 0
    if name in _PER_ELEMENT:
        return _PER_ELEMENT[name] * tensors[0].numel()
    if torch.Tag.reduction in func.tags or name in (*_ONE_PER_INPUT, *_POOLS):
        return tensors[0].numel() if tensors else 0
    if torch.Tag.pointwise in func.tags:
        return _first_numel(out)
    if name.startswith("_foreach_") and not name.startswith(("_foreach_copy", "_foreach_zero")):
        lists = [value for value in args if isinstance(value, (list, tuple))]
        return sum(t.numel() for t in lists[0]) if lists else 0
    return 0


def is_contraction(func: Any) -> bool:
    """Return whether an operator is a matrix product, a convolution or attention: work for tensor cores."""
    packet = func.overloadpacket
    return packet in flop_registry or packet is _CPU_ATTENTION or packet.__name__ in ("mv", "addmv", "dot", "vdot")


def _contraction(
    packet: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], tensors: list[torch.Tensor], out: Any
) -> int:
    name = packet.__name__
    if name in ("dot", "vdot"):
        return 2 * tensors[0].numel()
    if name in ("mv", "addmv"):
        matrix = next(tensor for tensor in tensors if tensor.dim() == 2)
        return 2 * matrix.numel()
    if packet is _CPU_ATTENTION:
        q, k, v = (tensor.shape for tensor in tensors[:3])
        n_batch_rows = q.numel() // q[-1]
        return 2 * n_batch_rows * k[-2] * (q[-1] + v[-1])
    return int(flop_registry[packet](*args, **kwargs, out_val=out))


def field_of(func: Any, tensors: list[torch.Tensor]) -> str:
    """Return the counter that an operator's FLOPs belong to.

    Half-precision matrix products go to the tensor cores. Pointwise operators on half precision compute in float32,
    as PyTorch's kernels do. Integer and boolean arithmetic is not floating point.
    """
    dtypes = [tensor.dtype for tensor in tensors if tensor.dtype.is_floating_point or tensor.dtype.is_complex]
    if not dtypes:
        return "int_ops"
    if is_contraction(func) and dtypes[0].itemsize <= 2:
        return "flop_tensor"
    return _FIELD_OF_DTYPE.get(dtypes[0], "flop_fp32")


def _first_numel(out: Any) -> int:
    if isinstance(out, torch.Tensor):
        return out.numel()
    if isinstance(out, (list, tuple)):
        return next((value.numel() for value in out if isinstance(value, torch.Tensor)), 0)
    return 0
