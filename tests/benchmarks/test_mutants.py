"""Faults for the mutation benchmark: enough for every exercise, all different, and put where the solution is."""

from __future__ import annotations

import ast
import types
from pathlib import Path

import pytest
import torch

from benchmarks.parts.mutant_judge import difference, load, same, solution_of
from benchmarks.parts.mutants import mutants_of, rendered
from benchmarks.parts.mutants_in_cpp import faults_in_cpp
from teachkit.grading import registry
from teachkit.grading.eager_problem import Seen

PYTHON = """
def scale(x, n, c=2.0):
    total = 0
    for i in range(1, n):
        if i < n and x:
            total += x[i] * c
    return {"sum": total, "most": max(total, n)}
"""
CPP = """
__global__ void add(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __syncthreads();
    y[i] += 2.0f * x[i];
}
"""


@pytest.mark.parametrize("slug", registry.slugs())
def test_every_solution_has_ten_faults_at_least(slug: str, tmp_path: Path) -> None:
    before, own = solution_of(slug)
    assert "### BEGIN SOLUTION" in own
    own = rendered(own, load(tmp_path, f"{slug}_for_mutants", f"{before}\n\n{own}"))
    mutants = mutants_of(slug, own, 15)
    assert len(mutants) >= 10
    assert len({mutant.source for mutant in mutants} | {ast.unparse(ast.parse(own))}) == len(mutants) + 1
    assert len({mutant.kind for mutant in mutants}) >= 2
    assert mutants == mutants_of(slug, own, 15)


def test_kinds_of_fault_in_python() -> None:
    changes = {(mutant.kind, mutant.change) for mutant in mutants_of("scale", PYTHON, 1000)}
    assert {
        ("off by one", "1 -> 2"),
        ("comparison", "i < n -> i <= n"),
        ("wrong stride", "x[i] * c -> x[i]"),
        ("stale accumulator", "total += x[i] * c -> total = x[i] * c"),
        ("dropped condition", "i < n and x -> i < n"),
        ("wrong variable", "x -> n"),
        ("wrong function", "max(total, n) -> min(total, n)"),
        ("dropped element", "{'sum': total, 'most': max(total, n)} -> {'sum': total}"),
    } <= changes


def test_kinds_of_fault_in_cpp() -> None:
    faults = list(faults_in_cpp(CPP))
    kinds = {kind for kind, _, _ in faults}
    assert {"missing barrier", "comparison", "stale accumulator", "wrong index", "dropped mask", "number"} <= kinds
    assert all(text != CPP for _, _, text in faults)


def test_text_tools_are_replaced_by_the_text_they_make() -> None:
    source = "def make():\n    return TEXT.replace('2.0f', '3.0f')\n\ndef other():\n    return 1"
    module = types.SimpleNamespace(make=lambda: CPP.replace("2.0f", "3.0f"), other=lambda: 1)
    text = rendered(source, module)
    assert "3.0f" in text
    assert "TEXT" not in text
    assert "return 1" in text


def test_a_solution_does_not_differ_from_itself(tmp_path: Path) -> None:
    for slug in ("fewer_launches", "count_launches", "amdahl"):  # changes its arguments, gets an object, returns data
        before, own = solution_of(slug)
        solve = getattr(load(tmp_path, f"{slug}_twice", f"{before}\n\n{own}"), slug)
        assert difference(registry.find(slug), solve, solve) == ""


def test_same_looks_into_everything() -> None:
    one, other = torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 2.0])
    assert same(Seen([one], (one,)), Seen([one.clone()], (one,)))
    assert not same(Seen([one], (one,)), Seen([one], (other,)))
    assert not same({"a": 1}, {"a": 1.0})
