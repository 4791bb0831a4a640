"""``count_launches(program)``: run a program of PyTorch operators once and say how many kernels it launches."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from teachkit.grading import inputs
from teachkit.grading.eager_problem import EagerProblem, Seen
from teachkit.grading.eager_programs import PLAIN_STEPS, TRAP_STEPS, Program
from teachkit.grading.problem import Case, Failure, RubricItem

if TYPE_CHECKING:
    import torch

RUBRIC = (
    RubricItem(
        "correct",
        1,
        "the launches of programs that only compute",
        (
            "the counter stands where every operator passes: a TorchDispatchMode that is on while program() runs.",
            "__torch_dispatch__(self, func, types, args=(), kwargs=None) is called once for every operator; count it "
            "and return func(*args, **(kwargs or {})).",
            "class Counter(TorchDispatchMode) with self.n = 0 in __init__ (call super().__init__() first); "
            "`with Counter() as counter: program()`; return counter.n.",
        ),
    ),
    RubricItem(
        "edge cases",
        2,
        "views, allocations and reads on the host launch nothing; operators in place do",
        (
            "print func for the program named above: which of the operators in the list touches no element?",
            "func.is_view says whether an operator is a view. An allocation is known by its name, "
            "func.overloadpacket.__name__, which begins with 'empty' or 'new_empty'.",
            "two more are free, and is_view is false for both: _local_scalar_dense, which item() calls, and "
            "_unsafe_view, which reshapes what nobody else holds. An operator in place is a launch like any other.",
        ),
    ),
    RubricItem(
        "budget",
        1,
        "the program runs once, and your own mode counts it",
        (
            "what does the program cost whoever calls you? It may train a model.",
            "call program() in exactly one place, inside your own mode; tk.profile() is what you are building here.",
            "with Counter() as counter: program() and nothing else that runs it.",
        ),
    ),
)
N_CASES = 5


def make_cases(seed: int) -> list[Case]:
    """Programs of random steps; then each trap at least once."""
    source, tensors = random.Random(seed), inputs.generator(seed)
    cases = []
    for _ in range(N_CASES):
        steps = tuple(source.choices(list(PLAIN_STEPS), k=source.randrange(1, 8)))
        cases.append(_case("correct", steps, source, tensors))
    traps = list(TRAP_STEPS)
    source.shuffle(traps)
    cases += [_case("edge cases", (trap,), source, tensors) for trap in traps]
    cases.append(_case("edge cases", (), source, tensors))
    cases.append(_case("edge cases", (*traps, *PLAIN_STEPS), source, tensors))
    return cases


def _case(item: str, steps: tuple[str, ...], source: random.Random, tensors: torch.Generator) -> Case:
    shape = (source.randrange(3, 9), source.randrange(3, 9))
    return Case(item, f"{len(steps)} steps", (Program(steps, inputs.normal(shape, tensors)),))


def why_wrong(case: Case, seen: Seen) -> list[Failure]:
    """A wrong number costs the case's item; how it was found costs the budget."""
    program: Program = seen.arguments[0]
    if program.n_runs == 0:
        return [Failure(case.item, "the program was never run")]
    if type(seen.value) is not int:
        return [Failure(case.item, f"expected a whole number, got {type(seen.value).__name__}")]
    failures = []
    if seen.value != program.n_launches:
        failures.append(Failure(case.item, f"launches: expected {program.n_launches}, got {seen.value}"))
    if program.n_runs > 1:
        failures.append(Failure("budget", f"the program ran {program.n_runs} times, budget 1"))
    if program.counted_by_course:
        failures.append(Failure("budget", "tk.profile() counted: write the counter yourself"))
    return failures


def show(case: Case) -> str:
    """The program's lines."""
    program: Program = case.args[0]
    return "\n".join(["program:", *(f"  {step}" for step in program.steps or ("(nothing)",))])


PROBLEM = EagerProblem("count_launches", "20_eager_execution", RUBRIC, make_cases, why_wrong, show, is_counted=False)
