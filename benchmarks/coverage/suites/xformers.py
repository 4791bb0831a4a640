"""Triton kernels of xformers: decoding attention over split, padded, paged and 4-bit caches, and small operators."""

from __future__ import annotations

from typing import Any

from benchmarks.coverage.judge import Trial, Trials, judge, randn

TITLE = "xformers: its Triton kernels, the smallest configuration of each autotuned one"
PACKAGES = ("xformers", "torch", "triton")
CHUNK = 10
LIMIT_S = 600
ENVIRONMENT = {"XFORMERS_ENABLE_TRITON": "1"}

_HALVES = ("float16", "bfloat16")
_ALL = ("float32", *_HALVES)
trials = Trials(_HALVES)
names, operator = trials.names, trials.add


def setup() -> None:
    """Some operators are registered for the device type ``cuda`` only, and CPU tensors do not find them."""
    from benchmarks.coverage.device_queries import answer_for_modelled_gpu, place_cuda_tensors_here
    from benchmarks.coverage.tuning import keep_configurations

    answer_for_modelled_gpu()
    place_cuda_tensors_here()
    keep_configurations(1)
    import xformers.ops as ops
    from xformers.ops.fmha import triton_splitk

    merge = triton_splitk.merge_attentions_varargs, triton_splitk.merge_attentions_varargs_backward
    for operator in (*merge, ops.tiled_matmul.__globals__["tiled_matmul_fwd"]):
        operator.register_kernel("cpu")(operator._init_fn)


def run(name: str) -> None:
    from benchmarks.coverage.device_queries import tensors_claim_cuda

    with tensors_claim_cuda():
        judge(*trials.make(name))


def numbers(*shape: int, scale: float = 1.0) -> Any:
    """Inputs without a gradient."""
    return randn(*shape, scale=scale, grad=False)


def _rms(x: Any, weight: Any) -> Any:
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight


@operator("rms_norm", _ALL)
def rms_norm() -> Trial:
    from xformers.ops.rmsnorm import rms_norm as function

    return Trial(function, _rms, [numbers(3, 7, 200), numbers(200)])


@operator("rms_norm_add", _ALL)
def rms_norm_add() -> Trial:
    from xformers.ops.rmsnorm import rms_norm_add as function

    def call(x: Any, y: Any, w: Any) -> Any:
        return function(x, y, w), x

    return Trial(call, lambda x, y, w: (_rms(x + y, w), x + y), [numbers(3, 7, 200), numbers(3, 7, 200), numbers(200)])


def rope(name: str, adjacents: bool, options: dict[str, Any], dtypes: tuple[str, ...] = _ALL) -> None:
    @operator(name, dtypes)
    def make() -> Trial:
        import torch
        from xformers.ops import rope_padded as function
        from xformers.ops.fmha.attn_bias import BlockDiagonalCausalWithOffsetPaddedKeysMask as Mask

        new, filled, room, size = [3, 1, 2], [9, 5, 12], 16, 32
        mask = Mask.from_seqlens(q_seqlen=new, kv_padding=room, kv_seqlen=filled)
        spans = [torch.arange(end - n, end) for n, end in zip(new, filled, strict=True)]
        positions, places = torch.cat(spans), torch.cat([i * room + span for i, span in enumerate(spans)])

        def turned(x: Any) -> Any:
            rates = 10_000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
            angles = (positions[:, None] / options.get("linear_scale", 1.0) * rates)[:, None]
            cos, sin = angles.cos(), angles.sin()
            a, b = (x[0, ..., ::2], x[0, ..., 1::2]) if adjacents else x[0].chunk(2, -1)
            pair = (a * cos - b * sin, a * sin + b * cos)
            return (torch.stack(pair, -1).flatten(-2) if adjacents else torch.cat(pair, -1))[None]

        def call(q: Any, k: Any, v: Any, keys: Any, values: Any) -> Any:
            return function(q, k, v, keys, values, mask, adjacents=adjacents, **options), keys, values

        def reference(q: Any, k: Any, v: Any, keys: Any, values: Any) -> Any:
            keys, values = keys.clone(), values.clone()
            keys[0, places], values[0, places] = turned(k)[0], v[0]
            return turned(q), keys, values

        caches = [numbers(1, room * len(new), 2, size) for _ in range(2)]
        return Trial(call, reference, [numbers(1, 6, 4, size), numbers(1, 6, 2, size), numbers(1, 6, 2, size), *caches])


rope("rope_padded of neighbours", True, {})
rope("rope_padded of halves", False, {"linear_scale": 4.0})
rope("rope_padded in float64", True, {"internal_dtype": "f64"}, ("float32",))


@operator("scaled_index_add", _ALL)
def scaled_index_add() -> Trial:
    import torch
    from xformers.ops import scaled_index_add as function

    index = torch.randperm(9)[:5]

    def call(x: Any, source: Any, scaling: Any) -> Any:
        return function(x.clone(), index, source, scaling, 0.5)

    def reference(x: Any, source: Any, scaling: Any) -> Any:
        return torch.index_add(x, 0, index, source * scaling, alpha=0.5)

    return Trial(call, reference, [randn(9, 7, 100), randn(5, 7, 100), numbers(100)])


