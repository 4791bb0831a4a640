"""Kernels of conch-triton-kernels: activations, norms, quantisation, attention over paged caches, vision."""

from __future__ import annotations

from typing import Any

from benchmarks.coverage.judge import Trial, Trials, judge, randn

TITLE = "conch-triton-kernels: every operator of the package that can be called without vLLM"
PACKAGES = ("conch-triton-kernels", "torch", "triton")
CHUNK = 8
LIMIT_S = 600

_HALVES = ("float16", "bfloat16")
trials = Trials(_HALVES)
names, operator = trials.names, trials.add


def setup() -> None:
    """conch asks PyTorch for the platform, and ``torch.cuda`` for the size of the GPU."""
    from benchmarks.coverage.device_queries import answer_for_modelled_gpu
    from benchmarks.coverage.tuning import keep_configurations

    answer_for_modelled_gpu()
    keep_configurations(2)
    import conch.platforms as platforms

    platforms._current_platform = platforms.Platform(platforms.PlatformEnum.NVIDIA, "cpu")


def run(name: str) -> None:
    from teachkit.frontends import target

    try:
        judge(*trials.make(name))
    finally:
        target.set_architecture(None)


def numbers(*shape: int, scale: float = 1.0) -> Any:
    """Inputs without a gradient: the package is for inference."""
    return randn(*shape, scale=scale, grad=False)


@operator("gelu_tanh_and_mul", ("float32",))  # it calls libdevice's tanh, which this Triton has for float32 only
def gelu_tanh_and_mul() -> Trial:
    import torch
    from conch.ops.activation.gelu_tanh_and_mul import gelu_tanh_and_mul as function

    def reference(x: Any) -> Any:
        gate, up = x.chunk(2, -1)
        return torch.nn.functional.gelu(gate, approximate="tanh") * up

    return Trial(function, reference, [numbers(7, 300)])


@operator("silu_and_mul", ("float32", *_HALVES))
def silu_and_mul() -> Trial:
    import torch
    from conch.ops.activation.silu_and_mul import silu_and_mul as function

    def reference(x: Any) -> Any:
        gate, up = x.chunk(2, -1)
        return torch.nn.functional.silu(gate) * up

    return Trial(function, reference, [numbers(7, 300)])


def _rms(x: Any, weight: Any) -> Any:
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight


@operator("rms_norm", ("float32", *_HALVES))
def rms_norm() -> Trial:
    from conch.ops.normalization.rms_norm import rms_norm as function

    return Trial(lambda x, w: function(x, w, 1e-6), _rms, [numbers(7, 200), numbers(200)])


@operator("fused_add_rms_norm", ("float32", *_HALVES))
def fused_add_rms_norm() -> Trial:
    from conch.ops.normalization.rms_norm import fused_add_rms_norm as function

    return Trial(
        lambda x, r, w: function(x.clone(), r.clone(), w, 1e-6),
        lambda x, r, w: (_rms(x + r, w), x + r),
        [numbers(7, 200), numbers(7, 200), numbers(200)],
    )


@operator("gemma_rms_norm", ("float32", *_HALVES))
def gemma_rms_norm() -> Trial:
    from conch.ops.normalization.gemma_rms_norm import gemma_rms_norm as function

    return Trial(
        lambda x, w: function(x.clone(), w, 1e-6), lambda x, w: _rms(x, 1 + w), [numbers(7, 200), numbers(200)]
    )


@operator("gemma_rms_norm with residual")
def gemma_rms_norm_residual() -> Trial:
    from conch.ops.normalization.gemma_rms_norm import gemma_rms_norm as function

    return Trial(
        # The package's second result is the first one's memory: it normalises x + r in place. So the first counts.
        lambda x, w, r: function(x.clone(), w, 1e-6, r.clone())[0],
        lambda x, w, r: _rms(x + r, 1 + w),
        [numbers(7, 200), numbers(200), numbers(7, 200)],
    )


