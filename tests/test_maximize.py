"""Do invented pictures make their objectives large, with the published constants?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch.nn import functional

import inspector
from inspector.errors import BadInput, InspectorError, NoGradientPath, UnknownName
from inspector.execution import PRESETS, Preprocess
from inspector.methods import maximize
from inspector.methods.maximize import Settings, colors, known_objectives, known_parametrizations
from inspector.methods.maximize.objectives import Scene
from inspector.methods.maximize.parametrizations import (
    Canvas,
    fourier_scale,
    natural_magnitudes,
    parametrization,
)
from inspector.methods.maximize.redirecting import leaking_rectifiers, redirected_rectifiers
from inspector.methods.maximize.transforms import (
    ROTATIONS,
    SCALES,
    crop,
    gathered,
    jitter,
    looked_at,
    pad,
    rotate,
    scale,
)


def net(folder: Path, *, dead: bool = False, quantised: bool = False, softmax: bool = True) -> Path:
    """Conv, Relu, Conv, Relu, mean, Gemm, Softmax over pictures of any size, RGB scaled to 0 … 1."""
    random = np.random.default_rng(0)
    weights = {
        "w1": random.normal(size=(6, 3, 3, 3)) * 0.3,
        "b1": np.full(6, -50.0 if dead else 0.1),
        "w2": random.normal(size=(5, 6, 3, 3)) * 0.3,
        "b2": random.normal(size=5) * 0.1,
        "w3": random.normal(size=(5, 4)),
        "b3": random.normal(size=4),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["conv1"], name="first", pads=[1] * 4),
        *(
            [
                helper.make_node("Cast", ["conv1"], ["whole"], to=TensorProto.INT32),
                helper.make_node("Cast", ["whole"], ["relu1"], to=TensorProto.FLOAT),
            ]
            if quantised
            else [helper.make_node("Relu", ["conv1"], ["relu1"])]
        ),
        helper.make_node("Conv", ["relu1", "w2", "b2"], ["conv2"], name="second", pads=[1] * 4),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("GlobalAveragePool", ["relu2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["scores"]),
    ]
    nodes += [helper.make_node("Softmax", ["scores"], ["answer"])] * softmax
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("answer" if softmax else "scores", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "small.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> maximize.Stage:
    model = inspector.open_model(net(tmp_path_factory.mktemp("net")))
    return maximize.open_stage(model, preprocess="unit", size=(32, 32))


ARGUMENTS: dict[str, tuple[object, ...]] = {
    "channel": ("relu2", 2),
    "neuron": ("relu2", 2, 5, 7),
    "layer": ("relu2",),
    "direction": ("relu2", [1.0, -1.0, 0.5, 0.0, 0.2]),
    "logit": ("scores", 1),
    "probability": ("scores", 1),
    "diversity": ("relu2",),
    "caricature": ("relu2",),
    "l2": (),
    "total-variation": (),
    "blur": (),
}
PENALTIES = {"l2", "total-variation", "blur"}


@pytest.mark.parametrize("name", known_objectives())
def test_every_objective_rises(stage: maximize.Stage, name: str) -> None:
    wanted = maximize.objective(name, *ARGUMENTS[name])
    reference = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    rows = 2 if name == "diversity" else 1
    made = maximize.ascend(stage, wanted, Settings(steps=20, rows=rows, transforms=()), reference=reference)
    assert sum(made.after) > sum(made.before)
    if name in PENALTIES:
        lower = maximize.ascend(stage, -wanted, Settings("pixel", 20, transforms=()))
        assert lower.after[0] > lower.before[0]


@pytest.mark.parametrize("name", known_parametrizations())
@pytest.mark.parametrize("optimizer", ["adam", "ascent"])
def test_every_parametrization_climbs_and_repeats_bit_for_bit(
    stage: maximize.Stage, name: str, optimizer: str
) -> None:
    wanted = maximize.parse_objective("relu2:2", stage)
    settings = Settings(name, 12, optimizer=optimizer, rate=None if optimizer == "adam" else 1, transforms=())  # pyright: ignore
    first, second = (maximize.ascend(stage, wanted, settings) for _ in range(2))
    assert first.after[0] > first.before[0]
    np.testing.assert_array_equal(first.pictures, second.pictures)
    assert len(first.history) == 12


def test_simonyan_starts_from_the_mean_and_weighs_against_the_norm(stage: maximize.Stage) -> None:
    free = maximize.parse_objective("logit:1", stage)
    held = maximize.parse_objective("logit:1 - 50 * l2", stage)
    plain = Settings("pixel", 15, optimizer="ascent", start="mean", rate=4)
    loose, tight = (maximize.ascend(stage, wanted, plain) for wanted in (free, held))
    spread = [np.std(made.pictures.astype(float)) for made in (loose, tight)]
    assert loose.after[0] > loose.before[0]
    assert spread[1] < spread[0]


def test_objectives_compose(stage: maximize.Stage) -> None:
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    terms = {name: maximize.parse_objective(name, stage) for name in ("relu2:1", "relu1:0@4,5", "l2")}
    whole = maximize.parse_objective("2 * relu2:1 + relu1:0@4,5 * relu2:1 - 0.5 * l2", stage)

    def number(wanted: maximize.Objective) -> torch.Tensor:
        return wanted.measure(Scene(stage.values(pictures, wanted.layers), pictures, {}))

    a, b, c = (number(term) for term in terms.values())
    torch.testing.assert_close(number(whole), 2 * a + b * a - 0.5 * c)
    values = stage.values(pictures, ["relu1"])["relu1"]
    torch.testing.assert_close(b, values[:, 0, 4, 5])


def test_probability_lowers_other_classes(stage: maximize.Stage) -> None:
    pictures = torch.rand(3, 3, 32, 32)
    after = maximize.parse_objective("probability:1", stage)
    before = maximize.parse_objective("logit:1", stage)
    answer = stage.values(pictures, ["answer"])["answer"]
    scores = stage.values(pictures, ["scores"])["scores"]
    scene = Scene(stage.values(pictures, ["scores"]), pictures, {})
    torch.testing.assert_close(after.measure(scene).exp(), answer[:, 1])
    torch.testing.assert_close(before.measure(scene), scores[:, 1])


@pytest.mark.parametrize(
    "text", ["", "relu2:1 +", "+ relu2:1", "3", "relu2:99", "relu2:1@99,0", "caricature:relu2"]
)
def test_what_is_no_objective_is_refused(stage: maximize.Stage, text: str) -> None:
    with pytest.raises(BadInput):
        maximize.ascend(stage, maximize.parse_objective(text, stage), Settings(steps=1))


def test_unknown_layers_are_named_with_near_ones(stage: maximize.Stage) -> None:
    with pytest.raises(UnknownName, match="relu2"):
        maximize.parse_objective("relu3:1", stage)


def test_published_constants() -> None:
    matrix = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    expected = matrix / np.linalg.norm(matrix, axis=0).max()
    np.testing.assert_allclose(colors.correlation(), expected, atol=1e-12)
    point = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    got = colors.correlate(point[None, :, None, None])[0, :, 0, 0]
    np.testing.assert_allclose(got, point.numpy() @ expected.T, atol=1e-12)
    for height, width in ((8, 8), (6, 9), (7, 4)):
        down = np.fft.fftfreq(height)[:, None]
        along = np.abs(np.fft.fftfreq(width))[None, : width // 2 + 1]
        slow = 1 / np.maximum(np.sqrt(down**2 + along**2), 1 / max(height, width))
        np.testing.assert_allclose(fourier_scale(height, width), slow, atol=1e-12)
    assert tuple(1 + (i - 5) / 50 for i in range(11)) == SCALES
    assert sorted(ROTATIONS) == sorted([*range(-10, 11), 0, 0, 0, 0, 0])


def canvas(rows: int = 1, side: int = 128) -> Canvas:
    return Canvas(rows, side, side, torch.Generator().manual_seed(0), torch.empty(0))


def test_fourier_start_is_that_of_lucent() -> None:
    made = parametrization("fourier", canvas())
    picture = made.picture().detach().double()
    assert picture.mean().item() == pytest.approx(0.4995, abs=5e-4)
    assert picture.std().item() == pytest.approx(0.0028, abs=5e-4)
    leaf = made.leaves[0].detach().double().numpy()
    spectrum = (leaf[..., 0] + 1j * leaf[..., 1]) * fourier_scale(128, 128).numpy()
    plane = np.fft.irfft2(spectrum, s=(128, 128), norm="ortho") / 4
    flat = np.moveaxis(plane, 1, -1) @ colors.correlation().numpy().T
    np.testing.assert_allclose(np.moveaxis(1 / (1 + np.exp(-flat)), -1, 1), picture, atol=1e-6)


def test_cppn_starts_grey_and_maco_keeps_its_magnitudes() -> None:
    assert torch.equal(parametrization("cppn", canvas(side=16)).picture(), torch.full((1, 3, 16, 16), 0.5))
    made = parametrization("maco", canvas(side=32))
    decorrelated = torch.einsum(
        "cd,ndhw->nchw", torch.linalg.inv(colors.correlation()), made.picture().double().logit()
    )
    magnitude = torch.fft.rfft2(decorrelated, norm="ortho").abs()[0, :, 1:16, 1:16]
    ratio = magnitude / natural_magnitudes(32, 32)[:, 1:16, 1:16]
    assert float((ratio.std() / ratio.mean()).detach()) < 1e-4


def test_natural_magnitudes_are_those_of_photographs(fixtures: Path) -> None:
    side = 224
    reach = fourier_scale(side, side).numpy()
    total = np.zeros((side, side // 2 + 1, 3))
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        with Image.open(fixtures / name) as image:
            least = min(image.size)
            left, top = (image.width - least) // 2, (image.height - least) // 2
            square = image.convert("RGB").crop((left, top, left + least, top + least)).resize((side, side))
        pixels = np.clip(np.asarray(square) / 255, 0.02, 0.98)
        planes = np.log(pixels / (1 - pixels)) @ np.linalg.inv(colors.correlation().numpy()).T
        planes = (planes - planes.mean((0, 1))) / planes.std()
        window = np.outer(np.hanning(side), np.hanning(side))[..., None]
        total += abs(np.fft.rfft2(planes * window, axes=(0, 1)))
    middle = (reach < side / 2) & (reach > 3)
    ours = natural_magnitudes(side, side).numpy()
    ratios = np.stack([np.log(total[..., c][middle]) - np.log(ours[c][middle]) for c in range(3)])
    slopes = [np.polyfit(np.log(reach[middle]), ratio, 1)[0] for ratio in ratios]
    assert np.abs(slopes).max() < 0.15  # of 1.1 to 1.5
    assert np.ptp(ratios.mean(1)) < 0.5  # the colours' shares, in powers of e


def test_transforms_do_what_their_numbers_say() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 20, 24)
    framed = pad(12)(picture, generator)
    assert framed.shape == (1, 3, 44, 48)
    assert torch.equal(crop(20, 24)(framed, generator), picture)
    assert float(framed[0, 0, 0, 0]) == 0.5
    corners = {
        tuple(jitter(3)(torch.arange(20.0).reshape(1, 1, 4, 5), generator).flatten().tolist())
        for _ in range(90)
    }
    assert len(corners) == 16
    assert {scale()(picture, generator).shape[-1] for _ in range(80)} == {round(24 * f) for f in SCALES}
    disc = torch.zeros(1, 1, 41, 61)
    disc[0, 0, 10, 30] = 1
    turned = rotate([90])(disc, generator)[0, 0]
    assert sorted(divmod(int(turned.argmax()), 61)) in ([20, 20], [20, 40])


def test_a_chain_of_moves_is_sampled_once() -> None:
    picture = torch.rand(1, 3, 40, 36, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    smooth = functional.interpolate(picture[..., :10, :9], size=(40, 36), mode="bicubic")
    chain = (pad(6), jitter(4), scale([1.1]), rotate([7]), jitter(2))
    once = looked_at(smooth, chain, torch.Generator().manual_seed(2), (40, 36))
    generator = torch.Generator().manual_seed(2)
    slow = smooth
    for move in chain:
        slow = move(slow, generator)
    slow = functional.interpolate(slow, size=(40, 36), mode="bilinear", align_corners=False)
    inner = (..., slice(8, -8), slice(8, -8))
    assert float((once - slow)[inner].abs().max()) < 0.05 * float(smooth.max() - smooth.min())
    alone = scale([1.1])(smooth, generator)
    expected = functional.interpolate(smooth, size=alone.shape[-2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(alone, expected)


def test_fixed_order_sampling_is_torchs_own() -> None:
    random = torch.Generator().manual_seed(4)
    picture = torch.rand(2, 3, 9, 7, generator=random, dtype=torch.float64, requires_grad=True)
    grid = torch.rand(2, 6, 5, 2, generator=random, dtype=torch.float64) * 3 - 1.5
    for edge, padding in ((True, "border"), (False, "zeros")):
        ours = gathered(picture, grid, edge=edge)
        theirs = functional.grid_sample(picture, grid, padding_mode=padding, align_corners=False)
        torch.testing.assert_close(ours, theirs)
        seed = torch.rand(ours.shape, generator=random, dtype=torch.float64)
        gradients = (torch.autograd.grad(one, picture, seed)[0] for one in (ours, theirs))
        torch.testing.assert_close(*gradients)


def test_silent_rectifiers_start_to_move(tmp_path: Path) -> None:
    model = inspector.open_model(net(tmp_path, dead=True))
    stage = maximize.open_stage(model, preprocess="unit", size=(16, 16))
    wanted = maximize.parse_objective("relu1:2", stage)
    with pytest.raises(NoGradientPath, match=r"relu1:2 stays at 0, .* zero everywhere for 4 steps"):
        maximize.ascend(stage, wanted, Settings(steps=4, redirect=0))
    with pytest.raises(NoGradientPath, match="silent"):
        maximize.dream(stage, np.full((16, 16, 3), 128, np.uint8), "relu1", octaves=1)
    moved = maximize.ascend(stage, wanted, Settings(steps=4))
    assert len(moved.history) == 4
    rules = redirected_rectifiers(stage.net)
    picture = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    value = stage.values(picture, [stage.key("relu1")], rules)["relu1"]
    (gradient,) = torch.autograd.grad(-value[:, 2].mean(), picture)
    assert float(gradient.norm()) > 0
    (other,) = torch.autograd.grad(stage.values(picture, ["relu1"], rules)["relu1"][:, 2].mean(), picture)
    assert float(other.norm()) == 0  # it would lead further down


def test_silent_places_of_a_layer_take_part(tmp_path: Path) -> None:
    """In full at the start where the layer is linear in the picture, elsewhere by a tenth."""
    stage = maximize.open_stage(inspector.open_model(net(tmp_path)), preprocess="unit", size=(16, 16))
    for layer, share in (("relu1", 1.0), ("relu2", 0.1)):
        key, before = stage.key(layer), stage.key(layer.replace("relu", "conv"))
        picture = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(0)).requires_grad_()
        part = stage.part((key, before))
        rules = leaking_rectifiers(part, [key], start=True)
        assert len(rules) == 1
        for sign in (1, -1):
            found = stage.values(picture, [key, before], rules)
            silent = found[before] < 0
            assert silent.any()
            assert not silent.all()
            passed = torch.where(silent, share if sign > 0 else 0.0, 1.0)
            wanted = torch.autograd.grad(-sign * (found[before] * passed).sum(), picture, retain_graph=True)
            got = torch.autograd.grad(-sign * found[key].sum(), picture)
            torch.testing.assert_close(got, wanted)


def test_a_size_that_the_net_cannot_take_is_told(tmp_path: Path, classifier: inspector.Model) -> None:
    with pytest.raises(BadInput, match=r"relu_12 for pictures of 8 × 8.*declares 224 × 224.*another size"):
        inspector.maximize(classifier, objective="relu_12:3", size=8, steps=1)
    with pytest.raises(BadInput, match="--size 0"):
        inspector.maximize(classifier, objective="relu_12:3", size=0)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "gray-unit"])
def test_every_recipe_is_undone(tmp_path: Path, name: str) -> None:
    model = inspector.open_model(net(tmp_path))
    stage = maximize.open_stage(model, preprocess=f"{name},size=24x24", size=(24, 24))
    picture = np.random.default_rng(1).integers(0, 256, (24, 24, 3), np.uint8)
    shown = torch.from_numpy(picture / 255).permute(2, 0, 1)[None]
    numbers = stage.numbers(shown.float())
    recipe = Preprocess.from_dict(stage.recipe.to_dict() | {"crop": 1.0})
    np.testing.assert_allclose(numbers, recipe.apply(picture), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(recipe.invert(numbers)[0], picture)


def test_models_without_a_way_back_say_so(tmp_path: Path) -> None:
    stage = maximize.open_stage(inspector.open_model(net(tmp_path, quantised=True)), size=(16, 16))
    with pytest.raises(NoGradientPath, match="relu2:1"):
        maximize.ascend(stage, maximize.parse_objective("relu2:1", stage), Settings(steps=2))


def test_what_takes_no_picture_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "numbers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 7])],
    )
    path = tmp_path / "numbers.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    with pytest.raises(InspectorError, match="takes no picture"):
        inspector.maximize(path, objective="y:1")


def test_sheets(tmp_path: Path) -> None:
    path = net(tmp_path)
    common = {"preprocess": "unit", "size": 16, "steps": 3}
    units = inspector.maximize(path, tmp_path / "units.png", objective="relu2", sheet=16, **common)
    assert [made.objective for made in units.found] == [f"relu2:{i}" for i in range(5)]
    seeds = inspector.maximize(path, objective="relu2:0", sheet=3, **common)
    assert len({picture.tobytes() for picture in seeds.pictures}) == 3
    unlike = inspector.maximize(path, objective="relu2:1 + diversity:relu1", sheet=3, **common)
    assert unlike.found[0].pictures.shape == (3, 16, 16, 3)
    with Image.open(tmp_path / "units.png") as image:
        assert min(image.size) > 200


def test_silent_units_leave_their_place_in_a_sheet_empty(tmp_path: Path) -> None:
    path = net(tmp_path)
    model = onnx.load(path)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "b2")
    bias.CopyFrom(numpy_helper.from_array(np.array([0, -1e6, 0, 0, 0], np.float32), "b2"))
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "w2")
    values = numpy_helper.to_array(weights).copy()
    values[1] = 0
    weights.CopyFrom(numpy_helper.from_array(values, "w2"))
    onnx.save(model, path)
    common = {"preprocess": "unit", "size": 16, "steps": 3}
    made = inspector.maximize(path, tmp_path / "units.png", objective="relu2", sheet=3, **common)
    assert [one.objective for one in made.found] == ["relu2:0", "relu2:2"]
    assert "zero everywhere" in made.silent["relu2:1"]
    with pytest.raises(NoGradientPath, match="zero everywhere"):
        inspector.maximize(path, objective="relu2:1", **common)


def test_dreams_exaggerate_their_layer_in_tiles_and_with_a_guide(stage: maximize.Stage) -> None:
    random = np.random.default_rng(2)
    small = Image.fromarray(random.integers(60, 200, (9, 12, 3), np.uint8))
    picture = np.asarray(small.resize((120, 90)))
    whole = maximize.dream(stage, picture, "relu2", steps=5, octaves=2)
    assert whole.picture.shape == picture.shape
    assert whole.after > 1.02 * whole.before
    assert whole.octaves == ((64, 86), (90, 120))
    tiled = maximize.dream(stage, picture, "relu2", steps=5, octaves=2, tile=40)
    assert tiled.after > 1.02 * tiled.before
    guided = maximize.dream(stage, picture, "relu2", steps=5, octaves=2, guide=picture[::-1, :, ::-1])
    assert guided.after > guided.before
    assert not np.array_equal(guided.picture, whole.picture)
    again = maximize.dream(stage, picture, "relu2", steps=5, octaves=2)
    np.testing.assert_array_equal(again.picture, whole.picture)


@pytest.mark.slow
def test_the_shipped_classifier_takes_the_picture_for_what_was_asked(
    classifier: inspector.Model, tmp_path: Path
) -> None:
    made = inspector.maximize(classifier, tmp_path / "class.png", objective="logits:967", steps=32)
    assert made.found[0].after[0] > 5 * made.found[0].before[0]
    Image.fromarray(made.pictures[0]).save(tmp_path / "bare.png")
    answer = inspector.predict(classifier, tmp_path / "bare.png")
    assert "espresso" in str(answer.to_dict())
