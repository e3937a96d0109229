"""Does the engine give what the onnx package demands of every operator?"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from operator_suite import Case, node_cases, outcome, stored_cases

ROWS = tomllib.loads(Path(__file__).with_name("expectations.toml").read_text())
SHAPE_ONLY = {name for row in ROWS["shape_only"] for name in row["cases"]}
BY_BODY = {name for row in ROWS["by_body"] for name in row["cases"]}
UNSUPPORTED = {name for row in ROWS["unsupported"] for name in row["cases"]}
SUITE = 2033
"""Cases in onnx 1.23.2; another release may have more, never fewer."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterable[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
    torch.set_num_threads(threads)


def failures(cases: Iterable[Case], **options: Any) -> dict[str, str]:
    found = {c.name: outcome(c, shape_only=c.name in SHAPE_ONLY, **options) for c in cases}
    return {name: problem for name, problem in found.items() if problem}


def test_the_suite_is_whole() -> None:
    names = [case.name for case in (*node_cases(), *stored_cases())]
    assert len(names) == len(set(names)) >= SUITE
    assert set(names) >= SHAPE_ONLY | UNSUPPORTED


def test_node_cases() -> None:
    found = failures(node_cases())
    assert {n: p for n, p in found.items() if n not in UNSUPPORTED} == {}
    assert set(found) == UNSUPPORTED & {case.name for case in node_cases()}


def test_cases_with_inputs_as_initializers() -> None:
    found = failures((*node_cases(), *(case for case in stored_cases() if case.group != "light")), fixed=True)
    assert {n: p for n, p in found.items() if n not in UNSUPPORTED} == {}


def test_function_bodies_agree_with_our_own_functions() -> None:
    """Two independent implementations of every operator that ONNX also defines by others."""
    found = failures(node_cases(), bodies=True)
    assert {n: p for n, p in found.items() if n not in UNSUPPORTED | BY_BODY} == {}
    assert set(found) >= BY_BODY


@pytest.mark.parametrize("group", ["pytorch-converted", "pytorch-operator", "simple"])
def test_stored_cases(group: str) -> None:
    cases = [case for case in stored_cases() if case.group == group]
    found = failures(cases)
    assert {n: p for n, p in found.items() if n not in UNSUPPORTED} == {}
    assert set(found) == UNSUPPORTED & {case.name for case in cases}


def test_light_models() -> None:
    assert failures(case for case in stored_cases() if case.group == "light") == {}


def test_a_disturbed_engine_fails_nearly_everything() -> None:
    """An output off by one percent must be noticed, or the suite says nothing."""
    quick = [case for case in (*node_cases(), *stored_cases()) if case.group != "light"]
    every = [case for case in quick if case.name not in SHAPE_ONLY]
    passed = len(every) - len(failures(every, change=disturbed))
    assert passed < 0.01 * len(every)


def disturbed(value: Any) -> Any:
    if value is None:
        return np.zeros(1)
    if isinstance(value, list):
        return [disturbed(item) for item in value] if value else [np.zeros(1)]
    if value.dtype.kind in "OUS":
        return np.vectorize(lambda s: f"{s}!", otypes=[object])(value) if value.size else value
    if value.dtype.kind == "b":
        return ~value
    if value.dtype.kind in "iu" or value.dtype.name.startswith(("int", "uint")):
        wider = value.astype(np.int64) + 1
        return wider.astype(value.dtype)
    wide = np.complex128 if value.dtype.kind == "c" else np.float64
    x = value.astype(wide)
    if value.dtype.itemsize < 2:
        return np.where(x == 1, 2, 1).astype(value.dtype)
    return np.where(x.real < 0, x * 1.01 - 0.01, x * 1.01 + 0.01).astype(value.dtype)
