"""``which_bound(operators, gpu)``: what limits each operator on a GPU: launches, memory or arithmetic."""

from __future__ import annotations

import random
from typing import Any

from teachkit.grading.data_problem import DataProblem
from teachkit.grading.problem import Case, Failure, RubricItem

WORDS = ("overhead", "bandwidth", "compute")
RUBRIC = (
    RubricItem(
        "correct",
        2,
        "the longest of three times, for twelve operators on GPUs of which you get the numbers",
        (
            "for the operator named above, work out three times in seconds: launches, bytes, arithmetic.",
            "launches: n_launches * launch_s. Bytes: dram_bytes / bytes_per_s. Arithmetic: flop_fp32 / "
            "fp32_flop_per_s. The longest decides.",
            "make a dict of the three times with the words as keys and take max(times, key=times.get).",
        ),
    ),
    RubricItem(
        "edge cases",
        2,
        "tensor cores, GPUs without them, operators without FLOPs",
        (
            "where do the FLOPs of a half-precision product run, and at which rate?",
            "flop_tensor run on the tensor cores, at tensor_flop_per_s; only flop_fp32 run at fp32_flop_per_s. Where "
            "tensor_flop_per_s is None, there are no tensor cores, and half precision runs at half_flop_per_s.",
            "rate = gpu['tensor_flop_per_s'] or gpu['half_flop_per_s']; the arithmetic takes flop_fp32 / "
            "fp32_flop_per_s + flop_tensor / rate.",
        ),
    ),
)
N_OPERATORS = 12
GPUS = ("P100-SXM2-16GB", "V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB", "B200-SXM6-180GB")


def make_cases(seed: int) -> list[Case]:
    """Twelve fresh operators on several GPUs, so that answers change; float32 first, then half precision and copies."""
    source = random.Random(seed)
    cases = []
    for item, half in (("correct", False), ("edge cases", True)):
        gpus = [_sheet(name) for name in GPUS] + [_made_up(source, tensor=tensor) for tensor in (True, False)]
        if not half:
            gpus = gpus[1:5]
        chosen = _operators(source, gpus, half=half)
        cases += [Case(item, gpu["name"], (chosen, gpu)) for gpu in gpus]
    return cases


def _sheet(name: str) -> dict[str, Any]:
    from teachkit.hardware.spec import gpu

    spec = gpu(name)
    return {
        "name": name,
        "bytes_per_s": spec.dram_bytes_per_s,
        "fp32_flop_per_s": spec.fp32_flop_per_s,
        "half_flop_per_s": spec.fp16_flop_per_s or spec.fp32_flop_per_s,
        "tensor_flop_per_s": spec.tensor_fp16_flop_per_s,
        "launch_s": spec.small_kernel_s or 2.6e-6,
    }


def _made_up(source: random.Random, *, tensor: bool) -> dict[str, Any]:
    fp32 = source.uniform(2e12, 9e13)
    return {
        "name": "a GPU that does not exist",
        "bytes_per_s": source.uniform(2e11, 9e12),
        "fp32_flop_per_s": fp32,
        "half_flop_per_s": 2 * fp32,
        "tensor_flop_per_s": fp32 * source.uniform(6, 20) if tensor else None,
        "launch_s": source.uniform(1e-6, 9e-6),
    }


def _operators(source: random.Random, gpus: list[dict[str, Any]], *, half: bool) -> list[dict[str, Any]]:
    """Four operators for each regime of the second GPU, none of which is near a border on any, some of which flip."""
    pool: dict[str, list[dict[str, Any]]] = {word: [] for word in WORDS}
    n_each = N_OPERATORS // len(WORDS)
    while min(map(len, pool.values())) < n_each:
        operator = _operator(source, half=half)
        home = pool[bound(operator, gpus[1])]
        flips = len({bound(operator, gpu) for gpu in gpus}) > 1
        # Mostly operators that change sides with the GPU.
        wanted = len(home) < n_each and (flips or source.random() < 0.2)
        if wanted and all(_is_clear(operator, gpu) for gpu in gpus):
            home.append(operator)
    chosen = [operator for home in pool.values() for operator in home]
    source.shuffle(chosen)
    return chosen


def _operator(source: random.Random, *, half: bool) -> dict[str, Any]:
    """A real operator of random size, counted from its shapes."""
    import torch

    from teachkit.kernels.tanh_gelu import eager_gelu
    from teachkit.measure.by_shape import CountByShape

    def size(low: int, high: int) -> int:
        return int(2 ** source.uniform(low, high))

    dtype = torch.bfloat16 if half and source.random() < 0.6 else torch.float32
    kind = source.choice(("add", "softmax", "matmul", "gelu_by_hand", "copy" if half else "add"))
    shapes = [(size(6, 13), size(6, 13))]
    if kind == "add":
        shapes *= 2
    elif kind == "matmul":
        shapes.append((shapes[0][1], source.choice((1, size(0, 5), size(6, 13)))))
    tensors = [torch.empty(shape, device="meta", dtype=dtype) for shape in shapes]
    run: dict[str, Any] = {"add": torch.add, "softmax": lambda x: x.softmax(-1), "copy": torch.clone}
    run["gelu_by_hand"] = eager_gelu
    with CountByShape() as counted:
        run.get(kind, torch.matmul)(*tensors)
    total = counted.total
    name = f"{kind} {' '.join(str(list(shape)) for shape in shapes)} {str(dtype).removeprefix('torch.')}"
    fields = ("n_launches", "dram_bytes", "flop_fp32", "flop_tensor")
    return {"name": name} | {field: getattr(total, field) for field in fields}


def times(operator: dict[str, Any], gpu: dict[str, Any]) -> dict[str, float]:
    """Seconds of the three limits."""
    half_rate = gpu["tensor_flop_per_s"] or gpu["half_flop_per_s"]
    return {
        "overhead": operator["n_launches"] * gpu["launch_s"],
        "bandwidth": operator["dram_bytes"] / gpu["bytes_per_s"],
        "compute": operator["flop_fp32"] / gpu["fp32_flop_per_s"] + operator["flop_tensor"] / half_rate,
    }


def _is_clear(operator: dict[str, Any], gpu: dict[str, Any]) -> bool:
    *_, second_s, longest_s = sorted(times(operator, gpu).values())
    return second_s < 0.97 * longest_s


def bound(operator: dict[str, Any], gpu: dict[str, Any]) -> str:
    """The right answer for one operator."""
    seconds = times(operator, gpu)
    return max(seconds, key=lambda word: seconds[word])


def why_wrong(case: Case, answer: Any) -> list[Failure]:
    """One word an operator."""
    operators, gpu = case.args
    if not isinstance(answer, list) or len(answer) != len(operators) or any(word not in WORDS for word in answer):
        return [Failure(case.item, f"expected a list of {len(operators)} words out of {WORDS}, got {answer!r}")]
    wrong = [
        f"  {operator}: expected {truth}, got {got}"
        for operator, got in zip(operators, answer, strict=True)
        if (truth := bound(operator, gpu)) != got
    ]
    if not wrong:
        return []
    return [Failure(case.item, "\n".join([f"{len(wrong)} of {len(operators)} are wrong; the first:", *wrong[:3]]))]


def show(case: Case) -> str:
    """The GPU."""
    return f"gpu = {case.args[1]}"


PROBLEM = DataProblem("which_bound", "30_roofline", RUBRIC, make_cases, why_wrong, show)
