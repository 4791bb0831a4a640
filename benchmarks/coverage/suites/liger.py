"""Every operator of liger-kernel that has a Triton kernel, forward and backward, against PyTorch in float64."""

from __future__ import annotations

from typing import Any

from benchmarks.coverage.judge import Trial, Trials, judge, randn

TITLE = "liger-kernel: every operator with a forward, and its backward (of autotuned kernels, two configurations)"
PACKAGES = ("liger-kernel", "torch", "triton")
CHUNK = 12
LIMIT_S = 600

_FLOATS = ("float32", "bfloat16", "float16")
trials = Trials(_FLOATS)
names, operator = trials.names, trials.add


def setup() -> None:
    """liger-kernel asks PyTorch, not Triton, whether there is a GPU, and picks block counts by it."""
    from benchmarks.coverage.device_queries import answer_for_modelled_gpu
    from benchmarks.coverage.tuning import keep_configurations

    answer_for_modelled_gpu()
    keep_configurations(2)
    import liger_kernel.utils

    liger_kernel.utils.infer_device = lambda: "cuda"


def run(name: str) -> None:
    judge(*trials.make(name))


def _functional() -> Any:
    import liger_kernel.transformers.functional as functional

    return functional


def _ops() -> Any:
    import liger_kernel.ops as ops

    return ops


def _rms(x: Any, weight: Any, eps: float = 1e-6) -> Any:
    import torch

    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


@operator("rms_norm")
def rms_norm() -> Trial:
    f = _functional().liger_rms_norm
    return Trial(lambda x, w: f(x, w, 1e-6, 0.0, "llama", False), _rms, [randn(3, 5, 200), randn(200)])


@operator("rms_norm gemma")
def rms_norm_gemma() -> Trial:
    f = _functional().liger_rms_norm
    return Trial(
        lambda x, w: f(x, w, 1e-6, 1.0, "gemma", False),
        lambda x, w: _rms(x, 1.0 + w),
        [randn(7, 130), randn(130)],
    )


@operator("fused_add_rms_norm")
def fused_add_rms_norm() -> Trial:
    f = _functional().liger_fused_add_rms_norm
    return Trial(
        lambda x, r, w: f(x, r, w, 1e-6, 0.0, "llama", False),
        lambda x, r, w: (_rms(x + r, w), x + r),
        [randn(6, 200), randn(6, 200), randn(200)],
    )


@operator("modulated_rms_norm")
def modulated_rms_norm() -> Trial:
    f = _functional().liger_modulated_rms_norm
    return Trial(
        lambda x, w, scale, shift: f(x, w, scale, shift, 1e-6, 0.0, "llama", False),
        lambda x, w, scale, shift: (1 + scale[:, None]) * _rms(x, w) + shift[:, None],
        [randn(2, 5, 96), randn(96), randn(2, 96), randn(2, 96)],
    )


@operator("layer_norm")
def layer_norm() -> Trial:
    import torch

    f = _functional().liger_layer_norm
    return Trial(
        lambda x, w, b: f(x, w, b, 1e-5),
        lambda x, w, b: torch.nn.functional.layer_norm(x, x.shape[-1:], w, b, 1e-5),
        [randn(9, 300), randn(300), randn(300)],
    )


@operator("group_norm")
def group_norm() -> Trial:
    import torch

    f = _functional().liger_group_norm
    return Trial(
        lambda x, w, b: f(x, w, b, 8, 4, 1e-5),
        lambda x, w, b: torch.nn.functional.group_norm(x, 4, w, b, 1e-5),
        [randn(3, 8, 21), randn(8), randn(8)],
    )


@operator("poly_norm")
def poly_norm() -> Trial:
    import torch

    def reference(x: Any, w: Any, b: Any) -> Any:
        powers = (x**3, x**2, x)
        terms = [
            weight * p * torch.rsqrt(p.square().mean(-1, keepdim=True) + 1e-6)
            for weight, p in zip(w, powers, strict=True)
        ]
        return sum(terms) + b

    f = _functional().liger_poly_norm
    return Trial(
        lambda x, w, b: f(x, w, b, 1e-6, False),
        reference,
        [randn(6, 150), randn(3), randn(1).squeeze().detach().requires_grad_()],
    )


