"""Operators of fla-core, forward and backward, against the package's own naive references or PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.coverage.judge import Trial, Trials, judge, randn

TITLE = "fla-core: linear attention and its building blocks, the smallest configuration of each autotuned kernel"
PACKAGES = ("fla-core", "einops", "torch", "triton")
CHUNK = 4
LIMIT_S = 600

_BOTH = ("float32", "bfloat16")
_FULL = ("float32",)  # operators of many kernels: compiling them once takes long enough
_HALF = ("bfloat16",)  # operators that refuse float32
trials = Trials(_FULL)
names, operator = trials.names, trials.add
# Chunked forms chain several tf32 or bfloat16 dots, some through the inverse of a triangular matrix.
_CHAINED = {"float32": 1e-2, "bfloat16": 5e-2, "float16": 1e-2}

BATCH, TIME, HEADS, SIZE = 1, 70, 2, 32


def setup() -> None:
    """fla-core asks ``torch.cuda`` for the name of the GPU that Triton reports."""
    from benchmarks.coverage.device_queries import answer_for_modelled_gpu
    from benchmarks.coverage.tuning import keep_configurations

    answer_for_modelled_gpu()
    keep_configurations(1)


def run(name: str) -> None:
    trial, dtype = trials.make(name)
    trial.tolerance = trial.tolerance or _CHAINED[dtype]
    judge(trial, dtype)


def heads(scale: float = 1.0, size: int = SIZE) -> Any:
    """Random ``[batch, time, heads, size]``."""
    return randn(BATCH, TIME, HEADS, size, scale=scale)


def unit(x: Any) -> Any:
    """A tensor whose last axis has length 1, as keys of delta rules must."""
    return (x / x.norm(dim=-1, keepdim=True)).detach().requires_grad_()


def gates(*shape: int, low: float = 0.05) -> Any:
    """Logarithms of decays."""
    import torch

    return (torch.nn.functional.logsigmoid(torch.randn(*shape, dtype=torch.float64)) * low).requires_grad_()


def shares(*shape: int) -> Any:
    """Numbers between 0 and 1."""
    import torch

    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


def of_package(path: str) -> Callable[..., Any]:
    """``"ops.gla.chunk_gla"``: the function of that name in ``fla``; of several results the first is compared."""
    module, _, name = path.rpartition(".")
    function = getattr(import_module(f"fla.{module}"), name)

    def call(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        return result[0] if isinstance(result, tuple) else result

    return call


def heads_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reference that wants ``[batch, heads, time, ...]``."""

    def call(*args: Any, **options: Any) -> Any:
        return function(*(x.transpose(1, 2) for x in args), **options).transpose(1, 2)

    return call


