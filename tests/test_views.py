"""Do the pictures show what they say: right channel, right colour, nothing cropped, the same bytes twice?"""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import matplotlib
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from inspector import views
from inspector.errors import BadInput, UnknownName
from inspector.views import canvas, charts, colors, normalize, tokens
from inspector.views.dendrogram import leaf_order
from inspector.views.figure import HTML, PNG, SVG, Figure, Media
from inspector.views.grid import grid_for, room_for, zoom_for
from inspector.views.heatmap import flatten_channels
from inspector.views.pictures import as_picture
from inspector.views.wording import number, shape_text

pytestmark = pytest.mark.filterwarnings("error")

SVG_NAMESPACE = "{http://www.w3.org/2000/svg}"
LONG = "a_very_long_name/of.a.layer/that_never_ends/" * 4


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


PHOTO = (values(40, 60, 3, seed=1) * 40 + 128).clip(0, 255).astype(np.uint8)
TOKENS = ["[CLS]", "the", "cat", "##s", "$x_2$", "<b>&", "naïve", "[SEP]"]

# Every drawing function once, with what tends to break pictures: long names, markup, many items.
PICTURES: dict[str, Callable[[Media], Figure]] = {
    "tiles": lambda m: views.draw_tiles(values(70, 9, 7), title=LONG, media=m),
    "tiles own scale": lambda m: views.draw_tiles(1e5 * values(5, 30, 30), shared=False, title="a", media=m),
    "tiles named": lambda m: views.draw_tiles(values(3, 5, 5), names=[LONG, "<b>", "3"], title="a", media=m),
    "histogram": lambda m: views.draw_histogram(values(3, 40), title=LONG, media=m),
    "histogram log": lambda m: views.draw_histogram(np.abs(values(3, 40)), log=True, title="a", media=m),
    "kernels rgb": lambda m: views.draw_kernels(values(12, 3, 7, 7), title="a", media=m),
    "kernels deep": lambda m: views.draw_kernels(values(40, 30, 3, 3), title="a", media=m),
    "kernels 1-D": lambda m: views.draw_kernels(values(8, 4, 9), title="a", media=m),
    "kernels 3-D": lambda m: views.draw_kernels(values(8, 4, 3, 3, 3), title="a", media=m),
    "kernels 1×1": lambda m: views.draw_kernels(values(8, 40, 1, 1), title="a", media=m),
    "surface": lambda m: views.draw_surface(values(90, 50), title=LONG, media=m),
    "planes": lambda m: views.draw_planes(values(3, 20, 30), PHOTO, title="a", media=m),
    "bars": lambda m: views.draw_bars(values(6), [LONG, "$a$ & <b>", "", "c\nd", "e", "f" * 99], media=m),
    "layer bars": lambda m: views.draw_layer_bars([LONG] * 9, {"a": range(9), LONG: [3] * 9}, media=m),
    "signals": lambda m: views.draw_signals(values(9, 5000), names=[LONG] * 9, rate=100, title="a", media=m),
    "strip": lambda m: views.draw_strip(values(8, 90), row_labels=TOKENS, title="a", media=m),
    "attention": lambda m: views.draw_attention(np.abs(values(5, 8, 8)), TOKENS, title="a", media=m),
    "attention long": lambda m: views.draw_attention(np.abs(values(3, 4, 4)), [LONG] * 4, media=m),
    "volume": lambda m: views.draw_volume(values(3, 25, 6, 8), title="a", media=m),
    "heat map": lambda m: views.draw_heatmap(values(7, 9), PHOTO, method="m", target=LONG, media=m),
    "heat maps": lambda m: views.draw_heatmaps(
        [[values(7, 9), None], [values(3, 40, 60), np.zeros((2, 2))]], PHOTO, row_labels=[LONG, "b"],
        column_labels=["grad-cam", "integrated-gradients-with-a-long-name"], title="a", media=m),
    "tokens": lambda m: views.draw_tokens([*TOKENS, "x" * 120], values(9), title="a", media=m),
    "moments": lambda m: views.draw_moments(values(50), values(2, 400), title="a", media=m),
    "matrix": lambda m: views.draw_matrix(values(4, 2), row_labels=[LONG] * 4, column_labels=["a", LONG],
                                          row_title="A", column_title="B", label="CKA", title="a", media=m),
    "matrix large": lambda m: views.draw_matrix(values(900, 30), title="a", media=m),
    "dendrogram": lambda m: views.draw_dendrogram([[0, 1, 1.0], [2, 3, 2.0]], ["a", LONG, "$c$"], media=m),
    "curves": lambda m: views.draw_curves({LONG: ([0, 1], [2, 3]), "b": ([0, 2], [1, 1])}, media=m),
    "sheet": lambda m: views.draw_sheet([[PHOTO, None], [PHOTO[:9, :9], PHOTO]], row_labels=[LONG, "b"],
                                        column_labels=["a", LONG], texts=[["1", LONG], ["", "2"]], media=m),
    "values": lambda m: views.draw_values(np.array([[1.5, np.nan], [np.inf, -2]]), title="a", media=m),
    "empty": lambda m: views.picture_of(np.zeros((0, 3)), title="a", media=m),
}  # fmt: skip