@operator("dyt")
def dyt() -> Trial:
    import torch

    return Trial(
        _functional().liger_dyt,
        lambda x, alpha, gamma, beta: gamma * torch.tanh(alpha * x) + beta,
        [randn(4, 6, 140), randn(1), randn(140), randn(140)],
    )


@operator("geglu")
def geglu() -> Trial:
    import torch

    return Trial(
        _functional().liger_geglu,
        lambda a, b: torch.nn.functional.gelu(a, approximate="tanh") * b,
        [randn(2, 7, 100), randn(2, 7, 100)],
    )


@operator("swiglu")
def swiglu() -> Trial:
    import torch

    return Trial(
        _functional().liger_swiglu,
        lambda a, b: torch.nn.functional.silu(a) * b,
        [randn(2, 7, 100), randn(2, 7, 100)],
    )


@operator("swiglu multipliers")
def swiglu_multipliers() -> Trial:
    import torch

    f = _ops().LigerSiLUMulFunction.apply
    return Trial(
        lambda a, b: f(a, b, 0.5, 2.0),
        lambda a, b: torch.nn.functional.silu(0.5 * a) * b * 2.0,
        [randn(9, 100), randn(9, 100)],
    )


@operator("swiglu gate and up in one")
def swiglu_fused_gate_up() -> Trial:
    import torch

    def reference(y: Any) -> Any:
        gate, up = y.chunk(2, -1)
        return torch.nn.functional.silu(gate) * up

    return Trial(_ops().LigerFusedGateUpSiLUMulFunction.apply, reference, [randn(9, 200)])


@operator("relu_squared")
def relu_squared() -> Trial:
    return Trial(_functional().liger_relu_squared, lambda x: x.clamp(min=0).square(), [randn(5, 333)])


@operator("softmax")
def softmax() -> Trial:
    return Trial(_functional().liger_softmax, lambda x: x.softmax(-1), [randn(4, 3, 250, scale=3)])


@operator("softmax of long rows", ("float32",))
def softmax_long() -> Trial:
    return Trial(_functional().liger_softmax, lambda x: x.softmax(-1), [randn(2, 40_000)])


@operator("sparsemax")
def sparsemax() -> Trial:
    return Trial(lambda x: _functional().liger_sparsemax(x, -1), _sparsemax, [randn(6, 90)])


def _sparsemax(x: Any) -> Any:
    import torch

    ordered, _ = x.sort(-1, descending=True)
    k = torch.arange(1, x.shape[-1] + 1)
    support = ((1 + k * ordered) > ordered.cumsum(-1)).sum(-1, keepdim=True)
    threshold = (ordered.cumsum(-1).gather(-1, support - 1) - 1) / support
    return (x - threshold).clamp(min=0)


def _rotated(x: Any) -> Any:
    import torch

    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def _angles(n: int, head_dim: int) -> tuple[Any, Any]:
    import torch

    rates = 10_000.0 ** (-torch.arange(0, head_dim, 2) / head_dim)
    angles = torch.cat([torch.arange(n)[:, None] * rates] * 2, -1)
    return angles.cos().double(), angles.sin().double()


@operator("rope")
def rope() -> Trial:
    cos, sin = _angles(11, 32)

    def reference(q: Any, k: Any, cos: Any, sin: Any) -> Any:
        return q * cos[0] + _rotated(q) * sin[0], k * cos[0] + _rotated(k) * sin[0]

    return Trial(
        lambda q, k, cos, sin: _functional().liger_rope(q.clone(), k.clone(), cos, sin),
        reference,
        [randn(2, 4, 11, 32), randn(2, 2, 11, 32), cos[None], sin[None]],
    )


