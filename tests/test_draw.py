"""Is the drawing whole, safe and bounded? Formats, hostile names, portals, selections, limits."""

from __future__ import annotations

import json
import re
import time
from io import BytesIO
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree as ET

import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from structures import Builder, chain, transformer

import inspector
from inspector.errors import BadInput, TooLarge, UnknownName
from inspector.graph import Media, draw

SVG = "{http://www.w3.org/2000/svg}"
MAGIC = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "json": b"{"}


def texts(svg: bytes) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


def boxes(svg: bytes) -> int:
    nodes = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") == "node"]
    return sum(1 for g in nodes if re.fullmatch(r"n\d+", g.findtext(f"{SVG}title") or ""))


@pytest.mark.parametrize("media", get_args(Media))
def test_formats_and_equal_bytes(classifier: inspector.Model, media: Media) -> None:
    first, second = draw(classifier, media), draw(classifier, media)
    assert first.data.startswith(MAGIC[media])
    assert first == second
    assert first.note == ""
    assert 15 <= first.boxes <= 60


def test_the_classifier_reads_well(classifier: inspector.Model) -> None:
    drawing = draw(classifier, "svg")
    found = texts(drawing.data)
    assert boxes(drawing.data) == drawing.boxes
    for wanted in ("Conv", "3×3, 3→64", "features", "Fire", "image", "logits", "activation"):
        assert wanted in found, wanted
    assert any("1.24 M parameters" in text and "349 M MACs" in text for text in found)
    shapes = [text.strip() for text in found if text.strip() == "batch×64×111×111"]
    assert len(shapes) == 1, "a shape shows once along a chain"


def test_depth_opens_more_and_more(classifier: inspector.Model) -> None:
    counts = [draw(classifier, "json", depth=depth).boxes for depth in (0, 1, 2)]
    assert counts == sorted(counts)
    assert counts[0] == 4
    assert counts[2] > counts[0]


HOSTILE = (
    "x:0",
    "x:1",
    "node",
    "edge",
    "graph",
    'a"b',
    "<lambda>",
    "\\N",
    "\\l",
    "</script>",
    "&amp;",
    "a\nb",
    "名",
)


