"""Do pictures, arrays, sound and numbers become what the model takes, and is every misfit explained?"""

from __future__ import annotations

import contextlib
import json
import struct
import wave
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import inspector
from inspector.errors import BadInput, NotRunnable, UnknownName
from inspector.execution import PRESETS, Preprocess, capture, preprocess_of, read_inputs
from inspector.execution.picture_files import read_picture
from inspector.execution.preprocess import parse_preprocess
from inspector.execution.sound_files import read_sound


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


TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((10, 20, 3), np.uint8)
    upright[:5, :10], upright[5:, 10:] = (255, 0, 0), (0, 0, 255)
    image = Image.fromarray(upright)
    image = image.transpose(TURNED[orientation]) if orientation in TURNED else image
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "turned.png"), upright)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    for suffix in ("gif", "webp", "tif"):
        path = tmp_path / f"moving.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        assert read_picture(path)[0, 0, 0] > 200
        assert read_picture(path).shape == (4, 6, 3)


@pytest.mark.parametrize("pixel", [np.nan, np.inf, -1.0, 300.0])
def test_grey_floats_that_are_no_brightness_are_refused(tmp_path: Path, pixel: float) -> None:
    values = np.full((4, 4), 0.5, np.float32)
    values[1, 1] = pixel
    Image.fromarray(values).save(tmp_path / "odd.tif")
    with pytest.raises(BadInput, match=r"lie between .* expected 0 … 1, 0 … 255"):
        read_picture(tmp_path / "odd.tif")


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


WAVE = 0.5 * np.sin(np.linspace(0, 40, 400))


def _riff(form: bytes, samples: bytes, said: int | None = None) -> bytes:
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # of odd length, so padded
    chunks += b"data" + struct.pack("<I", len(samples) if said is None else said) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _form(code: int, bits: int, channels: int = 1, rate: int = 8000) -> bytes:
    frame = channels * bits // 8
    return struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)


def _whole(bits: int) -> bytes:
    numbers = np.round(WAVE * (2 ** (bits - 1) - 1)).astype("<i4")
    if bits == 8:
        return (numbers + 128).astype(np.uint8).tobytes()
    return numbers[:, None].view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()


SOUNDS = {
    f"{bits} bits": (_riff(_form(1, bits), _whole(bits)), 2.0 ** (1 - bits)) for bits in (8, 16, 24, 32)
} | {
    "floats": (_riff(_form(3, 32), WAVE.astype("<f4").tobytes()), 1e-7),
    "doubles": (_riff(_form(3, 64), WAVE.astype("<f8").tobytes()), 1e-7),
    "extensible": (
        _riff(_form(0xFFFE, 16) + struct.pack("<HHIH14x", 22, 16, 4, 1), _whole(16)),
        2.0**-15,
    ),
    "stereo": (
        _riff(_form(3, 32, channels=2), np.stack([WAVE * 2, WAVE * 0], 1).astype("<f4").tobytes()),
        1e-7,
    ),
    "streamed": (_riff(_form(3, 32), WAVE.astype("<f4").tobytes(), said=2**32 - 1), 1e-7),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_sound_of_every_kind_has_the_same_samples(tmp_path: Path, kind: str) -> None:
    content, step = SOUNDS[kind]
    (tmp_path / "a.wav").write_bytes(content)
    samples, rate, lack = read_sound(tmp_path / "a.wav")
    assert (rate, lack) == (8000, "")
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, WAVE, atol=1.01 * step + 1e-7, rtol=0)


def test_a_part_of_a_sound_can_be_asked_for(tmp_path: Path) -> None:
    model = net(("audio", TensorProto.FLOAT, [1, "n"]))
    (tmp_path / "a.wav").write_bytes(SOUNDS["floats"][0])
    for part, begin, end in (("[100:164]", 100, 164), ("[:64]", 0, 64), ("[350:]", 350, 400)):
        got = read_inputs(model, f"audio={tmp_path / 'a.wav'}{part}").feeds["audio"]
        assert np.array_equal(got, WAVE[None, begin:end].astype(np.float32))
    with pytest.raises(BadInput, match="holds 400 samples; none lie"):
        read_inputs(model, f"{tmp_path / 'a.wav'}[400:]")


def test_a_sound_that_ends_early_is_told_and_never_a_fault(tmp_path: Path) -> None:
    content, _ = SOUNDS["16 bits"]
    path = tmp_path / "cut.wav"
    path.write_bytes(content[:501])
    samples, _, lack = read_sound(path)
    assert len(samples) < len(WAVE)
    assert "bytes less than its header says" in lack
    rng = np.random.default_rng(0)
    for length in range(90):
        path.write_bytes(content[:length])
        with contextlib.suppress(BadInput):
            read_sound(path)
    for _ in range(300):
        broken = bytearray(content[:300])
        for at in rng.integers(0, 60, 3):
            broken[at] = int(rng.integers(0, 256))
        path.write_bytes(broken)
        with contextlib.suppress(BadInput):
            read_sound(path)


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
        (np.zeros((3, 8, 8), np.float32), "4 axes.*Add an axis for the batch"),
        (np.zeros((8, 8, 3), np.uint8), "looks like a picture"),
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
    ("source", "said"),
    [
        (".", "is a folder"),
        ("", "is empty"),
        ("random:abc", "whole number"),
        ("random:-1", "whole number"),
        ("song.mp3", r"only \.wav is read"),
        ("1,2,3", "1 × 3 numbers do not fit"),
    ],
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


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.wav", "a.png", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"no such thing", b"PK\x03\x04"])
def test_a_file_that_holds_nothing_is_told(
    camera: inspector.Model, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match="a\\." + name[2:]):
        read_inputs(camera, tmp_path / name)


def test_an_archive_with_a_damaged_member_is_told(camera: inspector.Model, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", image=np.random.default_rng(0).standard_normal((1, 3, 8, 8)))
    damaged = bytearray((tmp_path / "a.npz").read_bytes())
    damaged[150:400] = bytes(250)
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(BadInput, match="cannot be read as arrays"):
        read_inputs(camera, tmp_path / "a.npz")


def test_a_picture_takes_no_sound(camera: inspector.Model, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(SOUNDS["16 bits"][0])
    with pytest.raises(BadInput, match="a picture and no sound"):
        read_inputs(camera, f"image={tmp_path / 'a.wav'}")


def test_random_inputs_tell_what_is_not_random() -> None:
    model = net(("audio", TensorProto.FLOAT, [1, 8]), ("state", TensorProto.FLOAT, [1, 4]))
    notes = " ".join(read_inputs(model, "random").notes)
    assert "random numbers (seed 0)" in notes
    assert "'state' was not given; zeros" in notes


def test_a_file_of_weights_says_why_it_takes_nothing(shared_models: Path, fixtures: Path) -> None:
    model = inspector.open_model(
        shared_models / "imagenet_squeezenet1_1" / "squeezenet1_1_imagenet.safetensors"
    )
    with pytest.raises(NotRunnable, match="holds weights only"):
        read_inputs(model, fixtures / "coffee.png")