@operator("qwen2vl_mrope")
def qwen2vl_mrope() -> Trial:
    import torch

    sections = [4, 6, 6]
    tables = [_angles(9, 32) for _ in range(3)]
    cos = torch.stack([c.roll(i, 0) for i, (c, _) in enumerate(tables)])[:, None]
    sin = torch.stack([s.roll(i, 0) for i, (_, s) in enumerate(tables)])[:, None]

    def reference(q: Any, k: Any, cos: Any, sin: Any) -> Any:
        def mixed(table: Any) -> Any:
            parts = table.split(sections * 2, -1)
            return torch.cat([part[i % 3] for i, part in enumerate(parts)], -1)[:, None]

        c, s = mixed(cos), mixed(sin)
        return q * c + _rotated(q) * s, k * c + _rotated(k) * s

    f = _functional().liger_qwen2vl_mrope
    return Trial(
        lambda q, k, cos, sin: f(q.clone(), k.clone(), cos, sin, sections),
        reference,
        [randn(1, 4, 9, 32), randn(1, 2, 9, 32), cos, sin],
    )


@operator("llama4_rope")
def llama4_rope() -> Trial:
    import torch

    angles = torch.outer(torch.arange(9), 10_000.0 ** (-torch.arange(0, 16) / 16))
    table = torch.polar(torch.ones_like(angles), angles)

    def turned(x: Any) -> Any:
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * table[None, :, None].to(torch.complex128)).flatten(-2)

    f = _ops().LigerLlama4RopeFunction.apply
    return Trial(
        lambda q, k: f(q.clone(), k.clone(), table),
        lambda q, k: (turned(q), turned(k)),
        [randn(2, 9, 4, 32), randn(2, 9, 2, 32)],
    )


def _labels(n: int, n_classes: int, ignored: int = 3) -> Any:
    import torch

    labels = torch.randint(0, n_classes, (n,))
    labels[ignored] = -100
    return labels


@operator("cross_entropy")
def cross_entropy() -> Trial:
    import torch

    f = _functional().liger_cross_entropy
    return Trial(
        lambda x, y: f(x.clone(), y),
        lambda x, y: torch.nn.functional.cross_entropy(x, y),
        [randn(9, 500), _labels(9, 500)],
    )


@operator("cross_entropy with every option")
def cross_entropy_options() -> Trial:
    import torch

    f, weight = _functional().liger_cross_entropy, torch.rand(300) + 0.5

    def call(x: Any, y: Any) -> Any:
        result = f(x.clone(), y, weight=weight, label_smoothing=0.1, softcap=20.0, return_predicted_tokens=True)
        return result.loss, result.predicted_tokens

    def reference(x: Any, y: Any) -> Any:
        capped = 20.0 * torch.tanh(x / 20.0)
        loss = torch.nn.functional.cross_entropy(capped, y, weight.double(), label_smoothing=0.1)
        return loss, torch.where(y == -100, -1, capped.argmax(-1))

    return Trial(call, reference, [randn(9, 300), _labels(9, 300)])


@operator("cross_entropy with z-loss")
def cross_entropy_z() -> Trial:
    import torch

    f = _functional().liger_cross_entropy

    def call(x: Any, y: Any) -> Any:
        result = f(x.clone(), y, lse_square_scale=1e-2, return_z_loss=True)
        return result.loss, result.z_loss.detach()

    def reference(x: Any, y: Any) -> Any:
        z_loss = 1e-2 * x.logsumexp(-1).square()[y != -100].mean()
        return torch.nn.functional.cross_entropy(x, y) + z_loss, z_loss.detach()

    return Trial(call, reference, [randn(9, 300), _labels(9, 300)])


@operator("vocab_parallel_cross_entropy")
def vocab_parallel_cross_entropy() -> Trial:
    import torch

    f = _ops().LigerVocabParallelCEFunction.apply
    labels = _labels(10, 200).view(5, 2)
    return Trial(
        lambda x: f(x, labels, None, -100, 0.0, "pytorch", "global"),
        lambda x: torch.nn.functional.cross_entropy(x.flatten(0, 1), labels.flatten(), reduction="none").view(5, 2),
        [randn(5, 2, 200)],
    )


@operator("fused_linear_cross_entropy")
def fused_linear_cross_entropy() -> Trial:
    import torch

    f = _functional().liger_fused_linear_cross_entropy
    return Trial(
        lambda x, w, b, y: f(x, w, y, b),
        lambda x, w, b, y: torch.nn.functional.cross_entropy(x @ w.T + b, y),
        [randn(12, 40), randn(150, 40, scale=0.3), randn(150), _labels(12, 150)],
    )