@operator("index_select_cat", _ALL)
def index_select_cat() -> Trial:
    import torch
    from xformers.ops import index_select_cat as function

    indices = [torch.randperm(9)[:5], torch.randperm(20)[:11]]

    def reference(*sources: Any) -> Any:
        return torch.cat([x[i].flatten() for x, i in zip(sources, indices, strict=True)])

    return Trial(lambda *sources: function(sources, indices), reference, [randn(9, 100), randn(20, 600)])


@operator("tiled_matmul", _ALL)
def tiled_matmul() -> Trial:
    import torch
    from xformers.ops import tiled_matmul as function

    def tiles(a: Any, b: Any) -> Any:
        """Rows of A in two parts, columns of B in three, the sums between them in two."""
        lefts = [list(part.split((40, 72), 1)) for part in a.split((33, 50))]
        rights = [list(part.split((16, 24, 70), 1)) for part in b.split((40, 72))]
        return lefts, rights

    def call(a: Any, b: Any) -> Any:
        return torch.cat([torch.cat(row, 1) for row in function(*tiles(a, b))])

    return Trial(call, torch.matmul, [randn(83, 112), randn(112, 110)], dots=True)


def attend(query: Any, keys: Any, values: Any, hidden: Any = None) -> Any:
    """``query [n, heads, size]`` over ``keys, values [m, kv heads, size]``; ``hidden [n, m]`` is not to be seen."""
    import torch

    repeat = query.shape[1] // keys.shape[1]
    keys, values = (x.repeat_interleave(repeat, 1) for x in (keys, values))
    scores = torch.einsum("nhd,mhd->hnm", query, keys) / query.shape[-1] ** 0.5
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    return torch.einsum("hnm,mhd->nhd", scores.softmax(-1), values)


def split_k(query: Any, keys: Any, values: Any, bias: Any = None, **settings: Any) -> Any:
    """The package's decoding attention; keys of fewer heads are repeated, without a copy."""
    from xformers.ops.fmha import Inputs
    from xformers.ops.fmha.triton_splitk import FwOp

    repeat = query.shape[-2] // keys.shape[-2]
    if repeat > 1:
        keys, values = (x.expand(*x.shape[:-2], repeat, x.shape[-1]) for x in (keys, values))
    chosen = type("Chosen", (FwOp,), settings)
    out, _ = chosen.apply(Inputs(query, keys, values, attn_bias=bias), needs_gradient=False)
    return out.reshape(query.shape)


def decoding(name: str, n_queries: int, n_kv_heads: int, n_splits: int) -> None:
    @operator(name)
    def make() -> Trial:
        import torch

        def reference(q: Any, k: Any, v: Any) -> Any:
            return torch.stack([attend(*row) for row in zip(q, k, v, strict=True)])

        caches = [numbers(2, 90, n_kv_heads, 64) for _ in range(2)]
        inputs = [numbers(2, n_queries, 4, 64), *caches]
        return Trial(lambda q, k, v: split_k(q, k, v, SPLIT_K=n_splits), reference, inputs, dots=True)


decoding("attention of 1 query, 1 part", 1, 4, 1)
decoding("attention of 3 queries, 3 parts", 3, 4, 3)
decoding("attention of 2 queries, shared keys, 2 parts", 2, 1, 2)


@operator("attention with a bias")
def biased() -> Trial:
    import torch

    def call(q: Any, k: Any, v: Any, bias: Any) -> Any:
        return split_k(q, k, v, bias, SPLIT_K=1)

    def reference(q: Any, k: Any, v: Any, bias: Any) -> Any:
        scores = torch.einsum("bnhd,bmhd->bhnm", q, k) / 64**0.5 + bias
        return torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), v)

    caches = [numbers(2, 96, 4, 64) for _ in range(2)]
    return Trial(call, reference, [numbers(2, 8, 4, 64), *caches, numbers(2, 4, 8, 96)], dots=True)