# Those laid out on a canvas, whose SVG holds its texts as text.
SHEETS = [
    "tiles", "tiles own scale", "tiles named", "kernels rgb", "kernels deep", "kernels 1-D", "kernels 3-D",
    "kernels 1×1", "attention", "attention long", "volume", "heat map", "heat maps", "tokens", "matrix",
    "matrix large", "sheet", "values",
]  # fmt: skip


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure.data)).convert("RGB"))


def svg_root(figure: Figure) -> ET.Element:
    return ET.fromstring(figure.data)


@pytest.mark.parametrize("name", PICTURES)
def test_a_png_is_the_same_twice_and_nothing_touches_its_edge(name: str) -> None:
    figure = PICTURES[name](PNG)
    assert PICTURES[name](PNG).data == figure.data
    picture = pixels(figure)
    assert picture.shape == (figure.height, figure.width, 3)
    edge = 10
    inside = picture[edge:-edge, edge:-edge]
    border = picture.astype(int).sum() - inside.astype(int).sum()
    assert border == 765 * (picture.shape[0] * picture.shape[1] - inside.shape[0] * inside.shape[1])
    assert inside.std() > 1  # and it is not blank


@pytest.mark.parametrize("name", PICTURES)
def test_an_svg_is_well_formed_and_the_same_twice(name: str) -> None:
    figure = PICTURES[name](SVG)
    assert PICTURES[name](SVG).data == figure.data
    root = svg_root(figure)
    assert root.tag == f"{SVG_NAMESPACE}svg"
    assert b"<!-- " in figure.data or root.find(f".//{SVG_NAMESPACE}text") is not None


def text_boxes(figure: Figure) -> list[tuple[str, float, float, float, float]]:
    """Each text of a canvas picture with its left, top, right, bottom."""
    boxes = []
    for element in svg_root(figure).iter(f"{SVG_NAMESPACE}text"):
        words, size = element.text or "", int(element.get("font-size", "0"))
        bold = element.get("font-weight") == "bold"
        width = canvas.text_width(words, size, bold)
        x, y = float(element.get("x", "nan")), float(element.get("y", "nan"))
        before = {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor", "")]
        if "rotate" in element.get("transform", ""):
            boxes.append((words, x - 0.75 * size, y - width + before, x, y + before))
        else:
            boxes.append((words, x - before, y - 0.75 * size, x - before + width, y))
    return boxes


@pytest.mark.parametrize("name", SHEETS)
def test_no_two_texts_of_a_sheet_overlap(name: str) -> None:
    boxes = text_boxes(PICTURES[name](SVG))
    for i, (one, left, top, right, bottom) in enumerate(boxes):
        for other, *box in boxes[:i]:
            apart = right <= box[0] or box[2] <= left or bottom <= box[1] or box[3] <= top
            assert apart, f"{one!r} lies on {other!r}"


def test_text_beyond_the_edge_of_a_chart_makes_it_larger() -> None:
    plain = charts.draw_chart(lambda chart: chart.text(0.5, 0.5, "x") and None, 3, 2)
    wide = charts.draw_chart(lambda chart: chart.text(1.4, 1.3, "beyond") and None, 3, 2)
    assert wide.width > plain.width + 100
    assert wide.height > plain.height + 50
    assert (pixels(wide)[:, -10:] == 255).all()


def test_the_users_style_neither_shows_nor_changes() -> None:
    before = views.draw_histogram(values(50)).data
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "svg.hashsalt": "mine"}):
        kept = dict(matplotlib.rcParams)
        assert views.draw_histogram(values(50)).data == before
        assert dict(matplotlib.rcParams) == kept