def _kl(p: Any, log_p: Any, log_q: Any) -> Any:
    return p * (log_p - log_q)


@operator("kl_div")
def kl_div() -> Trial:
    import torch

    f = _functional().liger_kl_div
    return Trial(
        lambda x, p: f(x.log_softmax(-1), p, reduction="batchmean"),
        lambda x, p: torch.nn.functional.kl_div(x.log_softmax(-1), p, reduction="batchmean"),
        [randn(6, 200), randn(6, 200, grad=False).softmax(-1)],
    )


@operator("jsd")
def jsd() -> Trial:
    f = _functional().liger_jsd

    def reference(x: Any, t: Any) -> Any:
        log_q, log_p = x.log_softmax(-1), t.log_softmax(-1)
        return _jsd(log_q, log_p).sum() / x.shape[0]

    return Trial(
        lambda x, t: f(x.log_softmax(-1), t.log_softmax(-1), None, 0.3),
        reference,
        [randn(6, 200), randn(6, 200, grad=False)],
    )


def _jsd(log_q: Any, log_p: Any, beta: float = 0.3) -> Any:
    p, q = log_p.exp(), log_q.exp()
    log_m = (beta * p + (1 - beta) * q).log()
    return beta * _kl(p, log_p, log_m) + (1 - beta) * _kl(q, log_q, log_m)


@operator("fused_linear_jsd")
def fused_linear_jsd() -> Trial:
    f = _functional().liger_fused_linear_jsd

    def reference(x: Any, w: Any, tx: Any, tw: Any) -> Any:
        return _jsd((x @ w.T).log_softmax(-1), (tx @ tw.T).log_softmax(-1)).sum() / x.shape[0]

    return Trial(
        lambda x, w, tx, tw: f(x, w, tx, tw, None, 0.3),
        reference,
        [randn(8, 30), randn(120, 30, scale=0.3), randn(8, 40, grad=False), randn(120, 40, scale=0.3, grad=False)],
    )


@operator("fused_linear_kl_div")
def fused_linear_kl_div() -> Trial:
    import torch

    f = _functional().liger_fused_linear_kl_div
    return Trial(
        f,
        lambda x, w, p: torch.nn.functional.kl_div((x @ w.T).log_softmax(-1), p, reduction="batchmean"),
        [randn(8, 30), randn(120, 30, scale=0.3), randn(8, 120, grad=False).softmax(-1)],
    )


@operator("tvd")
def tvd() -> Trial:
    f = _functional().liger_tvd
    return Trial(
        lambda p, q: f(p, q, None, "batchmean"),
        lambda p, q: 0.5 * (p - q).abs().sum() / p.shape[0],
        # Probabilities themselves: the gradient is a sign, and no rounding may come before it.
        [randn(6, 200).softmax(-1).detach().requires_grad_(), randn(6, 200, grad=False).softmax(-1)],
    )


@operator("fused_ce_tvd")
def fused_ce_tvd() -> Trial:
    import torch

    def reference(x: Any, t: Any, y: Any) -> Any:
        ce = torch.nn.functional.cross_entropy(x, y, reduction="none")
        return ce, torch.where(y == -100, 0.0, 0.5 * (x.softmax(-1) - t.softmax(-1)).abs().sum(-1))

    f = _ops().LigerFusedCETVDFunction.apply
    return Trial(
        lambda x, t, y: f(x.clone(), t, y), reference, [randn(9, 300), randn(9, 300, grad=False), _labels(9, 300)]
    )


@operator("grpo_loss")
def grpo_loss() -> Trial:
    import torch

    n, length, vocab = 3, 6, 90
    tokens, mask = torch.randint(0, vocab, (n, length)), (torch.rand(n, length) > 0.2).int()
    old, base = torch.randn(n, length) * 0.2 - 4.5, torch.randn(n, length) * 0.2 - 4.5
    advantages = torch.randn(n)

    def call(logits: Any) -> Any:
        f = _ops().GrpoLossFunction.apply
        return f(logits, old, base, tokens, advantages, mask, 0.9, 0.04, 0.2, 0.4, False, "grpo", None, False)[0]

    def reference(logits: Any) -> Any:
        logs = (logits[:, :-1] / 0.9).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        ratio, a = (logs - old).exp(), advantages[:, None]
        loss = -torch.minimum(ratio * a, ratio.clamp(0.8, 1.4) * a)
        divergence = (base - logs).exp() - (base - logs) - 1
        return (loss + 0.04 * divergence) * mask

    return Trial(call, reference, [randn(n, length + 1, vocab)])


