"""Do pictures, arrays, sound and numbers become what the model takes, and is every misfit explained?"""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import inspector
from inspector.errors import BadInput, UnknownName
from inspector.execution import PRESETS, Preprocess, capture, preprocess_of, read_inputs
from inspector.execution.picture_files import read_picture
from inspector.execution.preprocess import parse_preprocess


def net(*inputs: tuple[str, int, list[int | str | None]]) -> inspector.Model:
    """A model that returns its inputs."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"], name=f"n_{name}") for name, _, _ in inputs]
    taken = [helper.make_tensor_value_info(*each) for each in inputs]
    given = [helper.make_tensor_value_info(f"{name}_out", kind, shape) for name, kind, shape in inputs]
    proto = helper.make_model(helper.make_graph(nodes, "g", taken, given), ir_version=8)
    proto.opset_import[0].version = 17
    return inspector.open_model(proto)


@pytest.fixture
def camera() -> inspector.Model:
    return net(("image", TensorProto.FLOAT, ["n", 3, 8, 8]))


def test_any_picture_mode_gives_rgb(tmp_path: Path) -> None:
    red = Image.new("RGB", (10, 6), (200, 30, 40))
    for mode in ("RGB", "RGBA", "P", "CMYK", "YCbCr", "L", "LA", "1", "I", "F", "HSV", "LAB"):
        path = tmp_path / f"{mode}.tif"
        converted = red.convert("L").convert(mode) if mode in ("I", "F", "LA") else _as_mode(red, mode)
        if mode in ("YCbCr", "HSV"):
            path = tmp_path / f"{mode}.png"
            converted = converted.convert("RGB")
        converted.save(path)
        picture = read_picture(path)
        assert picture.shape == (6, 10, 3), mode
        assert picture.dtype == np.uint8


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return image  # Pillow converts to it only with a colour profile
    return image.convert(mode)


def test_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png")[0, 0].tolist() == [156] * 3


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10))
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned by 90°
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").shape == (20, 10, 3)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_picture(tmp_path / "clear.png").min() == 255


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_can_be_undone(name: str) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for layout in ("NCHW", "NHWC"):
        recipe = Preprocess.from_dict({"preset": name, "size": None, "layout": layout, "crop": 1})
        back = recipe.invert(recipe.apply(picture))
        assert back.shape == (1, 16, 16, 3)
        if recipe.channels != "GRAY":
            assert np.array_equal(back[0], picture)


def test_caffe_means_go_to_blue_green_red() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0] = 10  # red
    x = parse_preprocess("imagenet-caffe,size=8x8").apply(picture)[0, :, 0, 0]
    assert np.allclose(x, [-103.939, -116.779, 10 - 123.68], atol=1e-4)


def test_torch_recipe_by_hand() -> None:
    picture = np.full((8, 8, 3), 128, np.uint8)
    x = parse_preprocess("imagenet-torch,size=8x8,crop=1").apply(picture)[0, :, 0, 0]
    want = (128 / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert np.allclose(x, want, atol=1e-6)


def test_a_recipe_survives_json() -> None:
    for recipe in PRESETS.values():
        assert Preprocess.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_recipe_comes_from_metadata_then_layers_then_an_assumption(camera: inspector.Model) -> None:
    assert preprocess_of(camera).source.startswith("assumed")
    proto = onnx.ModelProto()
    proto.CopyFrom(camera.proto)
    proto.metadata_props.add(key="inspector.preprocess", value='{"preset": "imagenet-caffe"}')
    stated = preprocess_of(inspector.open_model(proto))
    assert (stated.channels, stated.size, stated.layout) == ("BGR", (8, 8), "NCHW")
    assert "metadata" in stated.source
    first = helper.make_node("Mul", ["image", "k"], ["scaled"], name="scale")
    proto = onnx.ModelProto()
    proto.CopyFrom(camera.proto)
    proto.graph.node[0].input[0] = "scaled"
    proto.graph.node.insert(0, first)
    proto.graph.initializer.append(helper.make_tensor("k", TensorProto.FLOAT, [], [1 / 255]))
    guessed = preprocess_of(inspector.open_model(proto))
    assert guessed.name == "raw255"
    assert "begins with Mul" in guessed.source


def test_layout_follows_the_dims() -> None:
    assert preprocess_of(net(("x", TensorProto.FLOAT, [1, 32, 48, 3]))).layout == "NHWC"
    assert preprocess_of(net(("x", TensorProto.FLOAT, [1, 3, 32, 48]))).size == (32, 48)
    assert preprocess_of(net(("x", TensorProto.FLOAT, [1, 1, 32, 48]))).channels == "GRAY"


def test_pictures_become_a_batch(camera: inspector.Model, fixtures: Path) -> None:
    read = read_inputs(camera, [fixtures / "chelsea.png", fixtures / "coffee.png"])
    assert read.feeds["image"].shape == (2, 3, 8, 8)
    assert any("image: imagenet-torch" in line for line in read.describe())


def test_arrays_by_name_and_archive(tmp_path: Path) -> None:
    model = net(("a", TensorProto.FLOAT, [2]), ("b", TensorProto.INT64, [3]))
    np.save(tmp_path / "a.npy", np.array([1.5, 2]))
    read = read_inputs(model, [f"a={tmp_path / 'a.npy'}", "b=1,2,3"])
    assert read.feeds["a"].dtype == np.float32
    assert read.feeds["b"].tolist() == [1, 2, 3]
    np.savez(tmp_path / "all.npz", a=np.ones(2), b=np.arange(3))
    assert read_inputs(model, tmp_path / "all.npz").feeds["b"].tolist() == [0, 1, 2]


def test_sound_is_mixed_cut_and_padded(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.array([[16384, 0], [-16384, 0]], "<i2").tobytes())
    model = net(("audio", TensorProto.FLOAT, [1, 4, 1]))
    read = read_inputs(model, str(tmp_path / "tone.wav"))
    assert read.feeds["audio"][0, :, 0].tolist() == [0.25, -0.25, 0, 0]
    assert "padded" in " ".join(read.notes)


def test_recurrent_state_and_rate_are_filled(shared_models: Path) -> None:
    model = inspector.open_model(shared_models / "silero_vad/silero_vad_16k_op15.onnx")
    read = read_inputs(model, "input=random:1")
    assert not read.feeds["state"].any()
    assert read.feeds["sr"] == 16000
    assert sum("was not given" in note for note in read.notes) == 2


def test_random_is_seeded(camera: inspector.Model) -> None:
    one, again, other = (read_inputs(camera, f"random:{seed}").feeds["image"] for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_not_finite_numbers_are_noted(camera: inspector.Model) -> None:
    x = np.zeros((1, 3, 8, 8), np.float32)
    x[0, 0, 0, 0] = np.nan
    got = capture(camera, x)
    assert "NaN or infinite" in got.notes[0]
    assert got.statistics["image_out"].nan == 1


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), "looks like NHWC"),
        (np.zeros((3, 8, 8), np.float32), "4 axes"),
        (np.zeros((0, 3, 8, 8), np.float32), "empty"),
        (np.zeros((1, 3, 8, 9), np.float32), "axis 3 must be 8"),
        (np.full((1, 3, 8, 8), "x"), "takes float32"),
        ({"img": np.zeros((1, 3, 8, 8))}, "Near: image"),
        ({}, "missing: image"),
    ],
)
def test_what_does_not_fit_is_explained(camera: inspector.Model, feeds: object, said: str) -> None:
    with pytest.raises((BadInput, UnknownName), match=said):
        capture(camera, feeds)


def test_numbers_that_would_change_are_refused() -> None:
    model = net(("ids", TensorProto.INT64, [2]))
    assert capture(model, np.array([1.0, 2.0]))["ids_out"].dtype == np.int64
    with pytest.raises(BadInput, match="would change"):
        capture(model, np.array([1.5, 2.0]))


@pytest.mark.parametrize(
    ("source", "said"), [(".", "is a folder"), ("random:abc", "whole number"), ("random:-1", "whole number")]
)
def test_what_is_no_input_is_told(camera: inspector.Model, source: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_inputs(camera, source)


def test_unreadable_files_are_named(camera: inspector.Model, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 40)
    (tmp_path / "words.txt").write_text("hello there")
    with pytest.raises(BadInput, match=r"broken\.png"):
        read_inputs(camera, tmp_path / "broken.png")
    with pytest.raises(BadInput, match="tokenizer"):
        read_inputs(camera, tmp_path / "words.txt")
    with pytest.raises(BadInput, match="does not exist"):
        read_inputs(camera, "nowhere.png")