def retention(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        reference = heads_first(of_package("ops.retention.naive.naive_retention"))
        return Trial(of_package(f"ops.retention.{name}"), reference, [heads(), heads(), heads()])


for _name in ("chunk_retention", "fused_chunk_retention", "fused_recurrent_retention", "parallel_retention"):
    retention(_name)


def simple_gla(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        reference = of_package("ops.simple_gla.naive.naive_recurrent_simple_gla")
        function = of_package(f"ops.simple_gla.{name}")
        inputs = [heads(), heads(), heads(), gates(BATCH, TIME, HEADS, low=1.0)]
        return Trial(lambda q, k, v, g: function(q, k, v, g=g), reference, inputs)


for _name in ("chunk_simple_gla", "fused_chunk_simple_gla", "fused_recurrent_simple_gla", "parallel_simple_gla"):
    simple_gla(_name)


def gla(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        reference = of_package("ops.gla.naive.naive_recurrent_gla")
        inputs = [heads(), heads(), heads(), gates(BATCH, TIME, HEADS, SIZE)]
        return Trial(of_package(f"ops.gla.{name}"), reference, inputs)


for _name in ("chunk_gla", "fused_recurrent_gla"):
    gla(_name)


def linear_attention(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        naive = of_package("ops.linear_attn.naive.naive_recurrent_linear_attn")
        function = of_package(f"ops.linear_attn.{name}")
        return Trial(lambda q, k, v: function(q, k, v, normalize=False), naive, [heads(), heads(), heads()])


for _name in ("chunk_linear_attn", "fused_chunk_linear_attn", "fused_recurrent_linear_attn"):
    linear_attention(_name)


def delta_rule(name: str, dtypes: tuple[str, ...]) -> None:
    @operator(name, dtypes)
    def make() -> Trial:
        from fla.ops.delta_rule.naive import delta_rule_recurrence

        def reference(q: Any, k: Any, v: Any, beta: Any) -> Any:
            return delta_rule_recurrence(*(x.transpose(1, 2) for x in (q, k, v, beta)))[0].transpose(1, 2)

        inputs = [heads(), unit(heads()), heads(), shares(BATCH, TIME, HEADS)]
        return Trial(of_package(f"ops.delta_rule.{name}"), reference, inputs)


delta_rule("chunk_delta_rule", _HALF)
delta_rule("fused_recurrent_delta_rule", _FULL)


def gated_delta_rule(name: str, dtypes: tuple[str, ...]) -> None:
    @operator(name, dtypes)
    def make() -> Trial:
        naive = of_package("ops.gated_delta_rule.naive.naive_recurrent_gated_delta_rule")
        function = of_package(f"ops.gated_delta_rule.{name}")
        inputs = [heads(), unit(heads()), heads(), gates(BATCH, TIME, HEADS), shares(BATCH, TIME, HEADS)]
        if name.startswith("fused"):  # forward only
            inputs = [x.detach() for x in inputs]
        return Trial(
            lambda q, k, v, g, beta: function(q, k, v, g=g, beta=beta),
            lambda q, k, v, g, beta: naive(q, k, v, beta, g),
            inputs,
        )


gated_delta_rule("chunk_gated_delta_rule", _HALF)
gated_delta_rule("fused_recurrent_gated_delta_rule", _FULL)


def kda(name: str, dtypes: tuple[str, ...]) -> None:
    @operator(name, dtypes)
    def make() -> Trial:
        naive, function = of_package("ops.kda.naive.naive_recurrent_kda"), of_package(f"ops.kda.{name}")
        inputs = [unit(heads()), unit(heads()), heads(), gates(BATCH, TIME, HEADS, SIZE), shares(BATCH, TIME, HEADS)]
        if name.startswith("fused"):  # forward only
            inputs = [x.detach() for x in inputs]
        return Trial(
            lambda q, k, v, g, beta: function(q, k, v, g=g, beta=beta),
            lambda q, k, v, g, beta: naive(q, k, v, g, beta),
            inputs,
        )


kda("chunk_kda", _HALF)
kda("fused_recurrent_kda", _FULL)


def hgrn(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        naive = of_package("ops.hgrn.naive.naive_recurrent_hgrn")
        inputs = [randn(2, 50, 64), gates(2, 50, 64, low=1.0)]
        return Trial(of_package(f"ops.hgrn.{name}"), naive, inputs)


for _name in ("chunk_hgrn", "fused_recurrent_hgrn"):
    hgrn(_name)


def gsa(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        naive, function = of_package("ops.gsa.naive.naive_recurrent_gsa"), of_package(f"ops.gsa.{name}")
        inputs = [heads(), heads(), heads(), heads(size=16), gates(BATCH, TIME, HEADS, 16)]
        return Trial(function, naive, inputs)


for _name in ("chunk_gsa", "fused_recurrent_gsa"):
    gsa(_name)


@operator("chunk_abc")
def chunk_abc() -> Trial:
    naive = of_package("ops.abc.naive.naive_recurrent_abc")
    return Trial(of_package("ops.abc.chunk_abc"), heads_first(naive), [heads(), heads(), heads(), heads(size=16)])


def based(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        reference = heads_first(of_package("ops.based.naive.naive_parallel_based"))
        inputs = [heads(size=16), heads(size=16), heads()]
        return Trial(of_package(f"ops.based.{name}"), reference, inputs)


for _name in ("parallel_based", "fused_chunk_based"):
    based(_name)


@operator("parallel_rebased")
def parallel_rebased() -> Trial:
    function = of_package("ops.rebased.parallel_rebased")
    reference = heads_first(of_package("ops.rebased.naive.naive_parallel_rebased"))
    inputs = [heads(size=16), heads(size=16), heads()]
    return Trial(lambda q, k, v: function(q, k, v, eps=1e-6), reference, inputs)


@operator("parallel_attn")
def parallel_attn() -> Trial:
    import torch

    def reference(q: Any, k: Any, v: Any) -> Any:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)

    return Trial(of_package("ops.attn.parallel_attn"), reference, [heads(), heads(), heads()])


@operator("parallel_attn with a window")
def parallel_attn_window() -> Trial:
    function, naive = of_package("ops.attn.parallel_attn"), of_package("ops.attn.naive.naive_parallel_attn")
    return Trial(
        lambda q, k, v: function(q, k, v, window_size=20),
        lambda q, k, v: naive(q, k, v, window_size=20),
        [heads(), heads(), heads()],
    )


@operator("parallel_forgetting_attn")
def parallel_forgetting_attn() -> Trial:
    naive = of_package("ops.forgetting_attn.naive.naive_forgetting_attn")
    inputs = [heads(), heads(), heads(), gates(BATCH, TIME, HEADS, low=1.0)]
    return Trial(of_package("ops.forgetting_attn.parallel_forgetting_attn"), naive, inputs)


def rwkv6(name: str) -> None:
    @operator(name)
    def make() -> Trial:
        from fla.ops.rwkv6.recurrent_naive import naive_recurrent_rwkv6

        def reference(r: Any, k: Any, v: Any, w: Any, u: Any) -> Any:
            return naive_recurrent_rwkv6(*(x.transpose(1, 2) for x in (r, k, v, w)), u)[0].transpose(1, 2)

        inputs = [heads(), heads(), heads(), gates(BATCH, TIME, HEADS, SIZE), randn(HEADS, SIZE)]
        return Trial(of_package(f"ops.rwkv6.{name}"), reference, inputs)


for _name in ("chunk_rwkv6", "fused_recurrent_rwkv6"):
    rwkv6(_name)


@operator("fused_recurrent_rwkv7")
def fused_recurrent_rwkv7() -> Trial:
    import torch

    def reference(r: Any, w: Any, k: Any, v: Any, a: Any, b: Any) -> Any:
        state, rows = torch.zeros(BATCH, HEADS, SIZE, SIZE, dtype=torch.float64), []
        for t in range(TIME):
            read = torch.einsum("bhk,bhkv->bhv", a[:, t], state)
            state = w[:, t].exp()[..., None] * state + b[:, t, :, :, None] * read[..., None, :]
            state = state + k[:, t, :, :, None] * v[:, t, :, None, :]
            rows.append(torch.einsum("bhk,bhkv->bhv", r[:, t], state))
        return torch.stack(rows, 1)

    function, direction = of_package("ops.rwkv7.fused_recurrent_rwkv7"), unit(heads()).detach()
    inputs = [heads(), gates(BATCH, TIME, HEADS, SIZE), heads(), heads(), -direction, direction * 0.5]
    inputs = [x.detach() for x in inputs]  # forward only
    return Trial(lambda *args: function(*args, scale=1.0), reference, inputs)


@operator("chunk_lightning_attn")
def chunk_lightning_attn() -> Trial:
    import torch

    function = of_package("ops.lightning_attn.chunk_lightning_attn")

    def reference(q: Any, k: Any, v: Any) -> Any:
        slopes = 8 / HEADS * (1 - 1 / 4) * torch.arange(HEADS, dtype=torch.float64)
        steps = torch.arange(TIME)
        apart = (steps[:, None] - steps).double()
        decay = torch.where(apart >= 0, (-slopes[:, None, None] * apart).exp(), 0.0)
        scores = torch.einsum("bthd,bshd->bhts", q, k) * SIZE**-0.5 * decay
        return torch.einsum("bhts,bshd->bthd", scores, v)

    return Trial(lambda q, k, v: function(q, k, v, 1, 4), reference, [heads(), heads(), heads()])


@operator("layer_norm", _BOTH)
def layer_norm() -> Trial:
    import torch

    return Trial(
        of_package("modules.norm.layernorm.layer_norm"),
        lambda x, w, b: torch.nn.functional.layer_norm(x, x.shape[-1:], w, b),
        [randn(3, 7, 100), randn(100), randn(100)],
    )


@operator("rms_norm", _BOTH)
def rms_norm() -> Trial:
    function = of_package("modules.norm.layernorm.rms_norm")
    return Trial(
        lambda x, w: function(x, w, None),
        lambda x, w: x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * w,
        [randn(3, 7, 100), randn(100)],
    )


@operator("l2norm", _BOTH)
def l2norm() -> Trial:
    return Trial(
        of_package("modules.norm.l2norm.l2norm"),
        lambda x: x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt(),
        [randn(3, 7, 64)],
    )


@operator("cross_entropy_loss", _BOTH)
def cross_entropy_loss() -> Trial:
    import torch

    labels = torch.randint(0, 300, (9,))
    function = of_package("modules.fused_cross_entropy.ops.cross_entropy_loss")
    return Trial(
        lambda x: function(x, labels),
        lambda x: torch.nn.functional.cross_entropy(x, labels, reduction="none"),
        [randn(9, 300)],
    )


@operator("rotary_embedding", _BOTH)
def rotary_embedding() -> Trial:
    import torch

    angles = torch.arange(TIME)[:, None] * 10_000.0 ** (-torch.arange(SIZE // 2) / (SIZE // 2))

    def reference(x: Any, cos: Any, sin: Any) -> Any:
        first, second = x.chunk(2, -1)
        cos, sin = cos[:, None], sin[:, None]
        return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)

    tables = [angles.cos().double(), angles.sin().double()]
    return Trial(of_package("modules.rotary.ops.rotary_embedding"), reference, [heads(), *tables])


@operator("causal_conv1d", _BOTH)
def causal_conv1d() -> Trial:
    import torch

    def reference(x: Any, w: Any, b: Any) -> Any:
        padded = torch.nn.functional.pad(x.transpose(1, 2), (3, 0))
        out = torch.nn.functional.conv1d(padded, w[:, None], b, groups=w.shape[0])
        return torch.nn.functional.silu(out).transpose(1, 2)

    function = of_package("modules.causal_conv1d.ops.causal_conv1d")
    return Trial(
        lambda x, w, b: function(x, w, b, activation="silu"), reference, [randn(2, 40, 64), randn(64, 4), randn(64)]
    )


@operator("token_shift", _BOTH)
def token_shift() -> Trial:
    import torch

    def reference(x: Any) -> Any:
        return torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1] - x

    return Trial(of_package("modules.token_shift.token_shift"), reference, [randn(2, 40, 64)])


@operator("logsigmoid", _BOTH)
def logsigmoid() -> Trial:
    import torch

    function = of_package("modules.activations.ops.logsigmoid")
    return Trial(function, torch.nn.functional.logsigmoid, [randn(5, 300, scale=4)])


@operator("swiglu", _BOTH)
def swiglu() -> Trial:
    import torch

    function = of_package("modules.activations.ops.swiglu")
    return Trial(function, lambda x, y: torch.nn.functional.silu(x) * y, [randn(5, 300), randn(5, 300)])


@operator("chunk_local_cumsum")
def chunk_local_cumsum() -> Trial:
    import torch

    function = of_package("ops.utils.cumsum.chunk_local_cumsum")

    def reference(x: Any) -> Any:
        return torch.cat([part.cumsum(1) for part in x.split(32, 1)], 1)

    return Trial(lambda x: function(x, 32), reference, [randn(2, 70, 2, 24, grad=False)])


@operator("chunk_global_cumsum")
def chunk_global_cumsum() -> Trial:
    function = of_package("ops.utils.cumsum.chunk_global_cumsum")
    return Trial(
        lambda x: function(x, reverse=True),
        lambda x: x.flip(1).cumsum(1).flip(1),
        [randn(2, 200, 2, grad=False)],
    )


@operator("solve_tril")
def solve_tril() -> Trial:
    import torch

    function = of_package("ops.utils.solve_tril.solve_tril")

    def reference(a: Any) -> Any:
        rows = [
            torch.linalg.inv(torch.eye(64, dtype=torch.float64) + a[:, i : i + 64].transpose(1, 2)) for i in (0, 64)
        ]
        return torch.cat([part.transpose(1, 2) for part in rows], 1)

    below = torch.ones(64, 64).tril(-1).repeat(2, 1)[None, :, None]
    return Trial(function, reference, [randn(1, 128, 2, 64, scale=0.1, grad=False) * below])


@operator("mean_pooling", _BOTH)
def mean_pooling() -> Trial:
    import torch

    function = of_package("ops.utils.pooling.mean_pooling")

    def reference(x: Any) -> Any:
        return torch.stack([part.mean(1) for part in x.split(32, 1)], 1)

    return Trial(lambda x: function(x, 32), reference, [heads()])
