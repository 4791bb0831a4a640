"""Operators of flag-gems, a replacement of PyTorch's operators in Triton, against PyTorch's own on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from benchmarks.coverage.frame import Skip
from benchmarks.coverage.judge import Trial, Trials, judge, randn

TITLE = "flag-gems: a stated list of its operators, the smallest configuration of each autotuned kernel"
PACKAGES = ("flag-gems", "PyYAML", "SQLAlchemy", "torch", "triton")
CHUNK = 20
LIMIT_S = 600
ENVIRONMENT = {"GEMS_VENDOR": "nvidia"}  # else it looks for the vendor's command-line tool

_FLOATS = ("float32", "float16", "bfloat16")
trials = Trials(_FLOATS)
names = trials.names


def setup() -> None:
    """flag-gems asks ``torch.cuda`` for the GPU, and makes it the current device around each launch."""
    from benchmarks.coverage.device_queries import answer_for_modelled_gpu
    from benchmarks.coverage.tuning import keep_configurations

    answer_for_modelled_gpu()
    keep_configurations(1)
    import flag_gems  # noqa: F401

    for name in ("maximum", "minimum"):  # they compare the tensors' device with the name that Triton gives it
        sys.modules[f"flag_gems.ops.{name}"].device = "cpu"


def run(name: str) -> None:
    if name.startswith("where_self-"):
        raise Skip("the package refuses it where all tensors' device is the CPU (flag_gems/ops/where.py)")
    judge(*trials.make(name))


def gems(name: str) -> Callable[..., Any]:
    """The operator of the package with that name."""
    import flag_gems

    function: Callable[..., Any] = getattr(flag_gems, name)
    return function


def add(
    name: str,
    inputs: Callable[[], list[Any]],
    reference: str | Callable[..., Any] | None = None,
    dtypes: tuple[str, ...] = _FLOATS,
    *,
    label: str = "",
    dots: bool = False,
    call: Callable[..., Any] | None = None,
) -> None:
    """One operator: ``reference`` is a dotted name in ``torch``, by default the operator's own."""

    @trials.add(label or name, dtypes)
    def make() -> Trial:
        import torch

        expected: Any = reference
        if expected is None or isinstance(expected, str):
            expected = torch
            for part in (reference or name).split("."):
                expected = getattr(expected, part)
        function = gems(name)

        def run(*args: Any) -> Any:
            from benchmarks.coverage.device_queries import tensors_claim_cuda

            with tensors_claim_cuda():  # several operators insist on it
                return function(*args) if call is None else call(function, *args)

        return Trial(run, expected, inputs(), dots=dots)


def numbers(*shape: int, scale: float = 1.0) -> Any:
    return randn(*shape, scale=scale, grad=False)


def positive(*shape: int) -> Any:
    return numbers(*shape).abs() + 0.1


def _integers(*shape: int, high: int = 100) -> Any:
    import torch

    return torch.randint(-high, high, shape, dtype=torch.int32)


def _booleans(*shape: int) -> Any:
    import torch

    return torch.rand(shape) < 0.5


def _indices(n: int, *shape: int) -> Any:
    import torch

    return torch.randint(0, n, shape)


for (
    _name
) in "abs acos atan ceil cos erf exp exp2 expm1 neg reciprocal relu rsqrt sigmoid sin sqrt square tan tanh".split():
    _inputs = {
        "acos": lambda: [numbers(7, 300).clamp(-0.9, 0.9)],
        "sqrt": lambda: [positive(7, 300)],
        "rsqrt": lambda: [positive(7, 300)],
        "reciprocal": lambda: [positive(7, 300)],
        "tan": lambda: [numbers(7, 300).clamp(-1, 1)],
    }
    add(_name, _inputs.get(_name, lambda: [numbers(7, 300)]))
add("log", lambda: [positive(7, 300)])
add("silu", lambda: [numbers(7, 300)], "nn.functional.silu")
add("gelu", lambda: [numbers(7, 300)], "nn.functional.gelu")
add("elu", lambda: [numbers(7, 300)], "nn.functional.elu")
add("softplus", lambda: [numbers(7, 300)], "nn.functional.softplus")
add("log_sigmoid", lambda: [numbers(7, 300)], "nn.functional.logsigmoid")
for _name in ("add", "sub", "mul", "maximum", "minimum"):
    add(_name, lambda: [numbers(7, 300), numbers(7, 300)])
    add(_name, lambda: [numbers(5, 1, 30), numbers(7, 1)], label=f"{_name} broadcast", dtypes=("float32",))