@operator("multi_token_attention")
def multi_token_attention() -> Trial:
    import torch

    f = _functional().liger_multi_token_attention

    def reference(scores: Any, weight: Any, bias: Any) -> Any:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        shares = scores.masked_fill(future, float("-inf")).softmax(-1)
        out = torch.nn.functional.conv2d(shares, weight, bias, padding=1)
        return out.masked_fill(future, 0.0)

    return Trial(
        lambda s, w, b: f(s.clone(), w, b, padding=1), reference, [randn(2, 4, 20, 20), randn(4, 4, 3, 3), randn(4)]
    )


@operator("multi_token_attention sparse", ("float32",))
def multi_token_attention_sparse() -> Trial:
    import torch

    f = _functional().liger_multi_token_attention

    def reference(scores: Any, weight: Any, bias: Any) -> Any:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        shares = _sparsemax(scores.masked_fill(future, -1e9))
        return torch.nn.functional.conv2d(shares, weight, bias, padding=1).masked_fill(future, 0.0)

    return Trial(
        lambda s, w, b: f(s.clone(), w, b, padding=1, sparse=True),
        reference,
        [randn(1, 2, 20, 20), randn(2, 2, 3, 3), randn(2)],
    )


@operator("fused_neighborhood_attention")
def fused_neighborhood_attention() -> Trial:
    import torch

    def reference(q: Any, k: Any, v: Any) -> Any:
        positions = torch.arange(q.shape[2])
        far = (positions[:, None] - positions).abs() > 2
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(far, float("-inf"))
        return scores.softmax(-1) @ v

    f = _functional().liger_fused_neighborhood_attention
    return Trial(
        lambda q, k, v: f(q, k, v, 5),
        reference,
        [randn(1, 2, 32, 16), randn(1, 2, 32, 16), randn(1, 2, 32, 16)],
        dots=True,
    )


@operator("attn_res")
def attn_res() -> Trial:
    import torch

    def reference(v: Any, query: Any, norm: Any) -> Any:
        alpha = torch.einsum("nbtd,d->nbt", _rms(v, norm), query).softmax(0)
        return torch.einsum("nbt,nbtd->btd", alpha, v)

    f = _functional().liger_attn_res
    return Trial(lambda v, q, n: f(v, q, n), reference, [randn(4, 2, 5, 72), randn(72, scale=0.2), randn(72)])


def _mhc_inputs(n_streams: int = 4, channels: int = 48) -> list[Any]:
    n_columns = n_streams * n_streams + 2 * n_streams
    return [
        randn(2, 5, n_streams, channels),
        randn(n_streams * channels, n_columns, scale=0.05),
        randn(n_columns, scale=0.1),
    ]


@operator("mhc_coeffs")
def mhc_coeffs() -> Trial:
    import torch

    n = 4

    def reference(x: Any, phi: Any, b: Any, pre: Any, post: Any, res: Any) -> Any:
        flat = x.flatten(-2)
        mix = (flat @ phi) * torch.rsqrt(flat.square().mean(-1, keepdim=True) + 1e-6)
        h_pre = torch.sigmoid(mix[..., :n] * pre + b[:n])
        h_post = 2.0 * torch.sigmoid(mix[..., n : 2 * n] * post + b[n : 2 * n])
        matrix = (mix[..., 2 * n :] * res + b[2 * n :]).unflatten(-1, (n, n)).softmax(-1) + 1e-6
        matrix = matrix / (matrix.sum(-2, keepdim=True) + 1e-6)
        for _ in range(19):
            matrix = matrix / (matrix.sum(-1, keepdim=True) + 1e-6)
            matrix = matrix / (matrix.sum(-2, keepdim=True) + 1e-6)
        return h_pre, h_post, matrix

    f = _functional().liger_mhc_coeffs
    scalars = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.7, 0.9, 1.1)]
    return Trial(lambda *a: f(*a, allow_fp32=True), reference, [*_mhc_inputs(), *scalars], dots=True)