def hostile() -> onnx.ModelProto:
    nodes, x = [], "node"
    for name in (*HOSTILE, "n" * 10_000):
        nodes.append(helper.make_node("Relu", [x], [f"{name}\t"], name))
        x = f"{name}\t"
    graph = helper.make_graph(
        nodes,
        "digraph {",
        [helper.make_tensor_value_info("node", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("media", get_args(Media))
def test_names_never_merge_or_break_the_picture(media: Media) -> None:
    model = inspector.open_model(hostile())
    drawing = draw(model, media)
    assert drawing.boxes == len(HOSTILE) + 3
    if media == "svg":
        assert boxes(drawing.data) == drawing.boxes
        assert b"<script" not in drawing.data
        assert len(drawing.data) < 100_000, "a name of ten thousand characters is cut"
    if media == "json":
        keys = {row["key"] for row in json.loads(drawing.data)["nodes"]}
        assert set(HOSTILE) <= keys, "programs get the names as they are"


def test_names_of_blocks_are_escaped_too() -> None:
    b = Builder(scoped=True)
    x = "x"
    for count, scope in enumerate(("/<b>&</b>", '/"quoted"', "/back\\slash\\N", "/<lambda>"), start=2):
        for _ in range(count):
            x = b.add("Relu", scope, x)
    drawing = draw(inspector.open_model(b.model([("x", [1])], x)), "svg", depth=0)
    found = "".join(texts(drawing.data))
    for label in ("<b>&<", '"quoted"', "back\\slash\\N", "<lambda>"):
        assert label in found, label


def test_a_value_for_every_layer_becomes_a_portal() -> None:
    proto = transformer(12)
    for index, node in enumerate(n for n in proto.graph.node if n.op_type == "Softmax"):
        node.attribute[0].i = -1 - index % 2
    record = json.loads(draw(inspector.open_model(proto), "json", depth=3).data)
    (portal,) = record["portals"]
    assert portal["value"] == "mask"
    assert len(portal["targets"]) == 12
    drawn = {(edge["source"], edge["target"]) for edge in record["edges"]}
    assert not any((portal["source"], target) in drawn for target in portal["targets"])


def test_json_adds_up(classifier: inspector.Model) -> None:
    record = json.loads(draw(classifier, "json").data)
    ids = {row["id"] for row in record["nodes"]}
    assert all({edge["source"], edge["target"]} <= ids for edge in record["edges"])
    assert sum(row.get("parameters", 0) for row in record["nodes"]) == record["parameters"] == 1_235_496
    assert sum(row.get("macs", 0) for row in record["nodes"]) == record["macs"]
    frames = {row["id"] for row in record["blocks"]} | {""}
    assert {row["parent"] for row in record["nodes"]} <= frames


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("Softmax", 4), ("*/attn*", 14 * 4), ("re:^Soft", 4), ("*layers.2*", 24), ("decoder/layers/2", 24)],
)
def test_selecting(pattern: str, matches: int) -> None:
    from inspector.graph.selecting import matching_nodes

    model = inspector.open_model(transformer(4))
    assert len(matching_nodes(model, pattern)) == matches
    assert draw(model, "json", select=pattern).boxes <= len(model.nodes)


def test_a_selection_shows_its_neighbours_only() -> None:
    record = json.loads(
        draw(inspector.open_model(transformer(4)), "json", select="*layers.2/attn/Softmax*").data
    )
    ops = sorted(row["op"] for row in record["nodes"] if row["kind"] == "node")
    assert ops == ["Add", "MatMul", "Softmax"]


def test_what_cannot_be_drawn_says_why(classifier: inspector.Model, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="nothing_like_this"):
        draw(classifier, select="nothing_like_this")
    with pytest.raises(BadInput, match="regular expression"):
        draw(classifier, select="re:(")
    with pytest.raises(BadInput, match="ending"):
        inspector.draw(classifier, tmp_path / "net.bmp")
    with pytest.raises(TooLarge, match="laid out within"):
        draw(classifier, seconds=0.0001)


def test_a_png_is_never_cut_or_shrunk() -> None:
    model = inspector.open_model(chain(60))
    drawing = draw(model, "png", depth=9)
    height = float(re.search(rb'height="([\d.]+)pt"', draw(model, "svg", depth=9).data)[1])  # type: ignore[index]
    assert Image.open(BytesIO(drawing.data)).height == pytest.approx(2 * height, abs=8)
    with pytest.raises(TooLarge, match="pixels"):
        draw(inspector.open_model(chain(1000)), "png", depth=9)


def test_more_than_can_be_laid_out_is_drawn_coarser_and_says_so() -> None:
    drawing = draw(inspector.open_model(chain(2500)), "svg", depth=9)
    assert "too many" in drawing.note
    assert drawing.boxes < 1500
    assert any("too many" in text for text in texts(drawing.data))


@pytest.mark.parametrize("scoped", [True, False])
def test_a_large_graph_draws_in_seconds(scoped: bool) -> None:
    model = inspector.open_model(transformer(100, width=2, scoped=scoped))
    start = time.process_time()
    drawing = draw(model, "svg")
    assert drawing.boxes <= 60
    assert time.process_time() - start < 10


def test_the_action_writes_whole_files(classifier: inspector.Model, tmp_path: Path) -> None:
    for media in get_args(Media):
        result = inspector.draw(classifier, tmp_path / "deep" / f"net.{media}")
        assert result.path.read_bytes().startswith(MAGIC[media])
        assert result.to_dict()["boxes"] == result.drawing.boxes
    assert len(list((tmp_path / "deep").iterdir())) == 5
