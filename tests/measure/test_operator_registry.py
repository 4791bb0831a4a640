"""The list of operators: a probe of the private call behind it, and what must be in the list."""

from __future__ import annotations

import torch

from teachkit.measure.operator_registry import registered_operators


def test_the_dispatcher_lists_full_names() -> None:
    names = torch._C._dispatch_get_all_op_names()
    assert {"aten::add.Tensor", "aten::add.out", "aten::relu"} <= set(names)
    assert len(names) == len(set(names))


def test_names_and_overloads() -> None:
    aten = registered_operators()["aten"]
    assert {"add", "add_", "gelu", "mm", "_foreach_add_"} <= set(aten.names)
    assert list(aten.names) == sorted(set(aten.names))
    assert aten.n_overloads > len(aten.names) > 1000
    assert aten.matching(lambda name: name == "gelu") == ("gelu",)


def test_every_overload_that_python_sees_is_in_the_list() -> None:
    full_names = set(torch._C._dispatch_get_all_op_names())
    for packet in (torch.ops.aten.mm, torch.ops.aten.gelu, torch.ops.aten.tanh_backward):
        for overload in packet.overloads():
            name = f"aten::{packet.__name__}" + ("" if overload == "default" else f".{overload}")
            assert name in full_names


def test_the_namespaces_add_up() -> None:
    total = sum(operators.n_overloads for operators in registered_operators().values())
    assert total == len(torch._C._dispatch_get_all_op_names())
