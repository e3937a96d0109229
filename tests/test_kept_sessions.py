"""How many sessions does a budget let live, how many are made, and is the sum never above it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import inspector
from inspector.execution import capture, prepare, random_feeds, runner
from inspector.execution.runner import WORKSPACE, Runner
from inspector.execution.shelf import Shelf

MB = 1_000_000


@pytest.fixture
def batch(classifier: inspector.Model) -> dict[str, np.ndarray[Any, Any]]:
    return {k: np.repeat(v, 4, 0) for k, v in random_feeds(classifier, seed=2).items()}


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions count for what one on a GPU takes beside its weights."""
    monkeypatch.setattr(runner, "SESSION", WORKSPACE)


def test_the_longest_unused_goes_first_and_before_the_new_one_comes() -> None:
    shelf: Shelf[str] = Shelf(10)
    for key, size in (("a", 4), ("b", 4)):
        shelf.make_room(size)
        shelf.put(key, key.upper(), size)
    assert shelf.get("a") == "A"
    shelf.make_room(5)
    assert (shelf.get("a"), shelf.get("b"), shelf.nbytes) == ("A", None, 4)
    shelf.make_room(10, keep="a")
    assert shelf.get("a") == "A"
    shelf.make_room(10)
    assert (len(shelf), shelf.nbytes, shelf.made) == (0, 0, 2)
    assert Shelf[str]().fits(1 << 60)


def bounded(watched: Runner) -> Runner:
    """The runner, whose every session is now checked when it is opened: all of them and a run's values."""
    opened, load = watched._open, watched._loads

    def check(*arguments: Any) -> Any:
        assert watched.shelf.limit is not None
        assert watched.shelf.nbytes + watched._overhead + min(load) <= watched.shelf.limit
        return opened(*arguments)

    watched._open = check  # pyright: ignore[reportAttributeAccessIssue]
    return watched


def streamed(one: Runner, feeds: dict[str, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for index, (found, _) in enumerate(one.stream(feeds)):
        assert one.shelf.limit is not None
        assert one.shelf.nbytes + one._loads[index] <= one.shelf.limit
        yield from ((key, np.array(value)) for key, value in found.items())


def test_streams_in_a_row_keep_the_sessions_that_fit(classifier: inspector.Model, as_on_a_gpu: None) -> None:
    """The parts come in a circle: if the longest unused went first, none would be met again."""
    batch = random_feeds(classifier, seed=2)
    expected = capture(classifier, batch, strategy="all")
    prepared = prepare(classifier, batch, budget=300 * MB, strategy="segments")
    one, made = bounded(prepared.runner), list[int]()
    for _ in range(3):
        for key, value in streamed(one, batch):
            assert value.tobytes() == expected[key].tobytes(), key
        made.append(one.shelf.made)
    parts = len(prepared.plan.segments)
    assert made[0] == parts
    again = made[1] - made[0]
    assert made[2] - made[1] == again <= parts - 3  # the same ones stay from pass to pass
    wide = prepare(classifier, batch, budget=300 * MB + parts * WORKSPACE, strategy="segments").runner
    for _ in range(2):
        list(wide.stream(batch))
    assert wide.shelf.made == len(wide.plan.segments)  # what fits is made once


def test_replays_make_a_session_twice_at_most_and_stay_in_bounds(
    classifier: inspector.Model, batch: dict[str, Any], as_on_a_gpu: None
) -> None:
    expected = capture(classifier, batch, strategy="all")
    got = capture(classifier, batch, budget=60 * MB, strategy="checkpoint")
    one, parts = bounded(got.runner), len(got.plan.segments)
    for key in expected:
        assert got[key].tobytes() == expected[key].tobytes(), key
        home = one._segment_of(key)
        load = one._loads[home[0]] if home is not None else 0
        assert one.shelf.limit is not None
        assert one.shelf.nbytes + load <= one.shelf.limit
    assert one.shelf.made <= 1 + 2 * parts  # up to the value that was asked for, then all of the part


def test_a_budget_makes_few_parts_and_says_what_they_hold(
    classifier: inspector.Model, batch: dict[str, Any]
) -> None:
    """A session costs memory as well: parts are no smaller than the budget asks for."""
    total = prepare(classifier, batch).plan.nbytes
    few, many = (prepare(classifier, batch, budget=total // n, sweep=True).plan for n in (2, 4))
    assert 4 <= len(few.segments) < len(many.segments) < 60
    for plan in (few, many):
        said = next(reason for reason in plan.reasons if "are held at once" in reason)
        assert float(said.split(" MB")[0]) * MB <= plan.budget
    small = prepare(classifier, batch, budget=total // 50, strategy="checkpoint").plan
    assert any("more than the budget: strategy segments" in reason for reason in small.reasons)


def test_replayed_values_leave_no_memory_behind(classifier: inspector.Model) -> None:
    """Every part would otherwise keep an arena as large as its values: together all there are."""
    batch = {k: np.repeat(v, 16, 0) for k, v in random_feeds(classifier).items()}
    got = capture(classifier, batch, strategy="checkpoint")
    before = resident()
    for key in got:
        assert got[key] is not None
    assert resident() - before < got.plan.nbytes / 3


def resident() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))
