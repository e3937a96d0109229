"""Does explaining a folder give the maps of each file, go on where it stopped, and list what is broken?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper
from PIL import Image

import inspector
from inspector import methods
from inspector.errors import BadInput, OutputExists, UnknownName
from inspector.methods import black_box, dissection, preparing
from inspector.progress import Step, listening


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos")
    (path / "inner").mkdir()
    for number, example in enumerate(dissection.synthetic_concepts(4, 96).stream()):
        assert example.picture is not None
        Image.fromarray(example.picture).save(path / ("inner" if number % 2 else "") / f"{number}.png")
    (path / "torn.png").write_bytes(b"x")
    return path


class Stop(Exception):
    pass


def test_maps_are_those_of_each_file_also_after_an_interruption(
    classifier: inspector.Model, folder: Path, tmp_path: Path
) -> None:
    def stop(step: Step) -> None:
        if step.what.startswith("Explaining") and step.done == 2:
            raise Stop

    with pytest.raises(Stop), listening(stop):
        inspector.attribute_folder(classifier, tmp_path / "maps", data=folder)
    index = tmp_path / "maps" / "maps.jsonl"
    index.write_bytes(index.read_bytes() + b'{"name": "cut o')
    result = inspector.attribute_folder(classifier, tmp_path / "maps", data=folder)
    assert result.found.earlier == 2
    names = [record["name"] for record in result.found.records]
    assert names == ["0.png", "2.png", "inner/1.png", "inner/3.png"]
    assert list(result.found.skipped) == ["torn.png"]
    for record in result.found.records:
        alone = methods.attribute(classifier, str(folder / record["name"]))
        found = np.load(tmp_path / "maps" / record["map"])
        assert float(np.abs(found - alone.values).max()) <= 1e-5 * float(alone.values.max())
        assert record["target"] == str(alone.target)
        with Image.open(tmp_path / "maps" / record["picture"]) as drawn:
            assert min(drawn.size) > 100
    assert len(index.read_text().splitlines()) == 6
    assert json.loads(json.dumps(result.to_dict()))["earlier"] == 2
    with pytest.raises(OutputExists, match="another model, method or target"):
        inspector.attribute_folder(classifier, tmp_path / "maps", data=folder, method="gradient")


def test_where_a_run_goes_on_changes_no_bit(
    classifier: inspector.Model, folder: Path, tmp_path: Path
) -> None:
    """The last file of a run, and alone; the net is made once and lent."""
    inspector.attribute_folder(classifier, tmp_path / "all", data=folder, pictures=False)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "3.png").write_bytes((folder / "inner" / "3.png").read_bytes())
    inspector.attribute_folder(classifier, tmp_path / "one", data=alone, pictures=False)
    whole, single = np.load(tmp_path / "all" / "inner" / "3.png.npy"), np.load(tmp_path / "one" / "3.png.npy")
    assert float(whole.max()) > 0
    np.testing.assert_array_equal(whole, single)


def test_a_file_of_other_shapes_before_it_changes_no_bit(tmp_path: Path) -> None:
    drawn = np.random.default_rng(2)
    graph = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 3, H, W] x, float[16, 3, 5, 5] k, float[16, 5] m) => (float[1, 5] y) {
          c = Conv(x, k) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) y = MatMul(f, m)
        }"""
    )
    for name, shape in (("k", (16, 3, 5, 5)), ("m", (16, 5))):
        graph.graph.initializer.append(numpy_helper.from_array(drawn.normal(size=shape).astype("f"), name))
    del graph.graph.input[1:]
    model = inspector.open_model(graph)
    for number, side in enumerate((40, 48, 48)):
        for data in ("all", "one")[: 1 + (number == 2)]:
            (tmp_path / data).mkdir(exist_ok=True)
            x = np.random.default_rng(number).normal(size=(1, 3, side, side)).astype("f")
            np.save(tmp_path / data / f"{number}.npy", x)
    for data in ("all", "one"):
        inspector.attribute_folder(model, tmp_path / f"{data}-maps", data=tmp_path / data, pictures=False)
    whole, single = (np.load(tmp_path / f"{data}-maps" / "2.npy.npy") for data in ("all", "one"))
    assert float(whole.max()) > 0
    np.testing.assert_array_equal(whole, single)


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_net_and_session_are_made_once_for_a_folder(
    classifier: inspector.Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    made: list[str] = []
    for place, name in ((preparing, "to_torch"), (black_box, "open_session")):
        real = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *a, _r=real, _n=name, **k: (made.append(_n), _r(*a, **k))[1])
    given = {"option": ["window=96", "stride=96"]} if method == "occlusion" else {}
    inspector.attribute_folder(classifier, tmp_path, data=folder, method=method, pictures=False, **given)
    assert sorted(made) == (["open_session"] if method == "occlusion" else ["open_session", "to_torch"])


def test_options_reach_the_method_and_pictures_may_be_left_out(
    classifier: inspector.Model, folder: Path, tmp_path: Path
) -> None:
    result = inspector.attribute_folder(
        classifier, tmp_path, data=folder / "inner", method="smoothgrad", option=["samples=2"], target="967",
        pictures=False,
    )  # fmt: skip
    assert {record["class"] for record in result.found.records} == {967}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.png.npy", "3.png.npy", "maps.jsonl"]
    alone = methods.attribute(classifier, str(folder / "inner" / "1.png"), "smoothgrad", 967, samples=2)
    np.testing.assert_array_equal(np.load(tmp_path / "1.png.npy"), alone.values)


def test_what_cannot_be_explained_is_said(classifier: inspector.Model, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="is in it"):
        inspector.attribute_folder(classifier, tmp_path / "out", data=tmp_path / "empty")
    with pytest.raises(UnknownName, match="grad-cam"):
        inspector.attribute_folder(classifier, tmp_path / "out", data=folder, method="grad-cam-")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UnknownName):
        inspector.attribute_folder(classifier, tmp_path / "out", data=folder, layer="relus")
    (tmp_path / "empty" / "torn.png").write_bytes(b"x")
    with pytest.raises(BadInput, match="none of 1 files"):
        inspector.attribute_folder(classifier, tmp_path / "none", data=tmp_path / "empty")
