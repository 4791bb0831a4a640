"""Which operators may share a kernel, and the bytes each choice moves.

Modelled: every group of a partition is one kernel; it reads each tensor made outside it once, writes each tensor
wanted outside it once, and keeps everything else in registers.
Not modelled: recomputation, caches, views, the limits on registers and shared memory, reductions kept on chip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from teachkit.errors import FusionGraphError

Kind = Literal["pointwise", "reduction", "opaque"]
Partition = Sequence[Collection[str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One operator and the tensor it makes.

    Parameters
    ----------
    name : the operator, and the tensor it writes; unique in its graph.
    kind : ``"pointwise"`` (element i of the output needs element i of the inputs), ``"reduction"`` (the output is known
        only after the whole input has been read) or ``"opaque"`` (a library kernel such as matmul: never fused).
    inputs : names of nodes or of graph inputs. A name given twice is read once.
    n_elements : elements of the output.
    dtype_bytes : bytes an element of the output.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    n_elements: int
    dtype_bytes: int = 4

    @property
    def n_bytes(self) -> int:
        """Size of the output, bytes."""
        return self.n_elements * self.dtype_bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """An input of a graph: its number of elements and the bytes of each."""

    n_elements: int
    dtype_bytes: int = 4

    @property
    def n_bytes(self) -> int:
        """Size, bytes."""
        return self.n_elements * self.dtype_bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """A small graph of operators, in an order in which they can run.

    Parameters
    ----------
    inputs : name -> Tensor, what is in memory before the first operator runs.
    nodes : operators; each reads graph inputs and nodes before it.
    outputs : names of the nodes whose tensors are wanted afterwards. A node that nobody reads must be one of them.

    Raises
    ------
    FusionGraphError
        For a name used twice, an input nobody made yet, an unknown kind or output, or a node whose result is lost.

    Examples
    --------
    >>> graph = Graph({"x": Tensor(100)}, (Node("y", "pointwise", ("x",), 100),), ("y",))
    >>> traffic_bytes(graph, [{"y"}])
    800
    """

    inputs: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        known = set(self.inputs)
        for node in self.nodes:
            if node.kind not in ("pointwise", "reduction", "opaque"):
                raise FusionGraphError(
                    f"expected kind 'pointwise', 'reduction' or 'opaque', got {node.kind!r}, in {node.name!r}"
                )
            if node.name in known:
                raise FusionGraphError(f"expected a new name for every node, got {node.name!r} twice")
            for name in node.inputs:
                if name not in known:
                    raise FusionGraphError(
                        f"expected every input to be made before it is read, got {name!r} in {node.name!r}",
                        hint="list the nodes in an order in which they can run.",
                    )
            known.add(node.name)
        made, read = {node.name for node in self.nodes}, {name for node in self.nodes for name in node.inputs}
        for name in self.outputs:
            if name not in made:
                raise FusionGraphError(f"expected outputs to name nodes, got {name!r}")
        if lost := made - read - set(self.outputs):
            raise FusionGraphError(f"nobody reads the result of {sorted(lost)} and it is no output of the graph")

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise FusionGraphError(f"expected a node of {list(self.names)}, got {name!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes, in order."""
        return tuple(node.name for node in self.nodes)

    def tensor_bytes(self, name: str) -> int:
        """Size of the tensor of that name, graph input or node, bytes."""
        return self.inputs[name].n_bytes if name in self.inputs else self[name].n_bytes

    def consumers(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that read the tensor of that name."""
        return tuple(node.name for node in self.nodes if name in node.inputs)

    def loop_elements(self, name: str) -> int:
        """Elements that the operator's loop runs over: its output's, or a reduction's largest input's."""
        node = self[name]
        if node.kind != "reduction":
            return node.n_elements
        return max(self.inputs[i].n_elements if i in self.inputs else self[i].n_elements for i in node.inputs)


def eager(graph: Graph) -> list[frozenset[str]]:
    """The partition of eager execution: every operator alone."""
    return [frozenset({name}) for name in graph.names]


def group_reads(graph: Graph, group: Collection[str]) -> tuple[str, ...]:
    """Tensors the group's kernel must read from memory, each once."""
    wanted = dict.fromkeys(name for node in graph.nodes if node.name in group for name in node.inputs)
    return tuple(name for name in wanted if name not in group)


def group_writes(graph: Graph, group: Collection[str]) -> tuple[str, ...]:
    """Tensors the group's kernel must write: outputs of the graph, and whatever a node outside the group reads."""
    return tuple(
        name
        for name in graph.names
        if name in group and (name in graph.outputs or any(c not in group for c in graph.consumers(name)))
    )


def group_bytes(graph: Graph, group: Collection[str]) -> tuple[int, int]:
    """``(read, written)`` bytes of the group's kernel."""
    n_read_bytes = sum(graph.tensor_bytes(name) for name in group_reads(graph, group))
    return n_read_bytes, sum(graph.tensor_bytes(name) for name in group_writes(graph, group))


def traffic_bytes(graph: Graph, partition: Partition) -> int:
    """Bytes all kernels of the partition read and write.

    Raises
    ------
    FusionGraphError
        If the groups do not hold every node exactly once. Whether they could run is :func:`is_legal`'s question.
    """
    _require_cover(graph, partition)
    return sum(sum(group_bytes(graph, group)) for group in partition)


def n_launches(graph: Graph, partition: Partition) -> int:
    """Kernels launched: one a group."""
    _require_cover(graph, partition)
    return len(partition)


def is_legal(graph: Graph, partition: Partition) -> bool:
    """Whether every group can be one kernel and the kernels can run in some order."""
    return why_illegal(graph, partition) is None


def why_illegal(graph: Graph, partition: Partition) -> str | None:
    """The first rule that the partition breaks, as a sentence; ``None`` if it is legal.

    The rules: every node in exactly one group; an opaque node alone; one loop size a group; nobody in a group reads a
    reduction of the same group; no two groups wait for each other, directly or through others.
    """
    if message := _why_no_cover(graph, partition):
        return message
    for group in partition:
        if message := why_no_kernel(graph, group):
            return message
    order = run_order(graph, partition)
    if order is None:
        steps = ", ".join(f"{reader!r} reads {tensor!r}" for tensor, reader in _circle(graph, partition))
        return (
            f"some groups wait for each other: data leaves a group and comes back to it through another one ({steps})"
        )
    return None


def why_no_kernel(graph: Graph, group: Collection[str]) -> str | None:
    """Why these operators cannot share one kernel, whatever the other groups are; ``None`` if they can.

    A group that cannot be one kernel stays so when operators are added to it.
    """
    members = [graph[name] for name in graph.names if name in group]
    for node in members:
        if node.kind == "opaque" and len(members) > 1:
            return f"{node.name!r} is opaque (a library kernel) and must be alone in its group"
        for name in node.inputs:
            if name in group and graph[name].kind == "reduction":
                return f"{node.name!r} reads {name!r}, a reduction that is finished only when their kernel ends"
    sizes = {node.name: graph.loop_elements(node.name) for node in members}
    if len(set(sizes.values())) > 1:
        return f"one kernel has one loop, but this group's operators run over different sizes: {sizes}"
    return None


def run_order(graph: Graph, partition: Partition) -> list[int] | None:
    """Indices of the groups in an order in which they can run; ``None`` if they wait for each other in a circle."""
    home = {name: index for index, group in enumerate(partition) for name in group}
    waits: dict[int, set[int]] = {index: set() for index in range(len(partition))}
    for node in graph.nodes:
        waits[home[node.name]] |= {home[i] for i in node.inputs if i in home} - {home[node.name]}
    order: list[int] = []
    while len(order) < len(partition):
        ready = [index for index in waits if index not in order and waits[index] <= set(order)]
        if not ready:
            return None
        order.extend(ready)
    return order


def tanh_gelu_graph(n: int, dtype_bytes: int = 4) -> Graph:
    """Tanh-GELU as PyTorch runs it operator by operator on ``[n]`` elements: 8 launches, 18n elements moved.

    Examples
    --------
    >>> graph = tanh_gelu_graph(1000)
    >>> n_launches(graph, eager(graph)), traffic_bytes(graph, eager(graph)) // 4
    (8, 18000)
    """
    chain = {
        "cube": ("x",),  # x ** 3
        "scaled": ("cube",),  # 0.044715 * cube
        "inner": ("x", "scaled"),  # x + scaled
        "argument": ("inner",),  # sqrt(2 / pi) * inner
        "tanh": ("argument",),
        "one_plus": ("tanh",),  # 1 + tanh
        "half_x": ("x",),  # 0.5 * x
        "gelu": ("half_x", "one_plus"),  # half_x * one_plus
    }
    nodes = tuple(Node(name, "pointwise", inputs, n, dtype_bytes) for name, inputs in chain.items())
    return Graph({"x": Tensor(n, dtype_bytes)}, nodes, ("gelu",))


def _why_no_cover(graph: Graph, partition: Partition) -> str | None:
    placed = list(_flatten(partition))
    if any(len(group) == 0 for group in partition):
        return "a group is empty"
    if unknown := [name for name in placed if name not in graph.names]:
        return f"{unknown[0]!r} is no operator of the graph"
    if twice := [name for name in graph.names if placed.count(name) > 1]:
        return f"{twice[0]!r} is in more than one group"
    if missing := [name for name in graph.names if name not in placed]:
        return f"{missing[0]!r} is in no group"
    return None


def _circle(graph: Graph, partition: Partition) -> list[tuple[str, str]]:
    """A shortest way along which data leaves a group and comes back to it, as ``(tensor, reader)`` between groups."""
    home = {name: index for index, group in enumerate(partition) for name in group}
    between = [
        (i, node.name) for node in graph.nodes for i in node.inputs if home.get(i, -1) not in (-1, home[node.name])
    ]
    ways = [[edge] for edge in between]
    while ways:
        for way in ways:
            if home[way[-1][1]] == home[way[0][0]]:
                return way
        ways = [
            [*way, edge] for way in ways for edge in between if home[edge[0]] == home[way[-1][1]] and edge not in way
        ]
    return []


def _require_cover(graph: Graph, partition: Partition) -> None:
    if message := _why_no_cover(graph, partition):
        raise FusionGraphError(f"expected every operator in exactly one group: {message}")


def _flatten(partition: Iterable[Collection[str]]) -> Iterator[str]:
    for group in partition:
        yield from group
