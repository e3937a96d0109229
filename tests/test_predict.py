"""Are the classifier's answers the known ones, and are probabilities made only where needed?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import inspector
from inspector.errors import BadInput
from inspector.execution import predict, read_labels

KNOWN = {
    "chelsea.png": (285, 0.575),
    "coffee.png": (967, 0.986),
    "rocket.jpg": (540, 0.348),
}
"""Top class and its probability, by the weights' original framework."""


@pytest.mark.parametrize("picture", KNOWN)
def test_known_answers(classifier: inspector.Model, fixtures: Path, picture: str) -> None:
    best = predict(classifier, fixtures / picture).top[0]
    index, probability = KNOWN[picture]
    assert best.index == index
    assert best.probability == pytest.approx(probability, abs=0.002)
    assert best.label


def test_a_wrong_channel_order_costs_confidence(classifier: inspector.Model, fixtures: Path) -> None:
    right = predict(classifier, fixtures / "coffee.png")
    wrong = predict(classifier, fixtures / "coffee.png", preprocess="imagenet-caffe,channels=RGB")
    assert right.inputs.preprocess is not None
    assert "metadata" in right.inputs.preprocess.source
    assert right.top[0].index == wrong.top[0].index == 967
    assert wrong.top[0].probability == pytest.approx(0.688, abs=0.01)


def head(operator: str) -> inspector.Model:
    attributes = {"axis": -1} if "Softmax" in operator else {}
    nodes = [helper.make_node(operator, ["x"], ["y"], name="head", **attributes)]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in ("x", "y")]
    proto = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:]), ir_version=8)
    proto.opset_import[0].version = 17
    return inspector.open_model(proto)


@pytest.mark.parametrize(
    ("operator", "scale"),
    [
        ("Softmax", "probability"),
        ("LogSoftmax", "exp of log probability"),
        ("Sigmoid", "independent probability"),
        ("Neg", "softmax of scores"),
    ],
)
def test_softmax_only_where_needed(operator: str, scale: str) -> None:
    ranking = predict(head(operator), np.array([[-1.0, 2.0, 0.5]], np.float32), top=3).rankings[0]
    assert ranking.scale == scale
    shares = [entry.probability or 0 for entry in ranking.rows[0]]
    if scale != "independent probability":
        assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_an_assumed_recipe_is_checked_against_the_likely_ones(shared_models: Path, fixtures: Path) -> None:
    """This file says nothing of its pictures; it was trained on BGR minus means, not in torch's way."""
    model = inspector.open_model(
        shared_models / "imagenet_squeezenet1_1" / "squeezenet1_1_imagenet_op18.onnx"
    )
    assumed = predict(model, fixtures / "coffee.png")
    (note,) = [note for note in assumed.notes if "only assumed" in note]
    assert "imagenet-caffe 967 0.986" in note
    assert "imagenet-caffe,channels=RGB 967 0.68" in note
    assert "Try --preprocess imagenet-caffe;" in note
    given = predict(model, fixtures / "coffee.png", preprocess="imagenet-caffe")
    assert not any("assumed" in note for note in given.notes)
    assert given.top[0].index == 967


def test_a_stated_recipe_is_not_doubted(classifier: inspector.Model, fixtures: Path) -> None:
    assert not any("assumed" in note for note in predict(classifier, fixtures / "coffee.png").notes)


def test_labels_in_every_form(tmp_path: Path) -> None:
    names = ["cat", "dog", "owl"]
    (tmp_path / "lines.txt").write_text("\n".join(names))
    (tmp_path / "numbered.txt").write_text("\n".join(f"{i}: {n}" for i, n in enumerate(names)))
    (tmp_path / "wordnet.txt").write_text("\n".join(f"n0000000{i} {n}" for i, n in enumerate(names)))
    (tmp_path / "list.json").write_text(json.dumps(names))
    (tmp_path / "object.json").write_text(json.dumps({str(i): n for i, n in enumerate(names)}))
    (tmp_path / "keras.json").write_text(json.dumps({str(i): [f"n{i}", n] for i, n in enumerate(names)}))
    for path in sorted(tmp_path.iterdir()):
        assert read_labels(path) == tuple(names), path.name


def test_labels_that_do_not_fit_are_refused(classifier: inspector.Model, fixtures: Path) -> None:
    with pytest.raises(BadInput, match="3 labels were given"):
        predict(classifier, fixtures / "coffee.png", labels=("a", "b", "c"))


def test_broken_labels_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    for path, said in ((tmp_path / "bad.json", "not valid JSON"), (tmp_path / "none.txt", "cannot be read")):
        with pytest.raises(BadInput, match=said):
            read_labels(path)


def test_the_answer_is_drawn(classifier: inspector.Model, fixtures: Path, tmp_path: Path) -> None:
    for suffix, held in (("svg", b"<svg"), ("html", b"Top 5 of 1,000 classes"), ("png", b"PNG")):
        path = tmp_path / f"answer.{suffix}"
        answer = inspector.predict(classifier, str(fixtures / "coffee.png"), path)
        assert held in path.read_bytes()
        assert answer.path == path
    with pytest.raises(BadInput, match="pictures are written as"):
        inspector.predict(classifier, str(fixtures / "coffee.png"), tmp_path / "answer.bmp")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answer.html", "answer.png", "answer.svg"]


def test_a_run_that_fails_names_nodes_and_sizes(shared_models: Path) -> None:
    with pytest.raises(BadInput, match=r"input 1×16000.*LSTM '.*decoder/rnn/LSTM': Input X must have 3"):
        inspector.predict(
            shared_models / "silero_vad" / "silero_vad.onnx", {"input": np.zeros((1, 16000), np.float32)}
        )


def test_outputs_that_are_no_classes_are_summarised(shared_models: Path) -> None:
    model = inspector.open_model(shared_models / "basic_pitch/nmp.onnx")
    found = predict(model, "random")
    assert not found.rankings
    assert len(found.outputs) == 3


def test_the_result_is_json(classifier: inspector.Model, fixtures: Path) -> None:
    record = json.loads(json.dumps(predict(classifier, fixtures / "coffee.png").to_dict()))
    assert record["rankings"][0]["rows"][0][0]["label"].startswith("espresso")
    assert record["preprocess"]["image"]["channels"] == "BGR"


def test_metadata_of_other_tools_gives_labels() -> None:
    model = head("Softmax")
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.metadata_props.add(key="names", value="{0: 'person', 1: 'car', 2: 'bus'}")
    best = predict(inspector.open_model(proto), np.array([[0.0, 5.0, 0.0]], np.float32)).top[0]
    assert best.label == "car"
