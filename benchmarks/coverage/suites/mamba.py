"""Triton kernels of mamba-ssm: state-space scans in chunks and step by step, gated norms, Mamba 3 with rotary keys."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.coverage.judge import Trial, Trials, judge, randn

TITLE = "mamba-ssm: its Triton kernels, the smallest configuration of each autotuned one"
PACKAGES = ("mamba-ssm", "einops", "torch", "triton")
CHUNK = 6
LIMIT_S = 600

_BOTH = ("float32", "bfloat16")
_ALL = ("float32", "float16", "bfloat16")
trials = Trials(_BOTH)
names, operator = trials.names, trials.add
# Scans in chunks chain tf32 or bfloat16 dots, and their gradients sum over all steps.
_CHAINED = {"float32": 1e-2, "float16": 1e-2, "bfloat16": 5e-2}

BATCH, TIME, HEADS, GROUPS, SIZE, STATE = 2, 75, 4, 2, 32, 16


def setup() -> None:
    """The package's own ``__init__`` imports its CUDA extension, so a namespace takes its place."""
    import sys
    import types
    from importlib.util import find_spec

    from benchmarks.coverage.device_queries import answer_for_modelled_gpu, place_cuda_tensors_here
    from benchmarks.coverage.tuning import keep_configurations

    answer_for_modelled_gpu()
    place_cuda_tensors_here()
    keep_configurations(1)
    found = find_spec("mamba_ssm")
    assert found is not None
    package = types.ModuleType("mamba_ssm")
    package.__path__ = found.submodule_search_locations or []
    sys.modules["mamba_ssm"] = package


def run(name: str) -> None:
    from benchmarks.coverage.device_queries import tensors_claim_cuda

    trial, dtype = trials.make(name)
    trial.tolerance = trial.tolerance or _CHAINED[dtype]
    with tensors_claim_cuda():  # the gradients of Mamba 3 insist on it
        judge(trial, dtype)


