"""Which module does a node come from? From torch's node metadata to our scopes and classes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

import onnx

from converters.provenance import describe_node, node_class, node_scope

__all__ = ["fix_dims", "merge_constants", "name_nodes", "rename_dims", "scope_dynamo", "scope_legacy"]

_ARBITRARY = re.compile(r"[A-Za-z]+\d+_dim_\d+")
_SYMBOL = re.compile(r"[A-Za-z_]\w*")
_PREFIX = "pkg.torch.onnx."
_ORPHAN = "_empty_nn_module_stack_from_metadata_hook"


def scope_dynamo(graph: onnx.GraphProto, outer: tuple[str, str] = ("", "")) -> None:
    """Read scopes from exporter metadata, then drop it: it holds paths of the author's source files.

    Nodes that only compute shapes have no module of their own and join the nodes that read them.
    """
    orphans: list[onnx.NodeProto] = []
    for node in graph.node:
        props = {entry.key: entry.value for entry in node.metadata_props}
        own = _own_scope(props)
        del node.metadata_props[:]
        if own is None:
            orphans.append(node)
        else:
            describe_node(node, *own)
        for body in bodies(node):
            scope_dynamo(body, own or outer)
    for value in (*graph.value_info, *graph.input, *graph.output):
        del value.metadata_props[:]
    for tensor in graph.initializer:
        del tensor.metadata_props[:]
    _rehome(graph, orphans, outer)


def scope_legacy(graph: onnx.GraphProto, classes: Mapping[str, str]) -> None:
    """Read scopes from node names like `/features/features.3/squeeze/Conv`; `classes` maps module paths."""
    for node in graph.node:
        scope = _legacy_scope(node.name, classes)
        describe_node(node, scope.replace(".", "/"), classes.get(scope, ""))
        for body in bodies(node):
            scope_legacy(body, classes)


def name_nodes(graph: onnx.GraphProto, taken: set[str] | None = None) -> None:
    """Name every node `<scope>/<operator>`, numbered where that is taken."""
    used = set() if taken is None else taken
    for node in graph.node:
        scope = node_scope(node)
        wanted = f"{scope}/{node.op_type}" if scope else node.op_type
        name, count = wanted, 0
        while name in used:
            count += 1
            name = f"{wanted}_{count}"
        used.add(name)
        node.name = name
        for body in bodies(node):
            name_nodes(body, used)


def merge_constants(graph: onnx.GraphProto) -> None:
    """Keep one of the equal small constants that a module's nodes read."""
    kept: dict[tuple[str, bytes], str] = {}
    twins: dict[str, str] = {}
    for node in list(graph.node):
        if node.op_type == "Constant" and len(node.output) == 1:
            key = node_scope(node), node.attribute[0].SerializeToString()
            first = kept.setdefault(key, node.output[0])
            if first != node.output[0]:
                twins[node.output[0]] = first
                graph.node.remove(node)
        for body in bodies(node):
            merge_constants(body)
    if twins:
        _read_instead(graph, twins)


def _read_instead(graph: onnx.GraphProto, twins: Mapping[str, str]) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in twins:
                node.input[index] = twins[name]
        for body in bodies(node):
            _read_instead(body, twins)
    for value in graph.output:
        if value.name in twins:
            # A graph output must keep its name, so its own constant comes back as an alias.
            graph.node.add(op_type="Identity", input=[twins[value.name]], output=[value.name])


def fix_dims(graph: onnx.GraphProto, sizes: Mapping[str, int]) -> None:
    """Write the size of symbols that have only one; expressions over them are left to shape inference."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
            elif any(symbol in sizes for symbol in _SYMBOL.findall(dim.dim_param)):
                dim.ClearField("dim_param")
    for node in graph.node:
        for body in bodies(node):
            fix_dims(body, sizes)


def rename_dims(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Replace symbols such as `s77`, also inside expressions, by the names the user gave.

    Symbols that say nothing but where they arose (`Gemm44_dim_0`) are dropped: shape inference knows better.
    """
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if _ARBITRARY.fullmatch(dim.dim_param):
                dim.ClearField("dim_param")
            elif dim.dim_param:
                dim.dim_param = _SYMBOL.sub(lambda m: names.get(m.group(), m.group()), dim.dim_param)
    for node in graph.node:
        for body in bodies(node):
            rename_dims(body, names)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The subgraphs of a control-flow node."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _own_scope(props: Mapping[str, str]) -> tuple[str, str] | None:
    try:
        scopes = ast.literal_eval(props[_PREFIX + "name_scopes"])
        classes = ast.literal_eval(props[_PREFIX + "class_hierarchy"])
    except (KeyError, ValueError, SyntaxError):
        return None
    if len(scopes) < 2 or len(scopes) != len(classes) or scopes[0] == _ORPHAN:
        return None
    # The last entry is the operator itself; modules called several times carry an "@1" behind their path.
    path = re.sub(r"@\d+", "", str(scopes[-2]))
    return path.replace(".", "/"), str(classes[-2])


def _rehome(graph: onnx.GraphProto, orphans: list[onnx.NodeProto], outer: tuple[str, str]) -> None:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
        for body in bodies(node):
            for name in _outside_names(body):
                readers.setdefault(name, []).append(node)
    for node in reversed(orphans):
        found = [reader for output in node.output for reader in readers.get(output, [])]
        scopes = {node_scope(reader) for reader in found}
        if len(scopes) == 1 and node_class(found[0]):
            describe_node(node, scopes.pop(), node_class(found[0]))
        elif scopes:
            describe_node(node, _common(scopes))
        else:
            describe_node(node, *outer)


def _common(scopes: set[str]) -> str:
    shared: list[str] = []
    for parts in zip(*(scope.split("/") for scope in scopes), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared)


def _outside_names(graph: onnx.GraphProto) -> set[str]:
    names: set[str] = set()
    for node in graph.node:
        names.update(node.input)
        for body in bodies(node):
            names |= _outside_names(body)
    return names


def _legacy_scope(name: str, classes: Mapping[str, str]) -> str:
    """The longest known module path whose parts appear in a node name, else its own parts."""
    parts = [part for part in name.split("/") if part][:-1]
    # A child is written either by its own name or by its full path from the top.
    path = ""
    for part in parts:
        from_top = part.split(".")[0] == path.split(".")[0] and part in classes
        if from_top or (path and part.startswith(f"{path}.")):
            path = part
        else:
            path = f"{path}.{part}" if path else part
    return path