def test_threads_draw_the_same_bytes() -> None:
    expected = {seed: views.draw_histogram(values(50, seed=seed)).data for seed in range(3)}
    got: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda s=seed: got.update({s: views.draw_histogram(values(50, seed=s)).data}))
        for seed in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == expected


def test_importing_the_package_loads_no_drawing_library() -> None:
    code = (
        "import sys, inspector.views; print([m for m in ('matplotlib', 'PIL', 'numpy') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# figures


def test_a_figure_is_saved_only_under_its_own_suffix(tmp_path: Path) -> None:
    figure = views.draw_values(np.arange(3))
    saved = figure.save(tmp_path / "new folder" / "a.PNG")
    assert saved.read_bytes() == figure.data
    assert [p.name for p in saved.parent.iterdir()] == ["a.PNG"]
    with pytest.raises(BadInput, match=r"image/png.*image/svg\+xml"):
        figure.save(tmp_path / "a.svg")
    with pytest.raises(BadInput, match=r"\.png, \.svg or \.html"):
        figure.save(tmp_path / "a.jpg")
    assert views.media_for("x.svg") == SVG


def test_a_figure_shows_itself_in_a_notebook() -> None:
    png, svg = views.draw_values(np.arange(3)), views.draw_values(np.arange(3), media=SVG)
    page = views.draw_tokens(["a"], [1.0])
    assert (png._repr_png_(), png._repr_svg_(), png._repr_html_()) == (png.data, None, None)
    assert (svg._repr_svg_() or "").startswith("<svg")
    assert "<span" in (page._repr_html_() or "")
    assert "data:image/png;base64," in png.to_html()
    assert png.digest != svg.digest


def test_html_is_refused_where_only_pictures_exist() -> None:
    with pytest.raises(BadInput, match="text/html"):
        views.draw_tiles(values(2, 3, 3), media=HTML)
    with pytest.raises(BadInput, match="text/html"):
        views.draw_histogram(values(3), media=HTML)


# tiles


def mosaic(draw: Callable[[Media], Figure]) -> np.ndarray:
    """The coloured sheet of a tile picture, cut out of the PNG at the place where the SVG puts it."""
    root = svg_root(draw(SVG))
    group = root.find(f"{SVG_NAMESPACE}g")
    assert group is not None
    image = group.find(f"{SVG_NAMESPACE}image")
    assert image is not None
    dx, dy = (int(n) for n in re.findall(r"-?\d+", group.get("transform", "")))
    x, y, w, h = (int(image.get(key, "0")) for key in ("x", "y", "width", "height"))
    return pixels(draw(PNG))[y + dy : y + dy + h, x + dx : x + dx + w]


@pytest.mark.parametrize("channels", [None, [6, 1, 10, 3]])
def test_tile_k_shows_the_channel_whose_number_stands_above(channels: list[int] | None) -> None:
    maps = np.repeat(np.repeat(np.arange(11.0)[:, None, None], 4, axis=1), 6, axis=2)
    picked = channels or list(range(11))
    sheet = mosaic(lambda m: views.draw_tiles(maps, channels=channels, clip=0.0, media=m))
    grid = grid_for(
        len(picked), *zoom_for(4, 6, *room_for(len(picked))), head=canvas.line_height(canvas.SMALL)
    )
    assert sheet.shape[:2] == grid.size[::-1]
    table = colors.color_table("viridis")
    numbers = [
        box for box in text_boxes(views.draw_tiles(maps, channels=channels, media=SVG)) if box[0].isdigit()
    ]
    for k, channel in enumerate(picked):
        x, y = grid.corner(k)
        expected = table[round(255 * channel / 10)]
        assert (sheet[y + 1 : y + grid.height - 1, x + 1 : x + grid.width - 1] == expected).all()
        words, left, _, _, bottom = numbers[k]
        assert words == str(channel)
        assert abs(left - x) < 2
        assert 0 <= y - bottom < 12


def test_one_scale_gives_equal_values_equal_colours_and_own_scales_do_not() -> None:
    maps = np.zeros((2, 4, 4))
    maps[0, 0, 0], maps[1, 0, 0], maps[1, 3, 3] = 1.0, 1.0, 4.0
    size, _ = zoom_for(4, 4, *room_for(2))

    def first_cells(shared: bool) -> tuple[np.ndarray, np.ndarray]:
        sheet = mosaic(lambda m: views.draw_tiles(maps, shared=shared, clip=0.0, columns=2, media=m))
        top = canvas.line_height(canvas.SMALL) + 5
        return sheet[top, 5], sheet[top, size + 8 + 5]

    one, two = first_cells(True)
    assert (one == two).all()
    one, two = first_cells(False)
    assert (one != two).any()


def test_cells_without_a_number_are_marked_and_counted() -> None:
    maps = np.ones((1, 3, 3))
    maps[0, 0, 0], maps[0, 1, 1], maps[0, 1, 2] = 0.0, np.nan, -np.inf
    figure = views.draw_tiles(maps)
    assert "1 NaN and 1 infinite cells marked in magenta" in figure.caption
    picture = pixels(figure)
    marked = (picture == colors.NOT_FINITE).all(axis=-1).sum()
    size, _ = zoom_for(3, 3, *room_for(1))
    assert marked == 2 * (size // 3) ** 2


@pytest.mark.parametrize(("height", "width"), [(172, 264), (13, 13), (600, 600)])
def test_few_maps_are_drawn_large_and_many_fit_a_sheet(height: int, width: int) -> None:
    assert max(zoom_for(height, width, *room_for(1))) >= 300
    assert max(zoom_for(height, width, *room_for(2))) >= 250
    size = zoom_for(height, width, *room_for(64))
    across, down = grid_for(64, *size, head=23).size
    assert 0.8 < across / down < 2.2
    assert across <= 1180


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 10, 16, 24, 48, 64])
def test_maps_stand_beside_one_another_before_they_stand_below(count: int) -> None:
    grid = grid_for(count, 112, 112, head=23)
    assert grid.columns >= grid.rows - 3  # a little higher than wide at most
    assert grid.columns * grid.rows - count < max(2, count / 3)


