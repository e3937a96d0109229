"""Which part of a model lies between some values? A model of its own that runs and gives the same numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx

from inspector.dtypes import number_of
from inspector.errors import BadInput, UnknownName
from inspector.graph.digraph import owner_of
from inspector.model import Model, Node

__all__ = ["boundary", "extract"]


def boundary(model: Model, nodes: Iterable[str]) -> tuple[list[str], list[str]]:
    """The computed values that some nodes read from outside, and those they give to the outside.

    Nodes are keys; one inside a body stands for the operator that holds it. A value that nobody reads is
    given to the outside too.

    Raises:
        UnknownName: no node has such a key.
    """
    chosen = dict.fromkeys(_owner(model, key) for key in nodes)
    reads = _reads(model)
    made = [name for node in _top(model) if node.key in chosen for name in node.outputs if name]
    inner = dict.fromkeys(name for key in chosen for name in reads[key])
    wanted = {name for key, names in reads.items() if key not in chosen for name in names}
    wanted |= {value.key for value in model.outputs}
    inputs = [name for name in inner if name not in {*made, *model.weights}]
    return inputs, [name for name in made if name in wanted or name not in inner]


def extract(model: Model, inputs: Iterable[str], outputs: Iterable[str]) -> Model:
    """The nodes that compute `outputs` from `inputs`, with their weights, names and provenance.

    Model inputs that are needed besides are kept and named in a note.

    Raises:
        UnknownName: a value does not exist at the top of the graph.
        BadInput: an output needs none of the nodes, or the type of a new input or output is not known.
    """
    ends, starts = list(dict.fromkeys(outputs)), list(dict.fromkeys(inputs))
    producers = {name: node for node in _top(model) for name in node.outputs if name}
    for key in (*starts, *ends):
        model.value(key)
        if key not in producers and key in model.producers:
            raise UnknownName(f"{key!r} lies inside a body. Choose values of the graph around it.")
    if not ends:
        raise BadInput("a part needs at least one output.")
    nodes, read = _between(model, producers, set(starts), ends)
    if not nodes:
        raise BadInput(f"no operator lies between {', '.join(starts)} and {', '.join(ends)}.")
    given = {value.key for value in model.inputs}
    used = [key for key in starts if key in read]
    more = [key for key in read if key in given and key not in starts]
    notes = [f"Part of {model.name} from {', '.join([*used, *more]) or 'constants'} to {', '.join(ends)}."]
    if more and starts:
        notes.append(f"Needs {', '.join(more)} too.")
    if unused := [key for key in starts if key not in read]:
        notes.append(f"Left out, as no chosen output needs them: {', '.join(unused)}.")
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    _narrow(proto.graph, nodes, read)
    del proto.graph.input[:], proto.graph.output[:], proto.graph.value_info[:]
    kept = {*(name for node in nodes for name in node.outputs), *read}
    known = model.inferred.graph
    proto.graph.value_info.extend(
        info for info in known.value_info if info.name in kept - {*ends, *used, *more}
    )
    proto.graph.input.extend(_typed(model, key) for key in (*used, *more))
    proto.graph.output.extend(_typed(model, key) for key in ends)
    return Model(proto, model.folder, model.origin, (*model.notes, *notes), model.keep)


def _between(
    model: Model, producers: Mapping[str, Node], starts: set[str], ends: Iterable[str]
) -> tuple[list[Node], dict[str, None]]:
    """The needed nodes in graph order, and every value they read that none of them makes."""
    reads = _reads(model)
    needed: dict[str, Node] = {}
    stack = [key for key in ends if key not in starts]
    read: dict[str, None] = dict.fromkeys(key for key in ends if key in starts)
    while stack:
        key = stack.pop()
        node = producers.get(key) if key not in starts else None
        if node is None:
            read[key] = None
        elif node.key not in needed:
            needed[node.key] = node
            stack.extend(reads[node.key])
    return [node for node in _top(model) if node.key in needed], read


def _narrow(graph: onnx.GraphProto, nodes: list[Node], read: dict[str, None]) -> None:
    keep = {node.index for node in nodes}
    chosen = [node for index, node in enumerate(graph.node) if index in keep]
    del graph.node[:]
    graph.node.extend(chosen)
    tensors = [tensor for tensor in graph.initializer if tensor.name in read]
    sparse = [tensor for tensor in graph.sparse_initializer if tensor.values.name in read]
    del graph.initializer[:], graph.sparse_initializer[:]
    graph.initializer.extend(tensors)
    graph.sparse_initializer.extend(sparse)


def _typed(model: Model, key: str) -> onnx.ValueInfoProto:
    """The declared or inferred type of a value, under its name."""
    graph = model.inferred.graph
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.name == key and info.type.WhichOneof("value"):
            return info
    dtype = model.value(key).dtype
    if not dtype:
        raise BadInput(
            f"the type of {key!r} is not known, so a part cannot end there. Choose a value near it."
        )
    return onnx.helper.make_tensor_value_info(key, number_of(dtype), None)


def _top(model: Model) -> Iterator[Node]:
    return (node for node in model.nodes.values() if not node.body)


def _owner(model: Model, key: str) -> str:
    """The node at the top of the graph that is, or holds, the node."""
    if key not in model.nodes:
        raise UnknownName.among("node", key, model.nodes)
    while body := model.nodes[key].body:
        key = owner_of(body)
    return key


def _reads(model: Model) -> dict[str, list[str]]:
    """Values of the graph that each of its nodes reads, in its bodies too."""
    found: dict[str, list[str]] = {}
    for node in model.nodes.values():
        owner = _owner(model, node.key)
        names = found.setdefault(owner, [])
        names += [name for name in node.inputs if name and not (node.body and name.startswith(f"{owner}."))]
    return found
