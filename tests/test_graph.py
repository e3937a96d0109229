"""Does the graph say who feeds whom? Bodies, shared values and sizes included, in linear time."""

from __future__ import annotations

import time
from pathlib import Path

import networkx as nx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from structures import Builder, bottlenecks, transformer

import inspector
from inspector.graph import dag
from inspector.graph.digraph import INPUT, OUTPUT


def test_nodes_are_operators_and_edges_are_values() -> None:
    model = inspector.open_model(bottlenecks(2))
    graph = inspector.dag(model)
    assert isinstance(graph, nx.MultiDiGraph)
    operators = {key for key, facts in graph.nodes(data=True) if facts["kind"] == "operator"}
    assert operators == set(model.nodes)
    assert nx.is_directed_acyclic_graph(graph)
    for source, target, key, facts in graph.edges(keys=True, data=True):
        assert facts["value"] == key
        if source in model.nodes and target in model.nodes:
            assert key in model.nodes[source].outputs
            assert [model.nodes[target].inputs[i] for i in facts["positions"]] == [key] * len(
                facts["positions"]
            )
    (conv,) = (key for key, facts in graph.nodes(data=True) if facts.get("weights") == {1: "stem.weight"})
    (edge,) = graph.out_edges(INPUT + "x", data=True)
    assert edge[1] == conv
    assert (edge[2]["dtype"], edge[2]["shape"], edge[2]["bytes"]) == ("float32", (1, 3, 16, 16), 3072)


def test_a_value_read_twice_by_one_node_is_one_edge() -> None:
    b = Builder(scoped=False)
    y = b.add("Mul", "", "x", "x")
    graph = dag(inspector.open_model(b.model([("x", [2])], y)))
    (edge,) = graph.out_edges(INPUT + "x", data=True)
    assert edge[2]["positions"] == (0, 1)
    assert list(graph.predecessors(OUTPUT + y)) == ["n0"]


def looped() -> onnx.ModelProto:
    """A Loop whose body adds an outer value to the carried one."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["carried", "outer"], ["sum"], "inner_add"),
            helper.make_node("Identity", ["go"], ["go_on"], "keep"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [2]),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["start"], "before"),
            helper.make_node("Neg", ["x"], ["outer"], "negate"),
            helper.make_node("Loop", ["count", "", "start"], ["y"], "loop", body=body),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.int64(3), "count")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_bodies_are_part_of_the_graph() -> None:
    graph = dag(inspector.open_model(looped()))
    inner = "loop.body/inner_add"
    assert graph.nodes[inner]["owner"] == "loop"
    assert graph.nodes["before"]["owner"] == ""
    roles = {(a, facts["role"]) for a, _, facts in graph.in_edges(inner, data=True)}
    assert roles == {("negate", "data"), ("before", "passed")}
    assert [facts["role"] for *_, facts in graph.out_edges(inner, data=True)] == ["returned"]
    assert nx.has_path(graph, INPUT + "x", OUTPUT + "y")


@pytest.mark.parametrize("name", ["silero_vad", "silero_vad_16k_op15", "silero_vad_op18_ifless"])
def test_real_models_with_branches(shared_models: Path, name: str) -> None:
    files = list(shared_models.rglob(f"{name}.onnx"))
    if not files:
        pytest.skip(f"{name}.onnx is not here")
    model = inspector.open_model(files[0])
    graph = dag(model)
    assert nx.is_directed_acyclic_graph(graph)
    assert set(model.nodes) <= set(graph)
    for output in model.outputs:
        assert graph.in_degree(OUTPUT + output.key)


@pytest.mark.slow
def test_a_hundred_thousand_nodes_take_seconds() -> None:
    def seconds(layers: int) -> float:
        model = inspector.open_model(transformer(layers, width=2, tokens=2))
        assert model.values
        assert model.weights
        start = time.process_time()
        graph = dag(model)
        assert graph.number_of_nodes() > 24 * layers
        return time.process_time() - start

    small, large = seconds(420), seconds(4200)
    assert large < 25 * max(small, 0.05), "ten times the nodes cost about ten times the time"