def test_a_title_takes_two_lines_and_its_whole_is_in_the_caption() -> None:
    name = ";".join(f"model_1/batch_normalization_{i}/FusedBatchNormV3" for i in range(9))
    for figure in (
        views.draw_tiles(values(1, 9, 9), title=name, media=SVG),
        views.draw_histogram(values(50), title=name),
    ):
        assert figure.title == name
    bold = [
        t
        for t in svg_root(views.draw_tiles(values(1, 9, 9), title=name, media=SVG)).iter()
        if t.get("font-weight")
    ]
    assert len(bold) == 2
    assert "…" in str(bold[1].text)
    written = "".join(svg_root(views.draw_tiles(values(1, 9, 9), title=name, media=SVG)).itertext())
    assert name in written.replace("\n", "")
    assert views.draw_histogram(values(50), title=name).height < 900


def test_a_picture_in_a_page_says_its_words_once() -> None:
    page = views.draw_tiles(values(2, 4, 4), title="maps & more").to_html()
    assert 'alt="maps &amp; more. All 2 maps.' in page
    assert page.count("All 2 maps") == 1


def test_a_line_of_values_is_no_map() -> None:
    for shape in ((1, 8), (8, 1), (1, 1, 8)):
        row = views.picture_of(
            np.arange(8.0).reshape(shape), axes="c h w" if len(shape) == 3 else "row column"
        )
        assert row.height > row.width / 2  # a bar a value
    long = views.picture_of(np.arange(128.0).reshape(1, 128), axes="row column")
    assert "128 steps" in long.caption


def test_a_histogram_has_the_colours_of_the_maps() -> None:
    cells = np.append(np.linspace(0, 1, 999), 100.0).reshape(1, 25, 40)
    end = colors.color_table("viridis")[-1]

    def strong(figure: views.Figure) -> int:
        return int((pixels(figure) == end).all(axis=-1).sum())

    assert "≥ " in "".join(svg_root(views.draw_tiles(cells, media=SVG)).itertext())
    assert strong(views.draw_histogram(cells)) > 10 * strong(views.draw_histogram(cells, clip=0.0))