add("add", lambda: [_integers(7, 300), _integers(7, 300)], label="add of integers", dtypes=("float32",))
add("div_mode", lambda: [_integers(7, 300), _integers(7, 300).abs() + 1], label="div floor of integers",
    dtypes=("float32",), call=lambda f, a, b: f(a, b, rounding_mode="floor"),
    reference=lambda a, b: a // b)  # fmt: skip
add("true_divide", lambda: [numbers(7, 300), positive(7, 300)])
add("pow_tensor_scalar", lambda: [positive(7, 300)], lambda x: x**2.5, call=lambda f, x: f(x, 2.5))
add("remainder", lambda: [_integers(7, 300), _integers(7, 300).abs() + 1], dtypes=("float32",))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    add(_name, lambda: [_integers(7, 300, high=5), _integers(7, 300, high=5)], dtypes=("float32",))
for _name, _symbol in (("and", "bitwise_and_tensor"), ("or", "bitwise_or_tensor")):
    add(_symbol, lambda: [_integers(7, 300), _integers(7, 300)], f"bitwise_{_name}", ("float32",))
add("bitwise_not", lambda: [_integers(7, 300)], dtypes=("float32",))
for _name in ("isnan", "isinf", "isfinite"):
    add(_name, lambda: [numbers(7, 300).sqrt()], dtypes=("float32",))
add("where_self", lambda: [_booleans(7, 300), numbers(7, 300), numbers(7, 300)], "where")
add("masked_fill", lambda: [numbers(7, 300), _booleans(7, 300), 0.5])
add("clamp", lambda: [numbers(7, 300), -0.5, 0.5])
add("lerp_scalar", lambda: [numbers(7, 300), numbers(7, 300), 0.3], "lerp")
add("addcmul", lambda: [numbers(7, 300), numbers(7, 300), numbers(7, 300)])

add("sum", lambda: [numbers(13, 37)], dtypes=("float32",))
add("mean", lambda: [numbers(13, 37)], dtypes=("float32",))
add("prod", lambda: [positive(5, 7)], dtypes=("float32",))
add("sum_dim", lambda: [numbers(9, 300)], lambda x: x.sum(1), call=lambda f, x: f(x, [1]))
add("mean_dim", lambda: [numbers(9, 300)], lambda x: x.mean(1), call=lambda f, x: f(x, [1]))
add("prod_dim", lambda: [positive(9, 30)], lambda x: x.prod(1), call=lambda f, x: f(x, 1))
add("amax", lambda: [numbers(9, 300)], lambda x: x.amax(1), call=lambda f, x: f(x, [1]))
add("max_dim", lambda: [numbers(9, 300)], lambda x: x.max(1), call=lambda f, x: f(x, 1), dtypes=("float32",))
add("min_dim", lambda: [numbers(9, 300)], lambda x: x.min(1), call=lambda f, x: f(x, 1), dtypes=("float32",))
add("argmax", lambda: [numbers(9, 300)], lambda x: x.argmax(1), call=lambda f, x: f(x, 1), dtypes=("float32",))
add("argmin", lambda: [numbers(9, 300)], lambda x: x.argmin(1), call=lambda f, x: f(x, 1), dtypes=("float32",))
# The package masks nothing in argmin; sizes that are no power of two make it read past the end.
add("argmin", lambda: [numbers(12, 512)], lambda x: x.argmin(1), call=lambda f, x: f(x, 1), dtypes=("float32",),
    label="argmin of whole blocks")  # fmt: skip
add("all", lambda: [_booleans(9, 300)], dtypes=("float32",))
add("any", lambda: [_booleans(9, 300)], dtypes=("float32",))
add("count_nonzero", lambda: [_integers(9, 300, high=3)], dtypes=("float32",))
add("cumsum", lambda: [numbers(9, 300)], lambda x: x.cumsum(1), call=lambda f, x: f(x, 1), dtypes=("float32",))
add("cummax", lambda: [numbers(9, 300)], lambda x: x.cummax(1), call=lambda f, x: f(x, 1), dtypes=("float32",))
add("var_mean", lambda: [numbers(9, 300)], lambda x: _var_mean(x),
    call=lambda f, x: f(x, [1]), dtypes=("float32",))  # fmt: skip
add(
    "vector_norm",
    lambda: [numbers(9, 300)],
    lambda x: x.norm(dim=1),
    call=lambda f, x: f(x, 2, [1]),
    dtypes=("float32",),
)
add("softmax", lambda: [numbers(9, 300)], lambda x: x.softmax(1), call=lambda f, x: f(x, 1))
add("log_softmax", lambda: [numbers(9, 300)], lambda x: x.log_softmax(1), call=lambda f, x: f(x, 1))


def _var_mean(x: Any) -> Any:
    import torch

    return torch.var_mean(x, 1)


def _layer_norm(x: Any, w: Any, b: Any) -> Any:
    import torch

    return torch.nn.functional.layer_norm(x, x.shape[-1:], w, b)


add("layer_norm", lambda: [numbers(9, 300), numbers(300), numbers(300)], _layer_norm,
    call=lambda f, x, w, b: f(x, [300], w, b)[0])  # fmt: skip
add("rms_norm", lambda: [numbers(9, 300), numbers(300)],
    lambda x, w: x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * w,
    call=lambda f, x, w: f(x, [300], w, 1e-5))  # fmt: skip
add("group_norm", lambda: [numbers(3, 8, 25), numbers(8), numbers(8)],
    lambda x, w, b: _group_norm(x, w, b), call=lambda f, x, w, b: f(x, w, b, 3, 8, 25, 4, 1e-5)[0])  # fmt: skip


def _group_norm(x: Any, w: Any, b: Any) -> Any:
    import torch

    return torch.nn.functional.group_norm(x, 4, w, b)


add("mm", lambda: [numbers(40, 70), numbers(70, 50)], dots=True)
add("bmm", lambda: [numbers(3, 40, 70), numbers(3, 70, 50)], dots=True)
add("addmm", lambda: [numbers(50), numbers(40, 70), numbers(70, 50)], dots=True)
add("mv", lambda: [numbers(40, 70), numbers(70)])
add("dot", lambda: [numbers(300), numbers(300)], dtypes=("float32",))
add("outer", lambda: [numbers(30), numbers(40)], dtypes=("float32",))

add("embedding", lambda: [numbers(50, 64), _indices(50, 3, 7)], lambda w, i: w[i])
add("index_select", lambda: [numbers(20, 30), _indices(20, 9)], lambda x, i: x.index_select(0, i),
    call=lambda f, x, i: f(x, 0, i))  # fmt: skip
add(
    "gather",
    lambda: [numbers(20, 30), _indices(30, 20, 11)],
    lambda x, i: x.gather(1, i),
    call=lambda f, x, i: f(x, 1, i),
)
add("scatter", lambda: [numbers(20, 30), numbers(20, 30)], lambda x, y: x.scatter(1, _places(), y),
    call=lambda f, x, y: f(x, 1, _places(), y))  # fmt: skip
add("nonzero", lambda: [_booleans(20, 30)], dtypes=("float32",))
add("sort", lambda: [numbers(5, 200)], lambda x: x.sort(1), call=lambda f, x: f(x, 1), dtypes=("float32",))
add("topk", lambda: [numbers(5, 200)], lambda x: x.topk(7, 1), call=lambda f, x: f(x, 7, 1), dtypes=("float32",))
add("unique_consecutive", lambda: [_indices(9, 300).sort().values], dtypes=("float32",),
    call=lambda f, x: f(x)[0])  # fmt: skip


def _places() -> Any:
    import torch

    return torch.arange(30).flip(0).expand(20, 30).contiguous()


add("cat", lambda: [numbers(5, 7), numbers(9, 7)], lambda a, b: _cat(a, b), call=lambda f, a, b: f([a, b], 0))
add("stack", lambda: [numbers(5, 7), numbers(5, 7)], lambda a, b: _stack(a, b), call=lambda f, a, b: f([a, b], 1))
add("flip", lambda: [numbers(5, 70)], lambda x: x.flip(1), call=lambda f, x: f(x, [1]))
add("roll", lambda: [numbers(5, 70)], lambda x: x.roll(3, 1), call=lambda f, x: f(x, 3, 1))
add("repeat", lambda: [numbers(5, 7)], lambda x: x.repeat(2, 3), call=lambda f, x: f(x, (2, 3)))
add("tile", lambda: [numbers(5, 7)], lambda x: x.tile(2, 3), call=lambda f, x: f(x, (2, 3)))
add("tril", lambda: [numbers(40, 40)])
add("triu", lambda: [numbers(40, 40)])
add("diag", lambda: [numbers(40)])
add("kron", lambda: [numbers(5, 7), numbers(3, 4)], dtypes=("float32",))
add("pad", lambda: [numbers(5, 7)], lambda x: _pad(x), call=lambda f, x: f(x, (1, 2)))


def _cat(a: Any, b: Any) -> Any:
    import torch

    return torch.cat([a, b])


def _stack(a: Any, b: Any) -> Any:
    import torch

    return torch.stack([a, b], 1)


def _pad(x: Any) -> Any:
    import torch

    return torch.nn.functional.pad(x, (1, 2))


def _conv2d(x: Any, w: Any) -> Any:
    import torch

    return torch.nn.functional.conv2d(x, w, padding=1)


def _max_pool(x: Any) -> Any:
    import torch

    return torch.nn.functional.max_pool2d(x, 2, return_indices=True)


def _attention(q: Any, k: Any, v: Any) -> Any:
    import torch

    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


add("conv2d", lambda: [numbers(2, 16, 12, 12), numbers(8, 16, 3, 3)], _conv2d, dots=True,
    call=lambda f, x, w: f(x, w, padding=1))  # fmt: skip
add(
    "max_pool2d_with_indices",
    lambda: [numbers(2, 3, 12, 12)],
    _max_pool,
    call=lambda f, x: f(x, 2),
    dtypes=("float32",),
)
add("scaled_dot_product_attention", lambda: [numbers(2, 2, 40, 64), numbers(2, 2, 40, 64), numbers(2, 2, 40, 64)],
    _attention, ("float16", "bfloat16"), dots=True)  # fmt: skip
