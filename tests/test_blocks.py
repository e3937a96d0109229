"""Is the hierarchy true? Nothing lost or doubled, scopes kept, repeats found, one difference splits them."""

from __future__ import annotations

import random
from pathlib import Path

import networkx as nx
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from structures import Builder, bottlenecks, chain, stages, transformer

import inspector
from inspector.graph import Block, blocks, collapse, dag
from inspector.graph.collapsing import breadth_first
from inspector.graph.hierarchy import static_nodes

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))
EVERYTHING = 10**9


def tree_of(proto: onnx.ModelProto) -> Block:
    return blocks(inspector.open_model(proto))


def repeats(tree: Block) -> list[int]:
    return sorted(block.repeat for block in tree.walk() if block.repeat > 1)


@pytest.mark.parametrize("path", LIGHT, ids=lambda p: p.stem)
def test_every_node_is_in_exactly_one_place(path: Path) -> None:
    model = inspector.open_model(path)
    tree = blocks(model)
    assert sorted(tree.all_nodes) == sorted(model.nodes)
    keys = [block.key for block in tree.walk()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("proto", [transformer(3), transformer(3, scoped=False), bottlenecks(3), chain(200)])
def test_everything_open_is_the_flat_graph(proto: onnx.ModelProto) -> None:
    model = inspector.open_model(proto)
    tree = blocks(model)
    view = collapse(model, tree, {b.key for b in tree.walk()}, fold=False, constants=True, hub=EVERYTHING)
    prefix = {"input": "input:", "output": "output:", "node": ""}
    names = {box.id: prefix[box.kind] + box.key for box in view.boxes}
    found = sorted((names[e.source], names[e.target], v) for e in view.edges for v in e.values)
    graph = dag(model)
    assert sorted(names.values()) == sorted(graph)
    assert found == sorted(graph.edges(keys=True))


@pytest.mark.parametrize("limit", [1, 10, 40])
def test_a_collapsed_view_drops_no_path(limit: int) -> None:
    model = inspector.open_model(transformer(4))
    tree = blocks(model)
    view = collapse(model, tree, breadth_first(tree, static_nodes(model), limit))
    graph: nx.DiGraph[str] = nx.DiGraph((e.source, e.target) for e in view.edges)
    for portal in view.portals:
        graph.add_edges_from((portal.source, target) for target in portal.targets)
    ids = {(box.kind, box.key): box.id for box in view.boxes}
    for name in ("x", "mask"):
        assert nx.has_path(graph, ids["input", name], ids["output", model.outputs[0].key])


@pytest.mark.parametrize("scoped", [True, False])
@pytest.mark.parametrize("layers", [2, 12])
def test_equal_layers_fold(scoped: bool, layers: int) -> None:
    assert layers in repeats(tree_of(transformer(layers, scoped=scoped)))
    assert layers in repeats(tree_of(bottlenecks(layers, scoped=scoped)))


def test_stages_hold_their_repeats() -> None:
    """As in ResNet-152: each stage is a block of its own with the projection first, then the copies."""
    counts = (3, 8, 36, 3)
    tree = tree_of(stages(counts))
    (group,) = (child for child in tree.children if len(child.children) == len(counts))
    heads = [len(stage.children[0].all_nodes) for stage in group.children]
    assert heads == [5] * 4
    assert repeats(group) == sorted(count - 1 for count in counts)


def test_scopes_become_the_tree() -> None:
    tree = tree_of(transformer(4))
    layers = tree.find("decoder/layers")
    assert layers is not None
    assert layers.repeat == 4
    assert [child.label for child in layers.children] == ["0", "1", "2", "3"]
    attention = tree.find("decoder/layers/0/attn")
    assert attention is not None
    assert {child.label for child in attention.children} == {"q", "k", "v", "out"}


@pytest.mark.parametrize("scoped", [True, False])
def test_one_changed_attribute_splits_a_copy_off(scoped: bool) -> None:
    proto = transformer(6, scoped=scoped)
    softmaxes = [node for node in proto.graph.node if node.op_type == "Softmax"]
    softmaxes[2].attribute[0].i = 1
    assert repeats(tree_of(proto)) == [2, 3]


def test_one_changed_weight_shape_splits_a_copy_off() -> None:
    proto = bottlenecks(6)
    for tensor in proto.graph.initializer:
        if tensor.name in ("blocks.2.conv0.weight", "blocks.2.conv1.weight"):
            shape = (4, 8, 3, 3) if "conv0" in tensor.name else (8, 4, 3, 3)
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(shape, "float32"), tensor.name))
    assert repeats(tree_of(proto)) == [2, 3]


