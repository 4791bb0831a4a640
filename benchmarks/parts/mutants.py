"""Small faults in Python source: each operator below changes one place, and every place gives one mutant."""

from __future__ import annotations

import ast
import copy
import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.parts.mutants_in_cpp import faults_in_cpp, is_cpp, short

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_TYPES = {"float32": "float16", "float64": "float32", "int32": "int64", "int64": "int32", "float16": "float32"}
_BARRIERS = ("syncthreads", "syncwarp", "debug_barrier", "sync")
_OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One fault: its kind, the change in words, and the whole source with it."""

    kind: str
    change: str
    source: str


def rendered(source: str, module: Any) -> str:
    """``source`` with every function that only puts C++ together replaced by what it returns.

    ``module`` is ``source``, loaded. Faults then go into the C++, not into the text tools that made it.
    """
    tree = ast.parse(source)
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.args.args):
        if "__global__" in (text := repr(getattr(module, function.name)())):
            function.body = ast.parse(f"def f():\n    return {text}").body[0].body  # type: ignore[attr-defined]
    return ast.unparse(tree)


def mutants_of(name: str, source: str, n: int) -> list[Mutant]:
    """Up to ``n`` mutants of ``source``, the same for the same ``name``: each kind in turn, places drawn at random."""
    found: dict[str, list[Mutant]] = {}
    for mutant in _all(source):
        found.setdefault(mutant.kind, []).append(mutant)
    draw = random.Random(name)
    for kind in found.values():
        draw.shuffle(kind)
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*found.values()))
    return list(itertools.islice((m for m in in_turn if m is not None), n))


Change = Callable[[ast.AST], "ast.AST | list[ast.AST] | None"]


def _all(source: str) -> Iterator[Mutant]:
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    texts = [node for node in _body_nodes(tree) if is_cpp(node)] or [node for node in ast.walk(tree) if is_cpp(node)]
    for node in dict.fromkeys(texts):  # those in functions, if there are any: they are what is used
        assert isinstance(node, ast.Constant)
        text = node.value
        for kind, change, node.value in faults_in_cpp(text):
            yield Mutant(kind, change, ast.unparse(tree))
        node.value = text
    _note_next_parameters(tree)
    for index in range(len(_body_nodes(tree))):
        for kind, change in _OPERATORS.items():
            for variant in range(4):
                fresh = copy.deepcopy(tree)
                node = _body_nodes(fresh)[index]
                before = ast.unparse(node)
                after = change(node, variant)
                if after is None:
                    break
                _replace(fresh, node, after)
                text = ast.unparse(ast.fix_missing_locations(fresh))
                if text not in seen:
                    seen.add(text)
                    shown = " ".join(ast.unparse(a) for a in (after if isinstance(after, list) else [after]))
                    yield Mutant(kind, f"{short(before)} -> {short(shown) or 'nothing'}", text)


def _note_next_parameters(tree: ast.Module) -> None:
    """On every use of a parameter, note the parameter behind it: the one that is written there by mistake."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        names = [argument.arg for argument in function.args.args if argument.arg != "self"]
        following = dict(zip(names, names[1:] + names[:1], strict=True))
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Load)
                and len(names) > 1
                and node.id in following
            ):
                node.next_parameter = following[node.id]  # type: ignore[attr-defined]


