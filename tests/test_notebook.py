"""Does a notebook show answers and the page: small, escaped, without a request, live where it can be?"""

from __future__ import annotations

import inspect
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper
from rich.table import Table

import inspector
from inspector.actions.registry import actions
from inspector.cards import MAX_ROWS, card


class _Markup(HTMLParser):
    """Counts elements, and whether every one that opens is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("img", "br", "input", "meta", "link"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def _shown(answer: Any, most: int = 4_500_000) -> str:
    text = answer._repr_html_()
    found = _Markup(text)
    assert len(text) < most
    assert not {"script", "iframe", "link", "style"} & set(found.tags)
    assert all(address.startswith("data:") for address in found.addresses)
    assert not re.search(r"(?<![-\w])(color|background):\s*(#|black|white)", text), (
        "colours are the notebook's"
    )
    return text


def test_a_model_shows_itself(classifier: inspector.Model) -> None:
    text = _shown(classifier, 5_000)
    assert "squeezenet1_1.onnx" in text
    assert "batch×3×224×224" in text


def test_a_summary_is_a_table(classifier: inspector.Model) -> None:
    text = _shown(inspector.summarize(classifier), 100_000)
    assert text.count("<tr") > 10
    assert "1,235,496" in text


def test_features_and_answers_show_their_pictures(classifier: inspector.Model, fixtures: Path) -> None:
    picture = str(fixtures / "coffee.png")
    assert "espresso" in _shown(inspector.predict(classifier, picture))
    text = _shown(inspector.features(classifier, picture, values=["relu*"]))
    assert "data:image/png" in text


def test_a_capture_lists_its_values(classifier: inspector.Model, fixtures: Path) -> None:
    found = inspector.capture(classifier, fixtures / "coffee.png", values="relu*")
    assert repr(found) == "<Capture of 'squeezenet1_1.onnx': 26 values of the exact graph, on cpu>"
    text = _shown(found, 30_000)
    assert text.count("<tr") == 27
    assert "1×64×111×111" in text
    assert f"{found.statistics['relu'].maximum:.4g}" in text
    bounded = inspector.capture(classifier, fixtures / "coffee.png", budget=1)
    assert "1×1000×13×13" in _shown(bounded, 60_000)


def test_an_attribution_shows_map_and_facts(classifier: inspector.Model, fixtures: Path) -> None:
    text = _shown(inspector.attribute(classifier, fixtures / "coffee.png", method="grad-cam"))
    assert "espresso" in text
    assert text.count("<img") == 1


def test_a_comparison_shows_its_verdict(classifier: inspector.Model) -> None:
    assert "same network" in _shown(inspector.compare(classifier, classifier))


def test_every_action_answers_with_something_to_show() -> None:
    for name, action in actions().items():
        module = sys.modules[action.function.__module__]
        named = str(inspect.signature(action.function).return_annotation)
        answer = getattr(inspector.model, named) if name == "convert" else getattr(module, named)
        assert callable(getattr(answer, "_repr_html_", None)), name


HOSTILE = "<img src=x onerror=alert(1)>[/b][red]"


def _answers(model: inspector.Model) -> list[Any]:
    return [
        inspector.summarize(model),
        inspector.extract(model, begin=["x"], end=["y"]),
        inspector.overlay(model),
    ]


def test_hostile_names_are_only_text() -> None:
    node = helper.make_node("Relu", ["x"], ["y"], name=HOSTILE)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([node], HOSTILE, ends[:1], ends[1:])
    model = inspector.open_model(onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))
    for answer in (model, *_answers(model)):
        text = _shown(answer)
        assert "<img" not in text
    for answer in (model, inspector.summarize(model), inspector.overlay(model)):
        assert "&lt;img src=x onerror=alert(1)&gt;[/b][red]" in _shown(answer)


def test_long_tables_are_cut_and_say_so() -> None:
    table = Table("n")
    for number in range(MAX_ROWS + 5):
        table.add_row(str(number))
    text = card(table)
    assert text.count("<tr") == MAX_ROWS + 1
    assert "and 5 more rows" in text