def test_torch_metadata_names_modules_and_classes() -> None:
    b = Builder(scoped=False)
    x = "x"
    for index in range(2):
        for op in ("Relu", "Neg"):
            x = b.add(op, "", x)
            b.nodes[-1].metadata_props.add(
                key="pkg.torch.onnx.name_scopes", value=f"['', 'net', 'net.{index}', 'relu_{index}']"
            )
            b.nodes[-1].metadata_props.add(
                key="pkg.torch.onnx.class_hierarchy",
                value="['pkg.Net', 'torch.nn.modules.container.Sequential', 'pkg.Step', 'aten.relu']",
            )
    tree = tree_of(b.model([("x", [1])], x))
    steps = [block for block in tree.walk() if block.source_class == "Step"]
    assert [step.label for step in steps][-2:] == ["0", "1"]


def test_plumbing_without_a_name_goes_to_its_consumer() -> None:
    proto = transformer(2)
    constant = helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2)))
    proto.graph.node.insert(0, constant)
    scaled = next(n for n in proto.graph.node if n.op_type == "Sigmoid" and "layers.1" in n.name)
    scaled.op_type = "PRelu"
    scaled.input.append("two")
    tree = tree_of(proto)
    (home,) = (block.key for block in tree.walk() if "Constant_0" in block.nodes)
    assert home.endswith("1/mlp")


def test_a_long_chain_is_cut_into_sections() -> None:
    tree = tree_of(chain(2000))
    assert all(len(block.members) <= 64 for block in tree.walk())
    assert len(tree.all_nodes) == 2000


def test_a_module_called_twice_does_not_feed_itself() -> None:
    b = Builder(scoped=True)
    x = "x"
    for scope in ("/net/a", "/net/b", "/net/a", "/net/b"):
        x = b.add("Relu", scope, x)
        x = b.add("Neg", scope, x)
    model = inspector.open_model(b.model([("x", [1])], x))
    tree = blocks(model)
    view = collapse(model, tree, {block.key for block in tree.walk() if block.depth < 2}, fold=False)
    graph: nx.DiGraph[str] = nx.DiGraph((e.source, e.target) for e in view.edges)
    assert nx.is_directed_acyclic_graph(graph)
    assert sorted(tree.all_nodes) == sorted(model.nodes)


def test_equal_calls_give_equal_trees() -> None:
    proto = transformer(5, scoped=False)

    def shape(block: Block) -> object:
        return (
            block.key,
            block.label,
            block.repeat,
            [m if isinstance(m, str) else shape(m) for m in block.members],
        )

    assert shape(tree_of(proto)) == shape(tree_of(proto))


def test_names_of_any_kind_keep_the_tree_whole() -> None:
    random.seed(0)
    odd = ["", "/", "//", "a/" * 60 + "b", "a.b/a.b.c/x", ".", "x:0", "x:1", "é\u202e/\0", "/" * 5000]
    b = Builder(scoped=False)
    x = "x"
    for index in range(60):
        x = b.add("Relu", "", x)
        b.nodes[-1].name = random.choice(odd) + (str(index) if index % 2 else "")
    model = inspector.open_model(b.model([("x", [1])], x))
    assert sorted(blocks(model).all_nodes) == sorted(model.nodes)
