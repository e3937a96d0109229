"""Are top images, their regions and concept detectors exact, over any data and in flat memory?"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch.nn import functional

import inspector
from inspector.autograd.cutting import value_shapes
from inspector.errors import BadInput, InspectorError, UnknownName
from inspector.methods import dissection
from inspector.methods.dissection import detecting
from inspector.methods.dissection.concepts import Example, Labelled
from inspector.methods.dissection.enlarging import count_active, enlarged, gaps_above
from inspector.methods.dissection.layer_maps import open_layers
from inspector.methods.dissection.placing import kinds_of_pixels
from inspector.methods.dissection.run_lengths import decode_mask
from inspector.methods.dissection.tails import TailSketch

SIDE = 24


def save(
    folder: Path,
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    output: str,
    places: tuple[int | str, int | str] = (SIDE, SIDE),
) -> inspector.Model:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, *places])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model.metadata_props.add(key="inspector.preprocess", value='{"preset": "raw255"}')
    path = folder / "small.onnx"
    onnx.save(model, path)
    return inspector.open_model(path)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> inspector.Model:
    random = np.random.default_rng(0)
    weights = {"w1": abs(random.normal(size=(4, 3, 3, 3))), "w2": abs(random.normal(size=(5, 4, 3, 3)))}
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("AveragePool", ["b"], ["p"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 0, 0]),
        helper.make_node("Conv", ["p", "w2"], ["c"], dilations=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("Concat", ["c", "p"], ["layer"], axis=1),
        helper.make_node("GlobalAveragePool", ["layer"], ["pooled"]),
        helper.make_node("Mul", ["layer", "pooled"], ["gated"]),
    ]
    return save(tmp_path_factory.mktemp("net"), nodes, weights, "gated")


@pytest.mark.parametrize("key", ["a", "p", "c", "layer", "gated"])
@pytest.mark.parametrize("corner", [(0, 0), (4, 5), (-1, -1)])
def test_analytic_windows_equal_the_gradients_support(
    net: inspector.Model, key: str, corner: tuple[int, int]
) -> None:
    torch_net = inspector.to_torch(net).double()
    x = torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    shapes = value_shapes(torch_net, {"image": x.detach()})
    place = tuple(at % size for at, size in zip(corner, shapes[key][2:], strict=True))
    value = torch_net.run({"image": x}, taps=[key]).taps[key]
    (gradient,) = torch.autograd.grad(value[0, :, place[0], place[1]].sum(), x)
    rows, columns = torch.nonzero(gradient.abs().sum((0, 1)), as_tuple=True)
    support = ((int(rows.min()), int(rows.max()) + 1), (int(columns.min()), int(columns.max()) + 1))
    assert dissection.receptive_window(net, key, place, "image", shapes) == support


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(1)
    for index in range(12):
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        (path / f"{index % 2}").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path / f"{index % 2}" / f"{index:02d}.png")
    (path / "broken.png").write_bytes(b"no picture")
    return path


def slow_ranking(
    net: inspector.Model, folder: Path, k: int
) -> list[list[tuple[str, float, tuple[int, int]]]]:
    found: list[list[tuple[str, float, tuple[int, int]]]] = [[] for _ in range(9)]
    for path in sorted(folder.rglob("*.png")):
        if path.stem == "broken":
            continue
        x = np.asarray(Image.open(path), np.float32).transpose(2, 0, 1)[None]
        maps = inspector.capture(net, {"image": x}, ["layer"])["layer"][0]
        for unit, values in enumerate(maps):
            place = np.unravel_index(values.argmax(), values.shape)
            entry = (path.relative_to(folder).as_posix(), float(values.max()), (int(place[0]), int(place[1])))
            found[unit].append(entry)
    return [sorted(rows, key=lambda row: -row[1])[:k] for rows in found]


def test_top_images_are_exact_and_broken_ones_counted(
    net: inspector.Model, folder: Path, tmp_path: Path
) -> None:
    result = inspector.top_images(net, tmp_path / "units.html", data=folder, layer="layer", top=3, units=2)
    slow = slow_ranking(net, folder, 3)
    for hits, expected in zip(result.hits, slow, strict=True):
        assert [(hit.image, hit.place) for hit in hits] == [(name, place) for name, _, place in expected]
        np.testing.assert_allclose(
            [hit.value for hit in hits], [value for _, value, _ in expected], rtol=1e-5
        )
    assert list(result.found.skipped) == ["broken.png"]
    assert result.found.images == 12
    assert result.hits[0][0].window is not None
    page = (tmp_path / "units.html").read_text()
    assert page.count("<img") == 2
    assert "broken.png" in page
    assert not list(tmp_path.glob("*.state*"))


def test_shards_give_what_the_folder_gives(net: inspector.Model, folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.rglob("*.png"))
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        for path in files:
            data = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    readable = [path for path in files if path.stem != "broken"]
    np.savez(tmp_path / "data.npz", images=np.stack([np.asarray(Image.open(path)) for path in readable]))
    values = [
        [[hit.value for hit in hits] for hits in dissection.top_images(net, source, "layer", k=4).hits]
        for source in (folder, tmp_path / "data.tar", tmp_path / "data.npz")
    ]
    assert values[0] == values[1] == values[2]


def test_an_interrupted_ranking_goes_on(
    net: inspector.Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspector.methods.dissection import strongest
    from inspector.progress import listening

    class Stop(Exception):
        pass

    def stop(step: object) -> None:
        if getattr(step, "done", 0) == 7:
            raise Stop

    monkeypatch.setattr(strongest, "SAVE_EVERY", 5)
    state = tmp_path / "state.npz"
    with pytest.raises(Stop), listening(stop):
        dissection.top_images(net, folder, "layer", k=4, state=state)
    resumed = dissection.top_images(net, folder, "layer", k=4, state=state)
    assert resumed.notes == ("5 images were ranked by an earlier run.",)
    assert resumed.hits == dissection.top_images(net, folder, "layer", k=4).hits
    with pytest.raises(BadInput, match="another model"):
        dissection.top_images(net, folder, "layer", k=3, state=state)


def test_rankings_merge_in_any_order() -> None:
    random = np.random.default_rng(0)
    maps = random.integers(0, 6, (20, 3, 7)).astype(float)
    parts = [dissection.Ranking.empty(3, 5) for _ in range(3)]
    whole = dissection.Ranking.empty(3, 5)
    for number, image in enumerate(maps):
        whole = whole.with_image(number, image)
        parts[number % 3] = parts[number % 3].with_image(number, image)
    for order in ((0, 1, 2), (2, 0, 1)):
        merged = parts[order[0]].merged(parts[order[1]]).merged(parts[order[2]])
        np.testing.assert_array_equal(merged.values, whole.values)
        np.testing.assert_array_equal(merged.images, whole.images)
        np.testing.assert_array_equal(merged.places, whole.places)


def test_what_cannot_be_ranked_is_said(net: inspector.Model, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no picture"):
        inspector.top_images(net, data=tmp_path, layer="layer")
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(BadInput, match="none of 1"):
        inspector.top_images(net, data=tmp_path, layer="layer")
    with pytest.raises(UnknownName, match="layer"):
        inspector.top_images(net, data=folder, layer="layers")
    with pytest.raises(BadInput, match="html"):
        inspector.top_images(net, tmp_path / "units.png", data=folder, layer="layer")
    with pytest.raises(BadInput, match="9 units"):
        inspector.top_images(net, data=folder, layer="layer", unit=[9])


def test_thresholds_are_exact_quantiles_and_sketches_merge() -> None:
    values = np.random.default_rng(0).normal(size=(3, 5000)).astype(np.float32)
    kept = int(0.005 * 5000) + 1
    parts = [
        TailSketch(kept, np.empty((3, 0), np.float32)).merged(part) for part in np.split(values, 5, axis=1)
    ]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merged(part.values)
    np.testing.assert_array_equal(merged.thresholds, np.sort(values, axis=1)[:, -kept])
    assert ((values > merged.thresholds[:, None]).sum(1) == 25).all()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> inspector.Model:
    """Unit 0 is red above green and blue, unit 1 green above red and blue, unit 2 is brightness."""
    weights = {"w": np.array([[1.0, -1, -1], [-1, 1, -1], [1, 1, 1]])[..., None, None]}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["units"]),
    ]
    return save(tmp_path_factory.mktemp("planted"), nodes, weights, "units")


@pytest.mark.parametrize("size", [(40, 33), (7, 5), (3, 4), (64, 5)])
def test_only_pixels_around_active_cells_are_computed_and_none_is_missed(size: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    for maps in (
        random.normal(size=(9, 7, 5)).astype(np.float32),
        random.integers(0, 3, (9, 7, 5)).astype(np.float32),  # many values equal the limit
        np.zeros((9, 1, 1), np.float32),
    ):
        whole = enlarged(maps, size)
        reference = functional.interpolate(torch.from_numpy(maps)[None], size=size, mode="bilinear")[0]
        np.testing.assert_allclose(whole, reference, atol=2e-6)
        limits = np.quantile(maps, 0.8, axis=(1, 2), method="higher").astype(np.float32)
        active = (whole > limits[:, None, None]).reshape(9, -1)
        places = np.arange(active.shape[1])
        gaps = gaps_above(maps, limits - 0.5)
        found = count_active(gaps, limits, places.reshape(size), len(places))
        np.testing.assert_array_equal(found, active)
        kinds = places % 3
        found = count_active(gaps_above(maps, limits), limits, kinds.reshape(size), 3)
        np.testing.assert_array_equal(found, active.astype(int) @ (kinds[:, None] == range(3)))


def plain_dissection(
    model: inspector.Model, layer: str, labelled: Labelled, quantile: float
) -> tuple[np.ndarray, np.ndarray]:
    """Every map of every unit kept, sorted, enlarged and compared with every mask."""
    examples = [labelled.example(number) for number in range(labelled.count)]
    pictures = [example.picture for example in examples if example.picture is not None]
    maps = [open_layers(model, [layer]).maps(picture)[layer] for picture in pictures]
    values = np.concatenate([one.reshape(len(one), -1) for one in maps], 1)
    place = values.shape[1] - 1 - int(quantile * values.shape[1])
    limits = np.sort(values, axis=1)[:, place]
    both = np.zeros((len(limits), len(labelled.concepts)))
    either = np.zeros_like(both)
    for example, one in zip(examples, maps, strict=True):
        for name, mask in example.masks.items():
            active = enlarged(one, mask.shape) > limits[:, None, None]
            both[:, labelled.concepts.index(name)] += (active & mask).sum((1, 2))
            either[:, labelled.concepts.index(name)] += (active | mask).sum((1, 2))
    return both / np.maximum(either, 1), limits


@pytest.mark.parametrize(("held", "sparse"), [(0, 1), (2**28, 1), (2**28, 0.2), (2**14, 1)])
def test_dissection_is_that_of_the_plain_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, sparse: float
) -> None:
    """Pictures of two sizes, small ones first, so that the first pass has to be taken again."""
    random = np.random.default_rng(7)
    weights = {"w": random.normal(size=(6, 3, 4, 4))}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], strides=[3, 3]),
        helper.make_node("Relu", ["c"], ["units"]),
    ]
    model = save(tmp_path, nodes, weights, "units", ("h", "w"))
    examples = [
        Example(
            f"{number}",
            random.integers(0, 256, (side, side + 5, 3), np.uint8),
            {name: random.random((side, side + 5)) < 0.2 for name in ("a", "b") if random.random() < 0.7},
        )
        for number, side in enumerate([20, 24, 60, 64, 60])
    ]
    labelled = Labelled({"a": "x", "b": "x"}, len(examples), examples.__getitem__, "noise")
    monkeypatch.setattr(detecting, "HELD_BYTES", held)
    monkeypatch.setattr(detecting, "SPARSE", sparse)
    found = dissection.dissect_layer(model, labelled, "units", quantile=0.03)
    iou, limits = plain_dissection(model, "units", labelled, 0.03)
    np.testing.assert_array_equal(found.thresholds, limits)
    np.testing.assert_array_equal(found.iou, iou)
    assert iou.max() > 0.01


def spots(count: int = 6) -> Iterator[Example]:
    random = np.random.default_rng(5)
    for number in range(count):
        picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
        picture[:] = [60, 60, 60]
        masks = {}
        for name, colour in (("red", (250, 0, 0)), ("green", (0, 250, 0))):
            if number % 3 != ("red", "green").index(name):
                top, left = random.integers(0, SIDE - 8, 2)
                mask = np.zeros((SIDE, SIDE), bool)
                mask[top : top + 6, left : left + 7] = True
                for other in masks.values():
                    other &= ~mask
                picture[mask] = colour
                masks[name] = mask
        yield Example(f"{number}", picture, masks)


def test_planted_concepts_give_one_and_exact_unions(planted: inspector.Model) -> None:
    labelled = Labelled({"red": "colour", "green": "colour"}, 6, list(spots()).__getitem__, "spots")
    found = dissection.dissect_layer(planted, labelled, "units", quantile=0.2)
    assert found.iou[0, 1] == 1.0
    assert found.iou[1, 0] == 1.0
    assert found.labels[:2] == ("red", "green")
    examples = list(spots())
    both = sum(
        int((e.masks["red"] & e.masks["green"]).sum())
        for e in examples
        if "green" in e.masks and "red" in e.masks
    )
    either = sum(
        int((e.masks.get("red", np.zeros((SIDE, SIDE), bool)) | e.masks["green"]).sum())
        for e in examples
        if "green" in e.masks
    )
    assert found.iou[0, 0] == both / either
    assert found.count_by_category() == {"colour": len(found.detectors)}
    shown = dissection.dissect_layer(planted, labelled, "units", quantile=0.2, show=2)
    assert list(shown.seen) == list(found.detectors[:2])
    for sighting in shown.seen[0]:
        red = examples[int(sighting.image)].masks.get("red")
        if red is None:
            assert sighting.concept is None
            assert not sighting.active.any()
        else:
            np.testing.assert_array_equal(sighting.active, red)
            np.testing.assert_array_equal(sighting.concept, red)


def write_masks(folder: Path, kind: str) -> tuple[Path, Path]:
    data, masks = folder / "data", folder / "masks"
    data.mkdir()
    masks.mkdir()
    record: dict[str, list[dict[str, object]]] = {
        "images": [], "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}], "annotations": []
    }  # fmt: skip
    for number, example in enumerate(spots()):
        assert example.picture is not None
        Image.fromarray(example.picture).save(data / f"p{number}.png")
        record["images"].append({"id": number, "file_name": f"p{number}.png", "width": SIDE, "height": SIDE})
        indices = np.zeros((SIDE, SIDE), np.uint8)
        for value, (name, mask) in enumerate(sorted(example.masks.items(), reverse=True), 1):
            category = 1 if name == "red" else 2
            indices[mask] = category
            if kind == "folders":
                place = masks / "colour" / name
                place.mkdir(parents=True, exist_ok=True)
                larger = np.kron(mask, np.ones((3, 3))).astype(np.uint8) * 255
                Image.fromarray(larger).save(place / f"p{number}.png")
            if kind == "run lengths":
                turns = np.flatnonzero(np.diff(mask.T.ravel(), prepend=False, append=~mask.T.ravel()[-1]))
                runs = np.diff(turns, prepend=0).tolist()
                record["annotations"].append(
                    {"image_id": number, "category_id": category, "id": value,
                     "segmentation": {"size": [SIDE, SIDE], "counts": runs}}
                )  # fmt: skip
            for row, column in np.argwhere(mask) if kind == "coco" else ():
                record["annotations"].append(
                    {"image_id": number, "category_id": category, "id": value,
                     "segmentation": [[int(column), int(row), int(column), int(row), int(column), int(row)]]}
                )  # fmt: skip
        if kind == "palette":
            paletted = Image.fromarray(indices).convert("P")
            paletted.putdata(indices.ravel().tolist())
            paletted.save(masks / f"p{number}.png")
    if kind == "palette":
        (masks / "labels.txt").write_text("nothing\nred\ngreen\n")
    if kind in ("coco", "run lengths"):
        (masks / "instances.json").write_text(json.dumps(record))
    (data / "torn.png").write_bytes(b"x")
    return data, masks


@pytest.mark.parametrize("kind", ["folders", "palette", "coco", "run lengths"])
def test_every_kind_of_mask_is_read(planted: inspector.Model, tmp_path: Path, kind: str) -> None:
    data, masks = write_masks(tmp_path, kind)
    result = inspector.dissect(
        planted, tmp_path / "out.html", layer="units", data=data, masks=masks, quantile=0.2
    )
    layer = result.layers[0]
    assert layer.iou[0, layer.concepts.index("red")] == 1.0
    assert layer.iou[1, layer.concepts.index("green")] == 1.0
    assert list(layer.skipped) == ["torn.png"]
    assert (tmp_path / "out.html").read_text().count("<img") == 3


def test_compressed_run_lengths_are_those_of_coco() -> None:
    """The text was made by pycocotools of the mask that is drawn here."""
    text = (
        "06a0KO50K15NK35LKh00000000@0I070I070I070I070I070I0F47L30E85H60D<3D90D>1B;0D`0O@=0E`0M@>0Eb0;^OFb09^O"
        "Gd07\\OJd05\\OKf0;00000O2O00000IXONh01XO0h0OXO2h0MXO5f0KZO6f0IZO8f0GZO:f0EZO=d0C\\O=e0B[O>0Cb0O^O>0D"
        "c0<]OFa0:_OG`09@I>7BK<5DN9c0KQOLU100000000000@0I070I070I070]O"
    )
    row, column = np.mgrid[:40, :57]
    drawn = (row - 18) ** 2 / 150 + (column - 30) ** 2 / 300 < 1
    drawn |= (row < 6) & (column < 4)
    drawn |= (row + column) % 23 == 0
    np.testing.assert_array_equal(decode_mask({"size": [40, 57], "counts": text}), drawn)
    for wrong in (text[:-1] + "o", text[:-1], text + "\x00", [3, 4]):
        with pytest.raises(ValueError, match="run lengths"):
            decode_mask({"size": [40, 57], "counts": wrong})


def test_drawn_concepts_need_no_data(planted: inspector.Model) -> None:
    result = inspector.dissect(planted, layer="units", images=30, quantile=0.03)
    labels = result.layers[0].labels
    assert labels[0] in ("red", "orange")
    assert labels[1] == "green"
    first, second = (list(dissection.synthetic_concepts(3, 64).stream()) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
        assert all(mask.any() for mask in one.masks.values())


def test_masks_that_do_not_fit_are_refused(planted: inspector.Model, tmp_path: Path) -> None:
    data, masks = write_masks(tmp_path, "folders")
    for path in data.glob("*.png"):
        path.rename(path.with_name("x" + path.name))
    with pytest.raises(BadInput, match="named like its picture"):
        inspector.dissect(planted, layer="units", data=data, masks=masks)
    with pytest.raises(InspectorError, match="go together"):
        inspector.dissect(planted, layer="units", data=data)


def test_kinds_of_pixels_tell_every_mask_apart() -> None:
    masks = np.random.default_rng(0).random((19, 6, 7)) < 0.4
    for count in (1, 8, 9, 19):
        kinds, members = kinds_of_pixels(masks[:count])
        np.testing.assert_array_equal(members[kinds], np.moveaxis(masks[:count], 0, -1))
        assert len(members) == len(np.unique(masks[:count].reshape(count, -1), axis=1).T)