def rotary(name: str, is_neox: bool) -> None:
    @operator(name)
    def make() -> Trial:
        import torch
        from conch.ops.embedding.rotary_embedding import rotary_embedding as function

        size, n = 64, 11
        positions = torch.randint(0, 32, (n,))
        angles = torch.arange(32)[:, None] * 10_000.0 ** (-torch.arange(0, size, 2) / size)
        table = torch.cat([angles.cos(), angles.sin()], -1).double()

        def turned(x: Any, table: Any) -> Any:
            cos, sin = table[positions][:, None].chunk(2, -1)
            x = x.view(n, -1, size)
            a, b = x.chunk(2, -1) if is_neox else (x[..., ::2], x[..., 1::2])
            pair = (a * cos - b * sin, b * cos + a * sin)
            return (torch.cat(pair, -1) if is_neox else torch.stack(pair, -1).flatten(-2)).flatten(1)

        return Trial(
            lambda q, k, t: function(positions, q.clone(), k.clone(), size, t, is_neox=is_neox),
            lambda q, k, t: (turned(q, t), turned(k, t)),
            [numbers(n, 4 * size), numbers(n, 2 * size), table],
        )


rotary("rotary_embedding neox", True)


@operator("scaled_int8_quant", ("float32", *_HALVES))
def scaled_int8_quant() -> Trial:
    import torch
    from conch.ops.quantization.int8 import scaled_int8_quant as function

    scale = torch.tensor([0.5])
    whole = torch.randint(-100, 100, (9, 200)).double() * 0.5  # quotients are whole: no rounding rule decides
    return Trial(lambda x: function(x, scale)[0], lambda x: (x / 0.5).round().clamp(-128, 127).to(torch.int8), [whole])


@operator("scaled_fp8_quant", ("float32", *_HALVES))
def scaled_fp8_quant() -> Trial:
    import torch
    from conch.ops.quantization.fp8 import scaled_fp8_quant as function

    from teachkit.frontends import target

    scale = torch.tensor([0.5])
    target.set_architecture(90)  # the compiler has this type from sm_89 on
    return Trial(
        lambda x: function(x, scale)[0].float(),
        lambda x: (x.float() / 0.5).clamp(-448, 448).to(torch.float8_e4m3fn).float(),
        [numbers(9, 200, scale=20)],
        tolerance=1e-6,
    )


def scaled_gemm(name: str, rows: int, columns: int, inner: int) -> None:
    @operator(name)
    def make() -> Trial:
        import torch
        from conch.ops.quantization.gemm import scaled_gemm as function

        a, b = (torch.randint(-128, 128, shape, dtype=torch.int8) for shape in ((rows, inner), (inner, columns)))
        scale_a, scale_b = (torch.rand(size, 1) * 0.02 + 0.01 for size in (rows, columns))

        def call(like: Any) -> Any:
            return function(a, b, scale_a, scale_b, like.dtype)

        def reference(like: Any) -> Any:
            return scale_a.double() * (a.double() @ b.double()) * scale_b.double().T

        return Trial(call, reference, [numbers(1)])


scaled_gemm("scaled_gemm int8", 64, 64, 256)
scaled_gemm("scaled_gemm int8 of odd sizes", 40, 72, 96)


