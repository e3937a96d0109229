"""Does the server compare two open models, run both with one sample, and subtract their tensors?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inspector import comparison
from inspector.errors import Cancelled
from inspector.progress import Step, listening
from inspector.server import Address, Workplace

SHAPE = (4, 3, 3, 3)


def _kernels() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)


def _net(kernels: np.ndarray[Any, np.dtype[np.float32]], op: str, *, last: bool = False) -> onnx.ModelProto:
    """Conv, an activation and a sum over places; `last` takes pictures with channels last."""
    nodes = [helper.make_node("Transpose", ["x"], ["t"], "turn", perm=[0, 3, 1, 2])] if last else []
    nodes += [
        helper.make_node("Conv", ["t" if last else "x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node(op, ["c"], ["r"], "act"),
        helper.make_node("GlobalAveragePool", ["r"], ["y"], "pool"),
    ]
    shape = [1, 8, 8, 3] if last else [1, 3, 8, 8]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", None))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [numpy_helper.from_array(kernels, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder, kernels = tmp_path_factory.mktemp("models"), _kernels()
    edited = kernels.copy()
    edited[2, 1] += 1
    made = {
        "plain": _net(kernels, "Relu"),
        "edited": _net(edited, "Sigmoid"),
        "last": _net(kernels, "Relu", last=True),
        "turned": _net(kernels.transpose(0, 1, 3, 2), "Relu"),
    }
    for name, proto in made.items():
        onnx.save(proto, folder / f"{name}.onnx")
    with Workplace() as workplace:
        workplace.first = tuple(workplace.add(folder / f"{name}.onnx") for name in made)
        yield workplace


def _compare(client: httpx.Client, a: str, b: str, **more: str) -> dict[str, Any]:
    job = client.post("/api/comparisons", json={"a": a, "b": b, **more}).json()["job"]
    until = time.monotonic() + 60
    while time.monotonic() < until:
        record = client.get(f"/api/jobs/{job}").json()
        if record["state"] in ("done", "failed"):
            return record
        time.sleep(0.02)
    raise AssertionError("the job did not end")


def _data(client: httpx.Client, kind: str, identity: str, **params: str) -> np.ndarray[Any, np.dtype[Any]]:
    got = client.get(f"/api/tensors/{kind}/{identity}/data", params=params)
    assert got.status_code == 200, got.text
    shape = tuple(map(int, got.headers["x-shape"].split(",")))
    return np.frombuffer(got.content, got.headers["x-dtype"]).reshape(shape)


def test_an_edit_is_found_and_both_models_have_run(client: httpx.Client, workplace: Workplace) -> None:
    a, b, *_ = workplace.first
    record = _compare(client, a, b)
    found, runs = record["result"]["comparison"], record["result"]["runs"]
    assert [(n["key"], n["kind"]) for n in found["nodes"]["a"]] == [
        ("conv", "weights"),
        ("act", "node"),
        ("pool", "values"),
    ]
    fed, other = (_data(client, "runs", runs[side]["run"], key="x") for side in "ab")
    assert np.array_equal(fed, other), "both were fed the same"
    moved = _data(client, "runs", runs["b"]["run"], key="r", minus=runs["a"]["run"])
    one, other = (_data(client, "runs", runs[side]["run"], key="r") for side in "ba")
    assert np.array_equal(moved, one - other)
    assert np.ptp(moved) > 0.1


def test_one_network_in_two_layouts_is_fed_the_same(client: httpx.Client, workplace: Workplace) -> None:
    a, _, b, _ = workplace.first
    result = _compare(client, a, b)["result"]
    assert result["comparison"]["same"]
    first, second = (_data(client, "runs", result["runs"][side]["run"], key="x") for side in "ab")
    assert np.array_equal(first.transpose(0, 2, 3, 1), second)
    moved = _data(
        client, "runs", result["runs"]["b"]["run"], key="x", order="0,3,1,2", minus=result["runs"]["a"]["run"]
    )
    assert moved.shape == first.shape
    assert not moved.any()


def test_a_network_on_turned_pictures_is_fed_turned(client: httpx.Client, workplace: Workplace) -> None:
    a, *_, b = workplace.first
    result = _compare(client, a, b)["result"]
    one, other = (result["runs"][side]["run"] for side in "ab")
    first, second = (_data(client, "runs", run, key="x") for run in (one, other))
    assert np.array_equal(first.transpose(0, 1, 3, 2), second)
    moved = _data(client, "runs", other, key="r", order="0,1,3,2", minus=one)
    assert np.abs(moved).max() < 1e-5


def test_a_comparison_is_kept(client: httpx.Client, workplace: Workplace) -> None:
    a, b, *_ = workplace.first
    assert _compare(client, a, b)["result"] == _compare(client, a, b)["result"]


def test_weights_are_subtracted_in_the_asked_order(client: httpx.Client, workplace: Workplace) -> None:
    a, b, *_ = workplace.first
    moved = _data(client, "models", b, key="w", minus=a)
    assert np.flatnonzero(moved.reshape(12, 9).any(1)).tolist() == [7]
    assert np.allclose(moved[2, 1], 1)
    turned = _data(client, "models", b, key="w", order="0,1,3,2", minus=a, index="0")
    assert np.array_equal(turned, (_kernels().transpose(0, 1, 3, 2) - _kernels())[0])
    summary = client.get(f"/api/tensors/models/{b}/summary", params={"key": "w", "minus": a}).json()
    assert summary["zeros"] == pytest.approx(11 / 12)
    assert summary["max"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"key": "w", "order": "0,1"}, 400),
        ({"key": "w", "order": "0,1,2,-1"}, 400),
        ({"key": "w", "order": "0,1,2,2"}, 400),
        ({"key": "w", "order": "²"}, 400),
        ({"key": "w", "minus": "abc"}, 404),
        ({"key": "w", "minus": "self", "minus_key": "none"}, 404),
    ],
)
def test_bad_differences_are_told(
    client: httpx.Client, workplace: Workplace, params: dict[str, str], status: int
) -> None:
    a = workplace.first[0]
    given = params | ({"minus": a} if params.get("minus") == "self" else {})
    got = client.get(f"/api/tensors/models/{a}/summary", params=given)
    assert (got.status_code, bool(got.json()["error"])) == (status, True)


def test_shapes_that_do_not_fit_are_told(client: httpx.Client, workplace: Workplace) -> None:
    run = _compare(client, *workplace.first[:2])["result"]["runs"]["a"]["run"]
    params = {"key": "x", "minus": run, "minus_key": "y"}
    assert client.get(f"/api/tensors/runs/{run}/data", params=params).status_code == 400
    assert client.post("/api/comparisons", json={"a": workplace.first[0], "b": "abc"}).status_code == 404
    call = {"a": workplace.first[0], "b": workplace.first[1], "input": "abc"}
    assert client.post("/api/comparisons", json=call).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer x"}, 401),
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_the_routes_are_guarded(
    address: Address, workplace: Workplace, headers: dict[str, str], status: int
) -> None:
    right = {"authorization": f"Bearer {address.token}"} if headers and "authorization" not in headers else {}
    a, b, *_ = workplace.first
    with httpx.Client(base_url=address.origin, headers=right | headers, trust_env=False) as client:
        assert client.post("/api/comparisons", json={"a": a, "b": b}).status_code == status
        path = f"/api/tensors/models/{a}/data"
        assert client.get(path, params={"key": "w", "minus": b}).status_code == status


def test_no_path_is_opened(client: httpx.Client, workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"")
    a, b, *_ = workplace.first
    for given in (str(tmp_path / "x.npy"), "../x.npy", "file:x"):
        assert client.post("/api/comparisons", json={"a": a, "b": b, "input": given}).status_code == 404


def test_a_comparison_tells_its_steps_and_can_be_stopped(workplace: Workplace) -> None:
    a, b = (workplace.model(digest) for digest in workplace.first[:2])
    told: list[Step] = []
    with listening(told.append):
        comparison.compare(a, b)
    assert {step.what for step in told} >= {"Comparing weights", "Comparing values"}

    for last in ("Comparing weights", "Comparing values"):

        def stop(step: Step, last: str = last) -> None:
            if step.what == last:
                raise Cancelled("enough")

        with listening(stop), pytest.raises(Cancelled):
            comparison.compare(a, b)