def of_package(path: str) -> Any:
    """``"softplus.softplus"``: the function of that name in ``mamba_ssm.ops.triton``."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"mamba_ssm.ops.triton.{module}"), name)


def rates(*shape: int) -> Any:
    """Negative decay rates, one to three."""
    import torch

    return (-1 - 2 * torch.rand(*shape, dtype=torch.float64)).requires_grad_()


def steps(*shape: int) -> Any:
    """Steps of time: small positive numbers."""
    import torch

    return (0.02 + 0.2 * torch.rand(*shape, dtype=torch.float64)).requires_grad_()


def scan(
    x: Any, dt: Any, a: Any, b: Any, c: Any, *, d: Any = None, start: Any = None, resets: Any = None
) -> tuple[Any, Any]:
    """The recurrence itself, a step at a time: ``x [batch, time, heads, size]``; returns outputs and the last state."""
    import torch

    batch, time, n_heads, size = x.shape
    b, c = (part.repeat_interleave(n_heads // part.shape[2], 2) for part in (b, c))
    state = torch.zeros(batch, n_heads, size, b.shape[-1], dtype=x.dtype) if start is None else start
    rows = []
    for t in range(time):
        if resets is not None and t in resets:
            state = torch.zeros_like(state)
        state = state * (dt[:, t] * a).exp()[..., None, None]
        state = state + torch.einsum("bh,bhp,bhn->bhpn", dt[:, t], x[:, t], b[:, t])
        rows.append(torch.einsum("bhpn,bhn->bhp", state, c[:, t]))
    out = torch.stack(rows, 1)
    return (out if d is None else out + x * d[..., None]), state


def scan_inputs(time: int = TIME) -> list[Any]:
    return [
        randn(BATCH, time, HEADS, SIZE),
        steps(BATCH, time, HEADS),
        rates(HEADS),
        randn(BATCH, time, GROUPS, STATE),
        randn(BATCH, time, GROUPS, STATE),
    ]


@operator("mamba_chunk_scan_combined")
def chunk_scan() -> Trial:
    function = of_package("ssd_combined.mamba_chunk_scan_combined")
    return Trial(
        lambda x, dt, a, b, c: function(x, dt, a.float(), b, c, 32),
        lambda x, dt, a, b, c: scan(x, dt, a, b, c)[0],
        scan_inputs(),
    )


@operator("mamba_chunk_scan_combined with gate, skip and softplus")
def chunk_scan_gated() -> Trial:
    import torch

    function = of_package("ssd_combined.mamba_chunk_scan_combined")

    def reference(x: Any, dt: Any, a: Any, b: Any, c: Any, d: Any, z: Any, bias: Any) -> Any:
        out, _ = scan(x, torch.nn.functional.softplus(dt + bias), a, b, c, d=d)
        return out * torch.nn.functional.silu(z)

    return Trial(
        lambda x, dt, a, b, c, d, z, bias: function(
            x, dt, a.float(), b, c, 32, D=d, z=z, dt_bias=bias, dt_softplus=True
        ),
        reference,
        [*scan_inputs(), randn(HEADS), randn(BATCH, TIME, HEADS, SIZE), randn(HEADS)],
    )


@operator("mamba_chunk_scan_combined from a state, last state returned")
def chunk_scan_states() -> Trial:
    function = of_package("ssd_combined.mamba_chunk_scan_combined")

    def call(x: Any, dt: Any, a: Any, b: Any, c: Any, start: Any) -> Any:
        out, last = function(x, dt, a.float(), b, c, 32, initial_states=start, return_final_states=True)
        return out, last.to(out.dtype)

    return Trial(
        call,
        lambda x, dt, a, b, c, start: scan(x, dt, a, b, c, start=start),
        [*scan_inputs(), randn(BATCH, HEADS, SIZE, STATE)],
    )


@operator("mamba_chunk_scan_combined of packed sequences")
def chunk_scan_packed() -> Trial:
    import torch

    numbers = torch.zeros(BATCH, TIME, dtype=torch.int32)
    numbers[:, 20:] = 1
    numbers[:, 50:] = 2
    function = of_package("ssd_combined.mamba_chunk_scan_combined")
    return Trial(
        lambda x, dt, a, b, c: function(x, dt, a.float(), b, c, 32, seq_idx=numbers),
        lambda x, dt, a, b, c: scan(x, dt, a, b, c, resets=(20, 50))[0],
        scan_inputs(),
    )


@operator("chunk_state_varlen", ("float32",))
def chunk_state_varlen() -> Trial:
    import torch

    function = of_package("ssd_combined.mamba_chunk_scan_combined")
    starts = torch.tensor([0, 20, 50, TIME], dtype=torch.int32)
    numbers = torch.repeat_interleave(torch.arange(3, dtype=torch.int32), starts.diff().long())[None]
    x, dt, a, b, c = (value.detach() for value in scan_inputs())

    def call(x: Any, dt: Any, a: Any, b: Any, c: Any) -> Any:
        _, last = function(x, dt, a, b, c, 32, seq_idx=numbers, cu_seqlens=starts, return_varlen_states=True)
        return last

    def reference(x: Any, dt: Any, a: Any, b: Any, c: Any) -> Any:
        parts = [slice(*pair) for pair in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
        return torch.cat([scan(x[:, part], dt[:, part], a, b[:, part], c[:, part])[1] for part in parts])

    return Trial(call, reference, [x[:1], dt[:1], a, b[:1], c[:1]])


@operator("selective_state_update", _ALL)
def selective_state_update() -> Trial:
    import torch

    function = of_package("selective_state_update.selective_state_update")

    def reference(state: Any, x: Any, dt: Any, a: Any, b: Any, c: Any, d: Any, z: Any, bias: Any) -> Any:
        dt = torch.nn.functional.softplus(dt + bias)
        b, c = (part.repeat_interleave(HEADS // GROUPS, 1) for part in (b, c))
        new = state * (dt[..., None] * a).exp() + (dt * x)[..., None] * b[:, :, None]
        out = (new * c[:, :, None]).sum(-1) + d * x
        return out * torch.nn.functional.silu(z), new

    def call(state: Any, *rest: Any) -> Any:
        new = state.clone()
        *rest, d, z, bias = rest
        return function(new, *rest, D=d, z=z, dt_bias=bias, dt_softplus=True), new

    size = 29
    shapes = [(BATCH, HEADS, size, STATE), (BATCH, HEADS, size), (BATCH, HEADS, size)]
    first = [randn(*shape, grad=False) for shape in shapes]
    pair = [randn(BATCH, GROUPS, STATE, grad=False) for _ in range(2)]
    last = [randn(HEADS, size, grad=False), randn(BATCH, HEADS, size, grad=False), randn(HEADS, size, grad=False)]
    return Trial(call, reference, [*first, rates(HEADS, size, STATE).detach(), *pair, *last])


def gated_norm(name: str, is_rms: bool, before: bool, group: int | None) -> None:
    @operator(name, _ALL)
    def make() -> Trial:
        import torch

        function = of_package("layernorm_gated.layernorm_fn")

        def reference(x: Any, w: Any, z: Any, *bias: Any) -> Any:
            gate = torch.nn.functional.silu(z)
            x = x if before else x * gate
            parts = x.unflatten(-1, (-1, group or x.shape[-1]))
            if not is_rms:
                parts = parts - parts.mean(-1, keepdim=True)
            parts = parts * (parts.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
            out = parts.flatten(-2) * w
            out = out + bias[0] if bias else out
            return out * gate if before else out

        def call(x: Any, w: Any, z: Any, *bias: Any) -> Any:
            return function(
                x, w, bias[0] if bias else None, z, group_size=group, norm_before_gate=before, is_rms_norm=is_rms
            )

        width = 96
        inputs = [randn(3, 7, width), randn(width), randn(3, 7, width)]
        return Trial(call, reference, inputs if is_rms else [*inputs, randn(width)])


gated_norm("layernorm_gated rms, gate after", True, True, None)
gated_norm("layernorm_gated rms, gate before, groups", True, False, 32)
gated_norm("layernorm_gated, gate before, groups", False, False, 48)


def prenorm(name: str, is_rms: bool) -> None:
    @operator(name, _ALL)
    def make() -> Trial:
        function = of_package("layer_norm.layer_norm_fn")

        def reference(x: Any, w: Any, b: Any, residual: Any) -> Any:
            x = x + residual
            centred = x if is_rms else x - x.mean(-1, keepdim=True)
            return centred * (centred.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * w + b, x

        return Trial(
            lambda x, w, b, r: function(x, w, b, residual=r, prenorm=True, is_rms_norm=is_rms),
            reference,
            [randn(3, 7, 100), randn(100), randn(100), randn(3, 7, 100)],
        )


prenorm("layer_norm_fn with residual", False)
prenorm("rms_norm_fn with residual", True)


def _norm(x: Any, w: Any, b: Any) -> Any:
    import torch

    return torch.nn.functional.layer_norm(x, x.shape[-1:], w, b, 1e-6)


@operator("layer_norm_fn of two branches")
def two_branches() -> Trial:
    function = of_package("layer_norm.layer_norm_fn")

    def reference(x: Any, w: Any, b: Any, x1: Any, w1: Any, b1: Any) -> Any:
        return _norm(x + x1, w, b), _norm(x + x1, w1, b1)

    return Trial(
        lambda x, w, b, x1, w1, b1: function(x, w, b, x1=x1, weight1=w1, bias1=b1),
        reference,
        [*[randn(21, 100), randn(100), randn(100)], *[randn(21, 100), randn(100), randn(100)]],
    )


@operator("layer_norm_fn with row scales")
def row_scales() -> Trial:
    import torch

    function = of_package("layer_norm.layer_norm_fn")
    scales = torch.randint(1, 5, (21,)) / 4  # these every type holds exactly
    return Trial(
        lambda x, w, b: function(x, w, b, rowscale=scales.to(x.dtype)),
        lambda x, w, b: _norm(x * scales[:, None], w, b),
        [randn(21, 100), randn(100), randn(100)],
    )


@operator("layer_norm_linear_fn")
def layer_norm_linear() -> Trial:
    function = of_package("layer_norm.layer_norm_linear_fn")
    return Trial(
        lambda x, w, b, matrix: function(x, w, b, matrix, None),
        lambda x, w, b, matrix: _norm(x, w, b) @ matrix.T,
        [randn(21, 100), randn(100), randn(100), randn(30, 100, scale=0.1)],
    )


@operator("swiglu", _ALL)
def swiglu() -> Trial:
    import torch

    def reference(xy: Any) -> Any:
        x, y = xy.chunk(2, -1)
        return torch.nn.functional.silu(x) * y

    return Trial(of_package("k_activations.swiglu"), reference, [randn(5, 7, 2 * 150)])


def turned(x: Any, angles: Any) -> Any:
    """Turn neighbouring pairs of ``x`` by ``angles``; the pairs behind the last angle stay."""
    import torch

    n = 2 * angles.shape[-1]
    even, odd = x[..., :n:2], x[..., 1:n:2]
    cos, sin = angles.cos(), angles.sin()
    pairs = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)
    return torch.cat((pairs, x[..., n:]), -1)


def mamba3_step(state: Any, now: list[Any]) -> tuple[Any, Any]:
    """One step of Mamba 3: the trapezoid between the last product of value and key and this one."""
    import torch

    angle, memory, last_k, last_v = state
    q, k, v, adt, dt, trap, q_bias, k_bias, angles = now
    repeat = v.shape[1] // q.shape[1]
    q, k = q.repeat_interleave(repeat, 1) + q_bias, k.repeat_interleave(repeat, 1) + k_bias
    angle = angle + angles.tanh() * torch.pi * dt[..., None]
    q, k = turned(q, angle), turned(k, angle)
    share, decay = trap.sigmoid(), adt.exp()
    before = torch.einsum("bh,bhp,bhn->bhpn", decay * dt * (1 - share), last_v, last_k)
    here = torch.einsum("bh,bhp,bhn->bhpn", dt * share, v, k)
    memory = memory * decay[..., None, None] + before + here
    return (angle, memory, k, v), torch.einsum("bhpn,bhn->bhp", memory, q)


@operator("mamba3_siso_combined", ("bfloat16",))
def mamba3_siso_combined() -> Trial:
    import torch

    function = of_package("mamba3.mamba3_siso_combined.mamba3_siso_combined")
    n, size, heads, batch, time = 32, 32, 2, 1, 80

    def reference(*inputs: Any) -> Any:
        q, k, v, adt, dt, trap, q_bias, k_bias, angles, d, z = inputs
        shapes = [(batch, heads, angles.shape[-1]), (batch, heads, size, n), (batch, heads, n), (batch, heads, size)]
        state: Any = [torch.zeros(shape, dtype=q.dtype) for shape in shapes]
        rows = []
        for t in range(time):
            now = [q[:, t], k[:, t], v[:, t], adt[..., t], dt[..., t], trap[..., t], q_bias, k_bias, angles[:, t]]
            state, out = mamba3_step(state, now)
            rows.append((out + d[:, None] * v[:, t]) * torch.nn.functional.silu(z[:, t]))
        return torch.stack(rows, 1)

    def call(*inputs: Any) -> Any:
        q, k, v, adt, dt, trap, q_bias, k_bias, angles, d, z = inputs
        return function(
            q, k, v, adt.float(), dt.float(), trap, q_bias, k_bias, angles.float(), d.float(), z, chunk_size=64
        )

    inputs = [
        *(randn(batch, time, 1, n) for _ in range(2)),
        randn(batch, time, heads, size),
        (-steps(batch, heads, time)).detach().requires_grad_(),
        steps(batch, heads, time),
        randn(batch, heads, time),
        *(randn(heads, n) for _ in range(2)),
        randn(batch, time, heads, n // 4),
        randn(heads),
        randn(batch, time, heads, size),
    ]
    return Trial(call, reference, inputs)


@operator("mamba3_siso_step", ("bfloat16",))
def mamba3_siso_step() -> Trial:
    import torch

    function = of_package("mamba3.mamba3_siso_step.mamba3_siso_step")
    n, size, heads, batch = 32, 32, 2, 3

    def reference(*inputs: Any) -> Any:
        *now, d, z, angle, memory, k, v = inputs
        (angle, memory, k, _), out = mamba3_step((angle, memory, k, v), now)
        out = (out + d[:, None] * now[2]) * torch.nn.functional.silu(z)
        return out, angle.cos(), memory, k

    def call(*inputs: Any) -> Any:
        q, k, v, adt, dt, trap, q_bias, k_bias, angles, d, z, *states = inputs
        states[:2] = [part.float() for part in states[:2]]
        out, (angle, memory, k, *_) = function(
            q, k, v, adt.float(), dt.float(), trap, q_bias, k_bias, angles.float(), d.float(), z, tuple(states)
        )
        return out, angle.cos(), memory, k

    inputs = [
        *(randn(batch, 1, n) for _ in range(2)),
        randn(batch, heads, size),
        -steps(batch, heads),
        steps(batch, heads),
        randn(batch, heads),
        *(randn(heads, n) for _ in range(2)),
        randn(batch, heads, n // 4),
        randn(heads),
        randn(batch, heads, size),
        *(randn(batch, heads, n // 4), randn(batch, heads, size, n), randn(batch, heads, n), randn(batch, heads, size)),
    ]
    return Trial(call, reference, [value.detach() for value in inputs])
