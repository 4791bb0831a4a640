"""Is what a call launched and moved within the budget?

Not modelled: work done outside every kernel and operator, such as NumPy in the host code; a call that moved fewer bytes
than its inputs and outputs hold is rejected for it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

from teachkit.grading.problem import LaunchUse

SECTOR_BYTES = 32


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """Bounds on one number, summed over the kernels of a call.

    Parameters
    ----------
    counter : name of a counter, or ``"n_blocks"`` or ``"n_threads"`` (of the whole grid).
    low, high : the least and the most it may be; equal where only one number is right.
    too_few, too_many : what it means to miss them, as the end of a sentence.
    """

    counter: str
    low: int
    high: int
    too_few: str = ""
    too_many: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """What one call may use.

    Parameters
    ----------
    n_launches : kernels of the learner's own.
    dram_bytes : bytes to and from DRAM when every tensor is moved once, as the tensors' sizes give it.
    least_bytes : bytes that no kernel with the right result can do without.
    n_tensors : tensors behind ``dram_bytes``; each may cost one more sector, where its end is not a sector's end.
    n_elements : what bytes are divided by in messages.
    limits : bounds on other counters.
    """

    n_launches: int
    dram_bytes: int
    least_bytes: int
    n_tensors: int
    n_elements: int
    limits: tuple[Limit, ...] = ()


def once(load_bytes: int, store_bytes: int) -> tuple[Limit, ...]:
    """Limits for a kernel that loads at most ``load_bytes`` and stores each of ``store_bytes`` exactly once.

    A second pass over memory that is still in the cache costs no DRAM traffic, so the budget of bytes would miss it.
    """
    return (
        Limit("global_load_bytes", 0, load_bytes, too_many="something is loaded more than once"),
        Limit("global_store_bytes", store_bytes, store_bytes, "not all is stored", "something is stored twice"),
    )


def why_over(budget: Budget, launches: tuple[LaunchUse, ...], allowed_operators: frozenset[str]) -> list[str]:
    """Every way in which the launches miss the budget, with numbers; empty if they keep to it."""
    kernels = [use for use in launches if use.kind == "kernel"]
    operators = [use for use in launches if use.kind != "kernel" and _plain(use.name) not in allowed_operators]
    problems = []
    if operators:
        n_each = Counter(_plain(use.name) for use in operators)
        names = ", ".join(f"{name} x{n}" if n > 1 else name for name, n in n_each.items())
        problems.append(f"PyTorch operators launched: {len(operators)} ({names}), budget 0")
    if not kernels:
        problems.append(f"kernels launched: 0, budget {budget.n_launches}: nothing ran as a kernel of yours")
    elif len(kernels) > budget.n_launches:
        problems.append(f"kernels launched: {len(kernels)}, budget {budget.n_launches}")
    n_bytes = sum(use.dram_bytes for use in kernels + operators)
    most = budget.dram_bytes + budget.n_tensors * SECTOR_BYTES
    if n_bytes > most:
        problems.append(f"DRAM bytes moved: {_per_element(n_bytes, budget)}, budget {_per_element(most, budget)}")
    if kernels and n_bytes < budget.least_bytes:
        problems.append(
            f"DRAM bytes moved: {_per_element(n_bytes, budget)}, but reading the inputs and writing the result takes "
            f"{_per_element(budget.least_bytes, budget)}: part of the work was done outside any kernel"
        )
    if kernels:
        problems += [problem for limit in budget.limits if (problem := _why_outside(limit, kernels))]
    return problems


def _why_outside(limit: Limit, kernels: list[LaunchUse]) -> str:
    counted = {
        "n_blocks": sum(use.n_blocks for use in kernels),
        "n_threads": sum(use.n_blocks * use.n_block_threads for use in kernels),
    }
    n = counted.get(limit.counter, sum(use.counts.get(limit.counter, 0) for use in kernels))
    if limit.low <= n <= limit.high:
        return ""
    wanted = f"{limit.low:,}" if limit.low == limit.high else f"{limit.low:,} to {limit.high:,}"
    meaning = limit.too_few if n < limit.low else limit.too_many
    return f"{limit.counter}: {n:,}, budget {wanted}" + (f": {meaning}" if meaning else "")


def _plain(name: str) -> str:
    """``mul`` for ``aten::mul``, ``aten.mul`` and ``aten.mul.Tensor``."""
    return name.removeprefix("aten::").removeprefix("aten.").split(".")[0]


def _per_element(n_bytes: int, budget: Budget) -> str:
    return f"{n_bytes:,} ({n_bytes / budget.n_elements:.1f} an element)"
