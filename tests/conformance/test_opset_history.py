"""Is every schema version of every operator covered, and does each give what ONNX Runtime gives?"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper
from onnx.defs import OpSchema
from opset_cases import Case, every_case

from inspector.autograd import narrow, to_torch
from inspector.autograd.registry import find, operators

ROWS = tomllib.loads((Path(__file__).parent / "opset_history.toml").read_text())
RELATIVE, ABSOLUTE = 2e-4, 2e-5
CANNOT = (
    ort.capi.onnxruntime_pybind11_state.NotImplemented,
    ort.capi.onnxruntime_pybind11_state.InvalidGraph,
    ort.capi.onnxruntime_pybind11_state.Fail,
)
"""What ONNX Runtime raises for versions it has no kernel for."""

Array = np.ndarray[Any, Any]


@cache
def history() -> dict[tuple[str, str], dict[int, OpSchema]]:
    found: dict[tuple[str, str], dict[int, OpSchema]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        found.setdefault((schema.domain, schema.name), {})[schema.since_version] = schema
    return found


def signature(schema: OpSchema) -> tuple[Any, ...]:
    """What a caller can say: inputs, outputs, attributes with defaults; neither types nor prose."""
    inputs = [(i.name.lower(), i.option) for i in schema.inputs]
    outputs = [o.option for o in schema.outputs]
    attributes = sorted(
        (name, a.type, a.required, a.default_value.SerializeToString())
        for name, a in schema.attributes.items()
        if name != "consumed_inputs"
    )
    return inputs, outputs, attributes, schema.deprecated


def unexplained() -> Iterator[str]:
    registered = {(found.domain, found.name) for found in operators()}
    for (domain, name), versions in history().items():
        if (domain, name) not in registered:
            continue
        label = f"{domain}.{name}" if domain else name
        declared = {int(version) for version in ROWS.get(label, {})}
        before: OpSchema | None = None
        for version, schema in sorted(versions.items()):
            chosen = find(name, domain, version)
            same = before is not None and signature(before) == signature(schema)
            if chosen is None:
                yield f"{label}-{version}: nothing is registered for it"
            elif chosen.since != version and not same and version not in declared:
                yield f"{label}-{version}: runs the function of {chosen.since}, no row says why"
            before = schema


def test_every_version_has_a_function_or_a_reason() -> None:
    assert list(unexplained()) == []


def test_every_attribute_of_every_version_is_accepted() -> None:
    refused: list[str] = []
    for (domain, name), versions in history().items():
        for version, schema in versions.items():
            chosen = find(name, domain, version)
            if chosen is None or chosen.takes_any:
                continue
            unknown = set(schema.attributes) - set(chosen.parameters) - {"consumed_inputs"}
            refused.extend(f"{name}-{version}: {attribute}" for attribute in sorted(unknown))
    assert refused == []


def test_no_row_is_stale() -> None:
    for label, rows in ROWS.items():
        domain, _, name = label.rpartition(".")
        for version in rows:
            assert int(version) in history()[(domain, name)], f"{label}-{version} does not exist"
            assert all(reason.strip() for reason in rows.values())
            chosen = find(name, domain, int(version))
            assert chosen is not None
            assert chosen.since != int(version), f"{label}-{version} has its own function"


def at_version(case: Case, schema: OpSchema) -> tuple[onnx.ModelProto, dict[str, Array]] | None:
    """The case as a model of that version, or None where the version cannot say it."""
    tensors: list[Array | None] = list(case.tensors)
    places = {parameter.name: place for place, parameter in enumerate(schema.inputs)}
    attributes: dict[str, Any] = {}
    for name, value in case.named.items():
        if name in schema.attributes:
            if isinstance(value, str) != ("STRING" in schema.attributes[name].type.name):
                return None
            attributes[name] = value
        elif name in places:
            tensors += [None] * (places[name] + 1 - len(tensors))
            kind = np.float32 if isinstance(np.ravel(value)[0], float) else np.int64
            tensors[places[name]] = np.array(value, dtype=kind)
        else:
            return None
    if not schema.min_input <= len(tensors) <= schema.max_input or case.outputs > schema.max_output:
        return None
    if any(a.required and name not in attributes for name, a in schema.attributes.items()):
        return None
    return model_of(case, schema, tensors, attributes)


def model_of(
    case: Case, schema: OpSchema, tensors: list[Array | None], attributes: dict[str, Any]
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    feeds = {f"x{i}": np.asarray(array) for i, array in enumerate(tensors) if array is not None}
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(tensors)]
    outputs = [f"y{i}" for i in range(case.outputs)]
    node = helper.make_node(case.operator, names, outputs, domain=case.domain, **attributes)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs]
    for result in results:
        result.ClearField("type")
    graph = helper.make_graph([node], "g", infos, results)
    opsets = [helper.make_opsetid(schema.domain, schema.since_version)]
    if schema.domain:
        opsets.append(helper.make_opsetid("", 21))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), feeds


def by_onnxruntime(model: onnx.ModelProto, feeds: dict[str, Array]) -> list[Any] | None:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, feeds)
    except CANNOT:
        return None


def versions_of(name: str, domain: str) -> list[OpSchema]:
    return [schema for _, schema in sorted(history()[(domain, name)].items()) if not schema.deprecated]


CASES = every_case()
GROUPS = sorted({(case.domain, case.operator) for case in CASES})


@pytest.mark.parametrize(("domain", "name"), GROUPS, ids=lambda item: item or "onnx")
def test_every_version_equals_onnxruntime(domain: str, name: str) -> None:
    compared = tried = 0
    for schema in versions_of(name, domain):
        for case in CASES:
            if (case.domain, case.operator) != (domain, name):
                continue
            built = at_version(case, schema)
            expected = None if built is None else by_onnxruntime(*built)
            tried += built is not None
            if built is None or expected is None:
                continue
            compared += 1
            check(built, expected, f"{name}-{schema.since_version} {case.named}")
    assert tried, "no version can say any of the cases"
    if not compared:
        pytest.skip(f"ONNX Runtime runs none of {tried} nodes")


def check(built: tuple[onnx.ModelProto, dict[str, Array]], expected: list[Any], label: str) -> None:
    model, feeds = built
    with torch.no_grad():
        found = to_torch(model).run(feeds).outputs
    for mine, theirs in zip(found, expected, strict=True):
        got = narrow.to_array(mine)
        assert got.dtype == theirs.dtype, label
        assert got.shape == theirs.shape, label
        if got.dtype.kind in "f":
            loose = 2e-3 if got.dtype == np.float16 else 0
            np.testing.assert_allclose(got, theirs, RELATIVE + loose, ABSOLUTE + loose, err_msg=label)
        else:
            np.testing.assert_array_equal(got, theirs, err_msg=label)