def test_a_bar_that_towers_over_the_others_is_cut_and_numbered() -> None:
    cells = np.concatenate([np.zeros(5000), np.linspace(0.01, 1, 800)])
    cut = views.draw_histogram(cells)
    plain = views.draw_histogram(cells[4900:])
    end = colors.color_table("viridis")[200]
    assert cut.digest != plain.digest
    near = np.abs(pixels(cut).astype(int) - end).sum(axis=-1) < 12
    assert near.any(axis=1).sum() > 150  # bars of middling colour stand as high as if there were no zeros
    assert "86.2 % zeros" in cut.caption


def test_own_scales_say_what_lies_beyond_them() -> None:
    cells = np.append(np.linspace(0, 1, 999), 100.0).reshape(1, 25, 40)
    assert "up to 0.5 % of its values beyond" in views.draw_tiles(cells, shared=False).caption
    assert "beyond" not in views.draw_tiles(cells, shared=False, clip=0.0).caption


def test_a_share_of_less_than_one_value_is_not_cut_off() -> None:
    assert normalize.scale_of(np.arange(9.0), clip=0.5).clipped == (False, False)
    assert normalize.scale_of(np.arange(999.0), clip=0.5).clipped == (False, True)


def test_pages_say_what_they_show() -> None:
    maps = values(130, 3, 3)
    assert "64 of 130 maps shown: 0 … 63." in views.draw_tiles(maps).caption
    last = views.draw_tiles(maps, start=128)
    assert "2 of 130 maps shown: 128 … 129." in last.caption
    with pytest.raises(BadInput, match="start=130"):
        views.draw_tiles(maps, start=130)
    with pytest.raises(BadInput, match="channel 130 does not exist"):
        views.draw_tiles(maps, channels=[130])
    with pytest.raises(BadInput, match=r"\(c, h, w\), got shape \(3, 3\)"):
        views.draw_tiles(maps[0])


def test_kernels_of_three_inputs_are_colour_pictures_in_the_order_asked_for() -> None:
    kernel = np.zeros((1, 3, 2, 2))
    kernel[0, 0, 0, 0], kernel[0, 1, 0, 1] = 1.0, -1.0
    side, _ = zoom_for(2, 2, round(0.75 * room_for(1)[0]))
    top, half = canvas.line_height(canvas.SMALL) + 4, side // 2
    rgb = mosaic(lambda m: views.draw_kernels(kernel, media=m))
    assert rgb[top, 4].tolist() == [255, 128, 128]
    assert rgb[top, half + 4].tolist() == [128, 0, 128]
    assert rgb[top + half, 4].tolist() == [128, 128, 128]
    bgr = mosaic(lambda m: views.draw_kernels(kernel, order="bgr", media=m))
    assert bgr[top, 4].tolist() == [128, 128, 255]


# scales and colours


def test_signed_values_lie_symmetric_about_zero() -> None:
    scale = normalize.scale_of([-1.0, 0.0, 3.0])
    assert (scale.low, scale.high, scale.signed) == (-3.0, 3.0, True)
    assert scale.place([-3.0, 0.0, 3.0]).tolist() == [0.0, 0.5, 1.0]
    assert "symmetric about zero, ±3" in scale.sentence


def test_clipping_ignores_outliers_and_says_so() -> None:
    data = np.append(np.linspace(0, 1, 1000), 1e6)
    scale = normalize.scale_of(data, clip=1.0)
    assert scale.high < 2
    assert scale.clipped == (False, True)
    assert "up to 1 % of the values beyond it" in scale.sentence
    assert scale.place(data)[-1] == 1.0
    assert normalize.scale_of(data).high == 1e6
    with pytest.raises(BadInput, match="per cent"):
        normalize.scale_of(data, clip=100)


@pytest.mark.parametrize(
    ("data", "low", "high"),
    [([5.0, 6.0], 5.0, 6.0), ([0.1, 6.0], 0.0, 6.0), ([-6.0, -0.1], -6.0, 0.0), ([2.0, 2.0], 2.0, 2.0)],
)
def test_one_sign_starts_at_zero_only_when_it_comes_near(data: list[float], low: float, high: float) -> None:
    scale = normalize.scale_of(data)
    assert (scale.low, scale.high, scale.signed) == (low, high, False)