def mixed_precision(bits: int) -> None:
    @operator(f"mixed_precision_gemm {bits} bits")
    def make() -> Trial:
        import torch
        from conch.ops.quantization.gemm import mixed_precision_gemm as function

        rows, columns, inner, group = 16, 64, 128, 128
        codes = torch.randint(0, 2**bits, (inner, columns), dtype=torch.int64)
        per_word = 32 // bits
        shifts = torch.arange(per_word) * bits
        packed = (codes.view(inner // per_word, per_word, columns) << shifts[:, None]).sum(1)
        packed = torch.where(packed >= 2**31, packed - 2**32, packed).int()
        bias = 2 ** (bits - 1)

        def reference(x: Any, scales: Any) -> Any:
            return x @ ((codes - bias) * scales.repeat_interleave(group, 0))

        def call(x: Any, scales: Any) -> Any:
            return function(x, packed, scales, None, bits, bias, group)

        return Trial(call, reference, [numbers(rows, inner), numbers(inner // group, columns).abs()])


for _bits in (4, 8):
    mixed_precision(_bits)


def _paged(n_sequences: int, n_blocks: int, block: int, n_heads: int, size: int) -> tuple[Any, Any, Any]:
    """Caches of keys and values, and which blocks of them belong to each sequence."""
    import torch

    caches = [numbers(n_sequences * n_blocks, block, n_heads, size) for _ in range(2)]
    table = torch.randperm(n_sequences * n_blocks).int().view(n_sequences, n_blocks)
    return caches[0], caches[1], table


def _attend(query: Any, keys: Any, values: Any, is_causal: bool = False) -> Any:
    """``query [n, heads, size]`` over ``keys, values [m, kv heads, size]``; the last query sees the last key."""
    import torch

    repeat = query.shape[1] // keys.shape[1]
    keys, values = (x.repeat_interleave(repeat, 1) for x in (keys, values))
    scores = torch.einsum("nhd,mhd->hnm", query, keys) / query.shape[-1] ** 0.5
    if is_causal:
        n, m = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(n, m, dtype=torch.bool).triu(m - n + 1), float("-inf"))
    return torch.einsum("hnm,mhd->nhd", scores.softmax(-1), values)


@operator("paged_attention")
def paged_attention() -> Trial:
    import torch
    from conch.ops.attention.paged_attention import paged_attention as function

    lengths = torch.tensor([37, 5], dtype=torch.int32)
    keys, values, table = _paged(2, 4, 16, 2, 64)

    def reference(q: Any, k: Any, v: Any) -> Any:
        rows = []
        for i, length in enumerate(lengths.tolist()):
            k_i, v_i = (x[table[i].long()].flatten(0, 1)[:length] for x in (k, v))
            rows.append(_attend(q[i : i + 1], k_i, v_i))
        return torch.cat(rows)

    return Trial(
        lambda q, k, v: function(q, k, v, table, lengths), reference, [numbers(2, 4, 64), keys, values], dots=True
    )


@operator("varlen_attention")
def varlen_attention() -> Trial:
    import torch
    from conch.ops.attention.varlen_attention import varlen_attention as function

    lengths = torch.tensor([20, 33], dtype=torch.int32)
    starts = torch.tensor([0, 20, 53], dtype=torch.int32)
    keys, values, table = _paged(2, 3, 16, 2, 64)

    def reference(q: Any, k: Any, v: Any) -> Any:
        rows = []
        for i, length in enumerate(lengths.tolist()):
            k_i, v_i = (x[table[i].long()].flatten(0, 1)[:length] for x in (k, v))
            rows.append(_attend(q[starts[i] : starts[i + 1]], k_i, v_i, is_causal=True))
        return torch.cat(rows)

    return Trial(
        lambda q, k, v: function(q, k, v, starts, 33, lengths, 33, table, causal=True),
        reference,
        [numbers(53, 4, 64), keys, values],
        dots=True,
    )


@operator("reshape_and_cache")
def reshape_and_cache() -> Trial:
    import torch
    from conch.ops.vllm.reshape_and_cache import reshape_and_cache as function

    slots = torch.randperm(4 * 16)[:21]

    def call(k: Any, v: Any) -> Any:
        caches = [torch.zeros(4, 16, 2, 64, dtype=k.dtype) for _ in range(2)]
        function(k, v, *caches, slots)
        return caches

    def reference(k: Any, v: Any) -> Any:
        caches = [torch.zeros(4 * 16, 2, 64, dtype=k.dtype) for _ in range(2)]
        for cache, x in zip(caches, (k, v), strict=True):
            cache[slots] = x
        return [cache.view(4, 16, 2, 64) for cache in caches]

    return Trial(call, reference, [numbers(21, 2, 64), numbers(21, 2, 64)])


@operator("copy_blocks")
def copy_blocks() -> Trial:
    import torch
    from conch.ops.vllm.copy_blocks import copy_blocks as function

    pairs = torch.tensor([[0, 5], [2, 7], [3, 6]])

    def call(k: Any, v: Any) -> Any:
        keys, values = [k.clone(), k.clone() + 1], [v.clone(), v.clone() + 1]
        function(keys, values, pairs)
        return [*keys, *values]

    def reference(k: Any, v: Any) -> Any:
        caches = [k.clone(), k.clone() + 1, v.clone(), v.clone() + 1]
        for cache in caches:
            cache[pairs[:, 1]] = cache[pairs[:, 0]]
        return caches

    return Trial(call, reference, [numbers(8, 16 * 2 * 32), numbers(8, 16 * 2 * 32)])


def blockwise(kind: str) -> None:
    @operator(f"quantize_blockwise {kind}", ("float32", "float16"))
    def make() -> Trial:
        from conch.ops.quantization.bitsandbytes.functional import dequantize_4bit, quantize_4bit

        # There and back: each block of 64 is divided by its largest magnitude, so half a step of 4 bits is lost.
        step = {"nf4": 0.16, "fp4": 0.17}[kind]

        def call(x: Any) -> Any:
            packed, state = quantize_4bit(x.contiguous(), blocksize=64, quant_type=kind)
            return dequantize_4bit(packed, state, blocksize=64, quant_type=kind)

        return Trial(call, lambda x: x, [numbers(1024).clamp(-3, 3)], tolerance=step)


for _kind in ("nf4", "fp4"):
    blockwise(_kind)


@operator("bev_pool", ("float32", "float16"))
def bev_pool() -> Trial:
    import torch
    from conch.ops.vision.bev_pool import bev_pool as function

    lengths = torch.tensor([3, 5, 1, 7], dtype=torch.int32)
    starts = (lengths.cumsum(0) - lengths).int()
    cells = torch.tensor([[0, 1, 0, 0], [2, 3, 0, 0], [1, 1, 1, 1], [3, 0, 1, 0]], dtype=torch.int32)  # x, y, z, batch
    places = cells.repeat_interleave(lengths.long(), 0)

    def reference(features: Any) -> Any:
        out = torch.zeros(2, 2, 4, 4, features.shape[1], dtype=features.dtype)
        for (x, y, z, batch), part in zip(cells.tolist(), features.split(lengths.tolist()), strict=True):
            out[batch, z, x, y] = part.sum(0)
        return out

    return Trial(lambda x: function(x, places, starts, lengths, 2, 2, 4, 4), reference, [numbers(16, 80)])


@operator("bev_pool_backward", ("float32", "float16"))
def bev_pool_backward() -> Trial:
    import torch
    from conch.ops.vision.bev_pool import bev_pool_backward as function

    lengths = torch.tensor([3, 5, 1, 7], dtype=torch.int32)
    starts = (lengths.cumsum(0) - lengths).int()
    cells = torch.tensor([[0, 1, 0, 0], [2, 3, 0, 0], [1, 1, 1, 1], [3, 0, 1, 0]], dtype=torch.int32)
    places = cells.repeat_interleave(lengths.long(), 0)

    def reference(gradient: Any) -> Any:
        x, y, z, batch = places.long().unbind(1)
        return gradient[batch, z, x, y]

    return Trial(lambda g: function(g, places, starts, lengths), reference, [numbers(2, 2, 4, 4, 80)])


@operator("nms", ("float32",))
def nms() -> Trial:
    import torch
    from conch.ops.vision.nms import nms as function

    corners = torch.rand(60, 2) * 20
    boxes = torch.cat([corners, corners + torch.rand(60, 2) * 10 + 1], 1)
    scores = torch.rand(60)

    def kept() -> Any:
        order, result = scores.argsort(descending=True).tolist(), []
        while order:
            best = order.pop(0)
            result.append(best)
            order = [other for other in order if overlap(boxes[best], boxes[other]) <= 0.5]
        return torch.tensor(result)

    def overlap(a: Any, b: Any) -> float:
        sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0)
        both = sides.prod()
        return float(both / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both))

    return Trial(lambda: [(function(boxes, scores, 0.5), kept())], None, [])


@operator("generate_voxels", ("float32",))
def generate_voxels() -> Trial:
    import torch
    from conch.ops.vision.voxelization import VoxelizationParameter
    from conch.ops.vision.voxelization import generate_voxels as function

    points = torch.rand(500, 4) * 8
    parameters = VoxelizationParameter((0.0, 0.0, 0.0), (8.0, 8.0, 8.0), (2.0, 2.0, 2.0), 20)

    def call() -> Any:
        n_filled, _, places, counts = function(points, parameters)
        n = int(n_filled.item())
        found = torch.zeros(4, 4, 4, dtype=torch.int32)
        x, y, z = places[:n, :3].long().unbind(1)
        found[x, y, z] = counts[:n]
        x, y, z = (points[:, :3] / 2).long().unbind(1)
        expected = torch.zeros(64, dtype=torch.int64)
        expected.index_add_(0, x * 16 + y * 4 + z, torch.ones(500, dtype=torch.int64))
        return [(found.flatten(), expected.clamp(max=20))]

    return Trial(call, None, [])
