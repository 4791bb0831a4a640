"""Linear layers of gemlite: weights packed into 1, 2, 4 and 8 bits, 8-bit and 4-bit activations, microscaled types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.coverage.judge import Trial, Trials, judge, randn

TITLE = "gemlite: products of few and many rows with weights of few bits, one configuration of each autotuned kernel"
PACKAGES = ("gemlite", "torch", "triton")
CHUNK = 8
LIMIT_S = 600

_HALVES = ("float16", "bfloat16")
trials = Trials(_HALVES)
names = trials.names
_architectures: dict[str, int] = {}
INNER, COLUMNS = 256, 128


def setup() -> None:
    """gemlite asks ``torch.cuda`` for the GPU when it is imported."""
    from benchmarks.coverage.device_queries import answer_for_modelled_gpu, place_cuda_tensors_here
    from benchmarks.coverage.tuning import keep_configurations

    answer_for_modelled_gpu()
    place_cuda_tensors_here()
    keep_configurations(2)  # with one, its own choice of stages would be left out

    # What it keeps for each GPU it finds by the device's number, and the CPU has none.
    import gemlite
    import torch
    from gemlite import quant_utils

    gemlite.set_ptx_fp4_pack(False)
    quant_utils.thr_pos = {None: quant_utils.thr_pos[0]}
    for kept, dtype in (("meta_scale", torch.float32), ("amax", torch.float32), ("counter", torch.int32)):
        setattr(quant_utils, f"_nvfp4_{kept}_bufs", {None: torch.zeros(1, dtype=dtype)})


def run(name: str) -> None:
    from teachkit.frontends import target

    target.set_architecture(_architectures[name.rsplit("-", 1)[0]])
    try:
        judge(*trials.make(name))
    finally:
        target.set_architecture(None)


def layer(
    name: str, dtypes: tuple[str, ...] = _HALVES, architecture: int = 80
) -> Callable[[Callable[[], Trial]], Callable[[], Trial]]:
    _architectures[name] = architecture
    return trials.add(name, dtypes)


def whole(rows: int, largest: int) -> Any:
    """Activations that are whole numbers; each row has the largest one, so that scaling a row loses nothing."""
    import torch

    x = torch.randint(-largest, largest + 1, (rows, INNER)).double()
    x[:, 7] = largest
    return x


def weight_only(bits: int, rows: int, group: int, dtypes: tuple[str, ...] = ("float16",)) -> None:
    @layer(f"A16W{bits} in groups of {group}, {rows} rows", dtypes)
    def make() -> Trial:
        import torch
        from gemlite.helper import A16Wn

        codes = torch.randint(0, 2**bits, (COLUMNS, INNER), dtype=torch.uint8)
        scales = torch.rand(COLUMNS, INNER // group, dtype=torch.float64) * 0.1 + 0.02
        zeros = torch.randint(0, 2**bits, (COLUMNS, INNER // group)).double()

        def call(x: Any, scales: Any, zeros: Any) -> Any:
            linear = A16Wn(device="cpu").from_weights(
                codes.clone(), scales.reshape(-1, 1), zeros.reshape(-1, 1), bits, group
            )
            return linear(x)

        def reference(x: Any, scales: Any, zeros: Any) -> Any:
            grouped = codes.view(COLUMNS, -1, group) - zeros[..., None]
            return x @ (grouped * scales[..., None]).flatten(1).T

        return Trial(call, reference, [randn(rows, INNER, grad=False), scales, zeros], tolerance=2e-2)


for _rows in (1, 5, 70):
    weight_only(4, _rows, 64, _HALVES)
    for _bits in (8, 2):
        weight_only(_bits, _rows, 64)
for _rows in (5, 70):  # of 1 row, the package's pruning leaves none of the smallest configurations
    weight_only(1, _rows, 64)
weight_only(4, 3, INNER)


def eight_bits(kind: str, rows: int) -> None:
    @layer(f"A8W8 {kind}, {rows} rows", ("bfloat16",), 80 if kind == "int8" else 90)
    def make() -> Trial:
        import torch
        from gemlite.helper import A8W8_fp8_dynamic, A8W8_int8_dynamic

        if kind == "int8":
            weights, x = torch.randint(-127, 128, (COLUMNS, INNER), dtype=torch.int8), whole(rows, 127)
        else:
            weights, x = torch.randn(COLUMNS, INNER).to(torch.float8_e4m3fn), whole(rows, 7) * 64
        scales = torch.rand(COLUMNS, 1, dtype=torch.float64) * 0.01 + 0.01
        helper = A8W8_int8_dynamic if kind == "int8" else A8W8_fp8_dynamic

        def call(x: Any, scales: Any) -> Any:
            return helper(device="cpu", dtype=x.dtype).from_weights(weights, scales=scales.float())(x)

        return Trial(call, lambda x, s: x @ (weights.double() * s).T, [x, scales], tolerance=2e-2)


for _kind in ("int8", "fp8"):
    for _rows in (1, 5, 70):
        eight_bits(_kind, _rows)


# What the sixteen codes of e2m1 stand for.
_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)


def microscaled(name: str, rows: int, weight_bits: int) -> None:
    """A scale, a power of two, for each 32 numbers. (Of NVFP4's products this Triton refuses to compile the small.)"""

    @layer(f"{name}, {rows} rows", ("bfloat16",), 100)
    def make() -> Trial:
        import gemlite.helper as helpers
        import torch

        values = torch.tensor(_E2M1, dtype=torch.float64)
        if weight_bits == 4:
            codes = torch.randint(0, 16, (COLUMNS, INNER), dtype=torch.uint8)
            weights = values[codes.long()]
        else:
            codes = torch.randn(COLUMNS, INNER).to(torch.float8_e4m3fn)
            weights = codes.double()
        powers = 2.0 ** torch.randint(-2, 2, (COLUMNS, INNER // 32))
        scales = powers.to(torch.float8_e8m0fnu)
        weights = (weights.view(COLUMNS, -1, 32) * powers[..., None].double()).flatten(1)
        x = values[torch.randint(0, 16, (rows, INNER))]
        x[:, ::32] = 6.0  # the largest of each group, so that its scale is one

        def call(x: Any) -> Any:
            # A8: a scale for each group of activations, too; one for each row would round them.
            options = {"post_scale": False} if name.startswith("A8") else {}
            helper = getattr(helpers, name)(device="cpu", dtype=x.dtype, **options)
            return helper.from_weights(codes, scales=scales)(x)

        return Trial(call, lambda x: x @ weights.T, [x], tolerance=2e-2)


for _rows in (1, 5, 70):
    microscaled("A16W8_MXFP", _rows, 8)
    microscaled("A16W4_MXFP", _rows, 4)
    microscaled("A8W8_MXFP_dynamic", _rows, 8)
    microscaled("A8W4_MXFP_dynamic", _rows, 4)
    microscaled("A4W4_MXFP_dynamic", _rows, 4)


def four_bit_activations(kind: str, group: int) -> None:
    """Activations rounded to e2m1 with a scale for each group, by comparing with limits.

    Its other way, ``cvt.rn.satfinite.e2m1x2.f16x2``, is of PTX 9.1; this Triton writes 9.0, and ptxas refuses it.
    """

    @layer(f"scale_activations_{kind}", _HALVES, 100)
    def make() -> Trial:
        import torch
        from gemlite import quant_utils

        codes = torch.randint(1, 8, (70, INNER)) + 8 * torch.randint(0, 2, (70, INNER))
        codes[:, ::group] = 7  # the largest number, so that the scale is one
        packed = (codes[:, ::2] | codes[:, 1::2] << 4).to(torch.uint8)
        x = torch.tensor(_E2M1, dtype=torch.float64)[codes]

        def call(x: Any) -> Any:
            if kind == "nvfp4":
                found, scales, _ = quant_utils.scale_activations_nvfp4(x, meta_scale=torch.ones(1))
                return found, scales[:70].float()
            found, scales = quant_utils.scale_activations_mxfp4(x)
            return found, 2.0 ** (scales[:70].float() - 127)

        return Trial(call, lambda x: (packed, torch.ones(70, INNER // group)), [x])


four_bit_activations("mxfp4", 32)
four_bit_activations("nvfp4", 16)