def packed(name: str, kind: str, n_queries: int, causal: bool) -> None:
    """Queries of sequences of several lengths; each sequence has its own room in the caches."""

    @operator(name)
    def make() -> Trial:
        import torch
        from xformers.ops.fmha import attn_bias

        room, lengths, page = 128, [37, 100, 5], 64
        n, mask_class = len(lengths), getattr(attn_bias, kind)
        queries = [n_queries] * n
        pages = torch.randperm(n * room // page).int().view(n, -1)
        slots = (pages.long()[..., None] * page + torch.arange(page)).flatten(1)
        if kind.startswith("Paged"):
            mask = mask_class.from_seqlens(queries, lengths, block_tables=pages, page_size=page)
        else:
            mask = mask_class.from_seqlens(queries, room, lengths)
            slots = torch.arange(n * room).view(n, room)

        def reference(q: Any, k: Any, v: Any) -> Any:
            rows = []
            for i, length in enumerate(lengths):
                hidden = torch.ones(n_queries, length, dtype=torch.bool).triu(length - n_queries + 1)
                part = q[0, i * n_queries : (i + 1) * n_queries]
                rows.append(attend(part, k[0, slots[i, :length]], v[0, slots[i, :length]], hidden if causal else None))
            return torch.cat(rows)[None]

        caches = [numbers(1, n * room, 4, 64) for _ in range(2)]
        return Trial(lambda q, k, v: split_k(q, k, v, mask), reference, [numbers(1, n * n_queries, 4, 64), *caches])


packed("attention over padded caches", "BlockDiagonalPaddedKeysMask", 2, False)
packed("attention over padded caches, causal", "BlockDiagonalCausalWithOffsetPaddedKeysMask", 3, True)
packed("attention over paged caches", "PagedBlockDiagonalPaddedKeysMask", 1, False)
packed("attention over paged caches, causal", "PagedBlockDiagonalCausalWithOffsetPaddedKeysMask", 4, True)


def four_bits(groups: int) -> None:
    @operator(f"attention over caches of 4 bits, {groups} groups")
    def make() -> Trial:
        import torch

        size, n_keys = 128, 90

        def cache() -> tuple[Any, Any]:
            """Packed as the package wants it, and what it means: each group's scale and shift stand before the row."""
            codes = torch.randint(0, 16, (2, n_keys, 4, size))
            pairs = torch.stack([torch.rand(2, n_keys, 4, groups) * 0.2 + 0.05, torch.randn(2, n_keys, 4, groups)], -1)
            pairs = pairs.half()
            words = (codes.unflatten(-1, (-1, 8)) << 4 * torch.arange(8)).sum(-1)
            words = torch.where(words >= 2**31, words - 2**32, words).int()
            scale, shift = (part.double()[..., None] for part in pairs.unbind(-1))
            meant = (codes.unflatten(-1, (groups, -1)) * scale + shift).flatten(-2)
            return torch.cat([pairs.contiguous().view(torch.int32).squeeze(-1), words], -1), meant

        (keys, meant_keys), (values, meant_values) = cache(), cache()

        def call(q: Any) -> Any:
            return split_k(q, keys, values, NUM_GROUPS=groups, SPLIT_K=2)

        def reference(q: Any) -> Any:
            return torch.stack([attend(*row) for row in zip(q, meant_keys, meant_values, strict=True)])

        return Trial(call, reference, [numbers(2, 1, 4, size, scale=0.3)])


four_bits(1)
four_bits(4)


def _merged(parts: Any, logs: Any) -> Any:
    """Attention over all keys, from that over parts of them with the logarithms of their sums of exponentials."""
    shares = logs.softmax(0).transpose(2, 3)[..., None]
    return (parts * shares).sum(0), logs.logsumexp(0)


def _parts(grad: bool) -> list[Any]:
    return [randn(3, 2, 5, 4, 32, grad=grad), randn(3, 2, 4, 5, grad=grad)]


@operator("merge_attentions of one tensor", _ALL)
def merge_stacked() -> Trial:
    from xformers.ops.fmha import merge_attentions as function

    def call(parts: Any, logs: Any) -> Any:
        out, log = function(parts, logs)
        return out, log.to(out.dtype)

    return Trial(call, _merged, _parts(grad=False))


@operator("merge_attentions of a list, and its gradients", _ALL)
def merge_list() -> Trial:
    import torch
    from xformers.ops.fmha import merge_attentions as function
    from xformers.ops.fmha.triton_splitk import merge_attentions_varargs_backward as backward

    gradients = [torch.randn(2, 5, 4, 32, dtype=torch.float64), torch.randn(2, 4, 5, dtype=torch.float64)]

    def call(parts: Any, logs: Any) -> Any:
        parts, logs = ([x.contiguous() for x in given] for given in (parts, logs))
        out, log = function(parts, logs)
        # It is no part of the package's autograd. It wants an axis of groups of heads, and heads first in the parts.
        heads_first = [x.unsqueeze(2).permute(0, 2, 3, 1, 4) for x in parts]
        out_gradient, log_gradient = (x.to(out.dtype) for x in gradients)
        of_parts, of_logs = backward(
            heads_first,
            [x.unsqueeze(1) for x in logs],
            *(out.unsqueeze(2), log.unsqueeze(1), out_gradient.unsqueeze(2), log_gradient.unsqueeze(1)),
        )
        found = torch.stack(of_parts).squeeze(2).transpose(2, 3)
        return out, log.to(out.dtype), found, torch.stack(of_logs).squeeze(2)

    def reference(parts: Any, logs: Any) -> Any:
        parts, logs = parts.requires_grad_(), logs.requires_grad_()
        results = _merged(parts, logs)
        found = torch.autograd.grad(results, (parts, logs), [x.to(parts.dtype) for x in gradients])
        return *(x.detach() for x in results), *found

    return Trial(call, reference, _parts(grad=False))