@operator("mhc_pre")
def mhc_pre() -> Trial:
    return Trial(
        _functional().liger_mhc_pre, lambda x, h: (x * h[..., None]).sum(-2), [randn(2, 5, 4, 48), randn(2, 5, 4)]
    )


@operator("mhc_post_res")
def mhc_post_res() -> Trial:
    return Trial(
        _functional().liger_mhc_post_res,
        lambda x, f, post, res: f[..., None, :] * post[..., None] + res @ x,
        [randn(2, 5, 4, 48), randn(2, 5, 48), randn(2, 5, 4), randn(2, 5, 4, 4)],
    )


@operator("fused_moe")
def fused_moe() -> Trial:
    import torch

    n_tokens, n_experts, hidden, inner = 20, 4, 32, 64
    chosen = torch.stack([torch.randperm(n_experts)[:2] for _ in range(n_tokens)]).int()

    def reference(x: Any, up: Any, down: Any, shares: Any) -> Any:
        rows = []
        for token in range(n_tokens):
            total = 0.0
            for share, expert in zip(shares[token], chosen[token].tolist(), strict=True):
                gate, value = (up[expert] @ x[token]).chunk(2)
                total = total + share * (down[expert] @ (torch.nn.functional.silu(gate) * value))
            rows.append(total)
        return torch.stack(rows)

    f = _ops().LigerFusedMoEFunction.apply
    inputs = [
        randn(n_tokens, hidden),
        randn(n_experts, 2 * inner, hidden, scale=0.2),
        randn(n_experts, hidden, inner, scale=0.2),
        torch.rand(n_tokens, 2, dtype=torch.float64).requires_grad_(),
    ]
    return Trial(lambda x, up, down, shares: f(x, up, down, chosen, shares), reference, inputs, dots=True)


@operator("mlp", ("bfloat16", "float16"))
def mlp() -> Trial:
    import torch

    def reference(x: Any, gate: Any, up: Any, down: Any) -> Any:
        return (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T

    def call(*tensors: Any) -> Any:
        from benchmarks.coverage.device_queries import tensors_claim_cuda

        with tensors_claim_cuda():
            return _ops().LigerMLPFunction.apply(*tensors)

    inputs = [randn(2, 16, 64), randn(128, 64, scale=0.2), randn(128, 64, scale=0.2), randn(64, 128, scale=0.2)]
    return Trial(call, reference, inputs, dots=True)


@operator("tiled_mlp")
def tiled_mlp() -> Trial:
    import torch

    def call(x: Any, gate: Any, up: Any, down: Any) -> Any:
        swiglu = _functional().liger_swiglu
        return _ops().apply_tiled_mlp(
            lambda _, part: swiglu(part @ gate.T, part @ up.T) @ down.T, torch.nn.Identity(), x, 3, [gate, up, down]
        )

    def reference(x: Any, gate: Any, up: Any, down: Any) -> Any:
        return (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T

    inputs = [randn(1, 12, 32), randn(64, 32, scale=0.3), randn(64, 32, scale=0.3), randn(32, 64, scale=0.3)]
    return Trial(call, reference, inputs)


@operator("embedding")
def embedding() -> Trial:
    import torch

    rows = torch.randint(0, 50, (3, 7))
    return Trial(lambda w: _ops().LigerEmbeddingFunction.apply(w, rows), lambda w: w[rows], [randn(50, 64)])


@operator("mm_int8int2", ("float32",))
def mm_int8int2() -> Trial:
    import torch

    def call(a: Any, b: Any) -> Any:
        from liger_kernel.ops.experimental import mm_int8int2 as module

        product = module.matmul(a, module.pack_weights(b.clone(), 2))
        return [(product, a.int() @ b.int())]

    inputs = [torch.randint(-128, 128, (64, 512), dtype=torch.int8), torch.randint(-1, 2, (512, 64), dtype=torch.int8)]
    return Trial(call, None, inputs)