@pytest.mark.parametrize(
    "data",
    [
        np.array([-1.7e308, 1.7e308]),
        np.array([np.nan, np.inf]),
        np.array([3, 7], np.uint8),
        np.array([True, False]),
        np.array([1 + 1j, 2]),
        np.array([1.5, -2], ml_dtypes.bfloat16),
        np.array([1, -2], ml_dtypes.int4),
        np.array([1.5, -2], ml_dtypes.float8_e4m3fn),
        np.array([], np.float32),
    ],
)
def test_any_numbers_have_a_scale(data: np.ndarray) -> None:
    placed = normalize.scale_of(data).place(data)
    assert placed.shape == data.shape
    finite = placed[np.isfinite(placed)]
    assert ((finite >= 0) & (finite <= 1)).all()


def lightness(table: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours (n, 3) in 0..255."""
    unit = table / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]
    return np.where(linear > 0.008856, 116 * np.cbrt(linear) - 16, 903.3 * linear)


def test_the_signed_map_is_equally_light_on_both_sides() -> None:
    light = lightness(colors.color_table("signed"))
    assert np.abs(light - light[::-1]).max() < 4
    assert light.argmax() in (127, 128)
    assert (np.diff(light[:128]) > -0.01).all()
    assert light[127] > 94


def test_colour_tables_are_named_and_cannot_be_changed() -> None:
    for name in colors.MAPS:
        table = colors.color_table(name)
        assert table.shape == (256, 3)
        assert not (table.astype(int) == colors.NOT_FINITE).all(axis=1).any()
    with pytest.raises(UnknownName, match="viridis"):
        colors.color_table("virids")
    with pytest.raises(ValueError, match="read-only"):
        colors.color_table("viridis")[0] = 0


def test_family_texts_are_readable_on_their_fills() -> None:
    def luminance(color: str) -> float:
        unit = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return float(
            np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
            @ [0.2126, 0.7152, 0.0722]
        )

    for fill in colors.FAMILY_COLORS.values():
        one, two = luminance(fill), luminance(colors.text_color(fill))
        assert (max(one, two) + 0.05) / (min(one, two) + 0.05) >= 4.5


# heat maps, tokens, bars, trees


def test_the_hottest_place_of_the_overlay_is_where_the_map_is_hottest() -> None:
    heat = np.zeros((4, 6))
    heat[1, 4] = 1.0
    photo = np.full((40, 60, 3), 128, np.uint8)
    group = svg_root(views.draw_heatmap(heat, photo, clip=0.0, media=SVG)).find(f"{SVG_NAMESPACE}g")
    assert group is not None
    third = group.findall(f"{SVG_NAMESPACE}image")[2]
    data = base64.b64decode(third.get("href", "").split(",")[1])
    panel = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    distance = ((panel - colors.color_table("viridis")[255]) ** 2).sum(axis=-1)
    y, x = np.unravel_index(distance.argmin(), distance.shape)
    assert abs(x / panel.shape[1] - 4.5 / 6) < 0.05
    assert abs(y / panel.shape[0] - 1.5 / 4) < 0.05


def test_channels_are_joined_as_asked() -> None:
    data = np.array([[[1.0, -2.0]], [[-3.0, 1.0]]])
    assert flatten_channels(data)[0].tolist() == [[-2.0, -1.0]]
    assert flatten_channels(data, "sum-abs")[0].tolist() == [[4.0, 3.0]]
    assert flatten_channels(data, "max-abs")[0].tolist() == [[3.0, 2.0]]
    assert "largest magnitude of 2 channels" in flatten_channels(data, "max-abs")[1]
    with pytest.raises(BadInput, match="Index the batch"):
        flatten_channels(data[None])


def test_a_heat_map_says_how_it_was_made() -> None:
    figure = views.draw_heatmap(
        np.zeros((3, 3)),
        PHOTO,
        method="cam",
        target="espresso",
        score=0.98641,
        layer="conv10",
        residual=-2e-7,
    )
    assert figure.title == "cam for espresso"
    for words in ("Target: espresso = 0.9864.", "Layer: conv10.", "Residual: −2e−7.", "zero everywhere"):
        assert words in figure.caption


def test_tokens_are_escaped_and_their_markers_become_spaces() -> None:
    page = views.draw_tokens(["Ġa", "b", "Ġ<script>"], [0.0, 1.0, -1.0]).data.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert re.search(r">a</span><span", page)  # 'b' continues the word
    assert tokens.readable("##s") == ("s", False)
    assert tokens.readable("▁on") == ("on", True)
    with pytest.raises(BadInput, match="2 tokens and 3 scores"):
        views.draw_tokens(["a", "b"], [1, 2, 3])


def test_bars_rank_the_largest_and_put_nan_last() -> None:
    figure = views.draw_bars([0.1, np.nan, 0.7, 0.2], ["a", "b", "c", "d"], top=3, media=SVG)
    shown = re.findall(r"<!-- ([a-d]) -->", figure.data.decode())
    assert shown == ["c", "d", "a"]
    assert "3 highest of 4 values" in figure.caption
    strongest = views.draw_bars([0.1, -9, 0.7], ["a", "b", "c"], order="strongest", top=2, media=SVG)
    assert re.findall(r"<!-- ([a-d]) -->", strongest.data.decode()) == ["b", "c"]


def test_a_tree_has_its_leaves_without_crossings_and_bad_linkage_is_refused() -> None:
    merges = np.array([[0, 2, 1.0], [1, 3, 2.0], [4, 5, 3.0]])
    assert leaf_order(merges, 4) == [0, 2, 1, 3]
    with pytest.raises(BadInput, match="merged exactly once"):
        views.draw_dendrogram([[0, 0, 1.0]], ["a", "b"])
    with pytest.raises(BadInput, match="for 3 labels"):
        views.draw_dendrogram([[0, 1, 1.0]], ["a", "b", "c"])


def test_a_picture_is_read_from_any_usual_array() -> None:
    assert as_picture(np.full((2, 2), 0.5)).tolist() == [[[128] * 3] * 2] * 2
    clear = np.array([[[10, 20, 30, 0]]], np.uint8)
    assert as_picture(clear).tolist() == [[[255, 255, 255]]]
    with pytest.raises(BadInput, match=r"\(3, 4, 5\)"):
        as_picture(np.zeros((3, 4, 5)))


# the fitting picture

AXES = ["n c h w", "n h w c", "n c d h w", "n c t", "n t f", "n heads q k", "n k", "k", "c h w", "t f", "h w"]


@pytest.mark.parametrize("axes", AXES)
def test_named_axes_have_a_picture(axes: str) -> None:
    shape = [
        {"n": 2, "c": 3, "h": 4, "w": 5, "d": 3, "t": 6, "f": 7, "heads": 2, "q": 4, "k": 4}[a]
        for a in axes.split()
    ]
    figure = views.picture_of(values(*shape), axes=axes, item=1 if axes.startswith("n") else 0, title=axes)
    assert ("Item 1 of 2" in figure.caption) == axes.startswith("n")


def test_channels_last_shows_the_same_maps() -> None:
    maps = values(1, 3, 4, 5)
    last = views.picture_of(maps.transpose(0, 2, 3, 1), axes="n h w c")
    assert last.data == views.picture_of(maps).data


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(
            [np.float32, np.float64, np.int8, np.bool_, np.uint64, np.complex64, np.dtype("<U3"), np.float16]
        ),
        hnp.array_shapes(min_dims=0, max_dims=7, min_side=0, max_side=4),
    )
)
def test_no_shape_or_type_is_an_error(array: np.ndarray) -> None:
    figure = views.picture_of(array, title=shape_text(array.shape))
    assert figure.data.startswith(b"\x89PNG")


def test_values_near_the_largest_float_are_drawn() -> None:
    array = np.array([[0, 3e307], [3e307, 3e307]])
    assert views.picture_of(array).data.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 40000), (1, 1000), (3, 1, 300), (2000, 3000), (1, 2, 700, 900), (1, 512, 1, 1)]
)
def test_large_and_thin_arrays_stay_a_page(shape: tuple[int, ...]) -> None:
    figure = views.picture_of(values(*shape))
    assert figure.width < 2000
    assert figure.height < 2000


def test_the_wrong_number_of_axes_or_item_is_said() -> None:
    with pytest.raises(BadInput, match="name 2 axes, the array has 3"):
        views.picture_of(values(2, 3, 4), axes="n k")
    with pytest.raises(BadInput, match="item 5 does not exist"):
        views.picture_of(values(2, 3, 4, 5), item=5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (-2.25, "−2.25"),
        (1234567.0, "1.23e6"),
        (12345.0, "12345"),
        (1e-7, "1e−7"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_shapes_are_written_with_times_signs() -> None:
    assert (shape_text((1, 3, 224)), shape_text(())) == ("1×3×224", "scalar")