def _body_nodes(tree: ast.AST) -> list[ast.AST]:
    """Every node inside a function's body, in a fixed order; none twice."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    nodes = (node for function in functions for statement in function.body for node in ast.walk(statement))
    return list(dict.fromkeys(nodes))


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST | list[ast.AST]) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list) and any(item is old for item in value):
                at = next(i for i, item in enumerate(value) if item is old)
                value[at : at + 1] = new if isinstance(new, list) else [new]


def _once(function: Callable[[ast.AST], ast.AST | list[ast.AST] | None]) -> Callable[[ast.AST, int], object]:
    return lambda node, variant: function(node) if variant == 0 else None


def _off_by_one(node: ast.AST, variant: int) -> ast.AST | None:
    if isinstance(node, ast.Constant) and type(node.value) is int and variant < 2:
        return ast.Constant(node.value + (1, -1)[variant])
    return None


def _number(node: ast.AST) -> ast.AST | None:
    return (
        ast.Constant(node.value * 1.25 + 0.5) if isinstance(node, ast.Constant) and type(node.value) is float else None
    )


def _comparison(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPPED:
        return ast.Compare(node.left, [_SWAPPED[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    return None


def _arithmetic(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.BinOp) and type(node.op) in _SWAPPED:
        return ast.BinOp(node.left, _SWAPPED[type(node.op)](), node.right)
    return None


def _logic(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.BoolOp):
        return ast.BoolOp(_SWAPPED[type(node.op)](), node.values)
    if isinstance(node, ast.If):
        return ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    if isinstance(node, ast.IfExp):
        return ast.IfExp(node.test, node.orelse, node.body)
    return None


def _dropped_mask(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Call) and any(keyword.arg == "mask" for keyword in node.keywords):
        return ast.Call(node.func, node.args, [k for k in node.keywords if k.arg not in ("mask", "other")])
    return None


def _wrong_stride(node: ast.AST) -> ast.AST | None:
    return node.left if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) else None


def _missing_barrier(node: ast.AST) -> ast.AST | None:
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if is_call and isinstance(node.value.func, ast.Attribute) and node.value.func.attr in _BARRIERS:
        return ast.Pass()
    return None


def _extra_pass(node: ast.AST) -> list[ast.AST] | None:
    """A statement that stores, launches or changes something, done twice."""
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return [node, copy.deepcopy(node)] if is_call else None


def _wrong_type(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Attribute) and node.attr in _TYPES:
        return ast.Attribute(node.value, _TYPES[node.attr], node.ctx)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("to", "float"):
        return node.func.value
    return None


def _stale_accumulator(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.AugAssign):
        return ast.Assign([node.target], node.value, lineno=node.lineno)
    return None


def _dropped_statement(node: ast.AST) -> ast.AST | None:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return ast.Pass() if isinstance(node, (ast.Expr, ast.AugAssign)) and not is_text else None


def _swapped_arguments(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Call) and len(node.args) > 1 and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        return ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    return None


def _wrong_function(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _OTHER_FUNCTION:
        return ast.Call(ast.Name(_OTHER_FUNCTION[node.func.id], ast.Load()), node.args, node.keywords)
    return None


def _dropped_condition(node: ast.AST, variant: int) -> ast.AST | None:
    if isinstance(node, ast.BoolOp) and variant < len(node.values):
        return node.values[variant]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)) and variant == 0:
        return node.operand
    if isinstance(node, ast.comprehension) and node.ifs and variant == 0:
        return ast.comprehension(node.target, node.iter, [], node.is_async)
    return None


def _dropped_element(node: ast.AST, variant: int) -> ast.AST | None:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and 1 < len(node.elts) > variant:
        return type(node)(elts=node.elts[:variant] + node.elts[variant + 1 :], ctx=ast.Load())
    if isinstance(node, ast.Dict) and 1 < len(node.keys) > variant:
        return ast.Dict(
            node.keys[:variant] + node.keys[variant + 1 :], node.values[:variant] + node.values[variant + 1 :]
        )
    return None


def _dropped_argument(node: ast.AST, variant: int) -> ast.AST | None:
    optional = [k for k in node.keywords if k.arg not in ("mask", "other")] if isinstance(node, ast.Call) else []
    if variant < len(optional):
        return ast.Call(node.func, node.args, [k for k in node.keywords if k is not optional[variant]])  # type: ignore[attr-defined]
    return None


def _shifted_slice(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Slice) and isinstance(node.upper, ast.Name):
        return ast.Slice(node.lower, ast.BinOp(node.upper, ast.Add(), ast.Constant(1)), node.step)
    return None


def _wrong_variable(node: ast.AST) -> ast.AST | None:
    other = getattr(node, "next_parameter", None)  # set by _all
    return ast.Name(other, ast.Load()) if isinstance(other, str) else None


def _skipped_round(node: ast.AST) -> ast.AST | None:
    """A loop that leaves out its first round."""
    if not isinstance(node, ast.For) or "range" in ast.dump(node.iter):
        return None
    rest = ast.Subscript(
        ast.Call(ast.Name("list", ast.Load()), [node.iter], []), ast.Slice(ast.Constant(1), None, None), ast.Load()
    )
    return ast.For(node.target, rest, node.body, node.orelse)


_OPERATORS: dict[str, Callable[[ast.AST, int], object]] = {
    "off by one": _off_by_one,
    "comparison": _once(_comparison),
    "dropped mask": _once(_dropped_mask),
    "wrong stride": _once(_wrong_stride),
    "missing barrier": _once(_missing_barrier),
    "extra pass": _once(_extra_pass),
    "wrong type": _once(_wrong_type),
    "stale accumulator": _once(_stale_accumulator),
    "arithmetic": _once(_arithmetic),
    "logic": _once(_logic),
    "dropped statement": _once(_dropped_statement),
    "swapped arguments": _once(_swapped_arguments),
    "number": _once(_number),
    "wrong function": _once(_wrong_function),
    "dropped condition": _dropped_condition,
    "dropped element": _dropped_element,
    "dropped argument": _dropped_argument,
    "shifted slice": _once(_shifted_slice),
    "skipped round": _once(_skipped_round),
    "wrong variable": _once(_wrong_variable),
}
