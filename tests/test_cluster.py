"""Do data-set jobs on a Ray cluster give the same bits as in one process, also after a worker's death?"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import inspector
from inspector.errors import DeviceUnavailable, UnknownName
from inspector.execution import data_statistics
from inspector.execution.engines import run_each, run_parts
from inspector.methods import attribute_folder, dissection
from inspector.methods.dissection import strongest
from inspector.progress import Step, listening

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    module = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    module.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield module
    module.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos")
    for example in dissection.synthetic_concepts(7, 64).stream():
        assert example.picture is not None
        Image.fromarray(example.picture).save(path / f"{example.name}.png")
    (path / "torn.png").write_bytes(b"x")
    return path


def test_top_images_are_the_same_bits(ray: Any, classifier: inspector.Model, folder: Path) -> None:
    here, there = (
        dissection.top_images(classifier, folder, "relu_4", k=3, engine=engine)
        for engine in ("embedded", "ray")
    )
    assert here.hits == there.hits
    assert here.images == there.images == 7
    assert here.skipped == there.skipped


def test_an_interrupted_ranking_goes_on(
    ray: Any, classifier: inspector.Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with another engine than it began with."""
    monkeypatch.setattr(strongest, "SAVE_EVERY", 1)
    whole = dissection.top_images(classifier, folder, "relu_4", k=3)
    for engines in (("ray", "ray"), ("embedded", "ray"), ("ray", "embedded")):
        state = tmp_path / f"{'-'.join(engines)}.npz"
        with pytest.raises(Stopped), listening(stop_at(4)):
            dissection.top_images(classifier, folder, "relu_4", k=3, engine=engines[0], state=state)
        resumed = dissection.top_images(classifier, folder, "relu_4", k=3, engine=engines[1], state=state)
        assert resumed.hits == whole.hits
        assert resumed.images == whole.images == 7
        assert resumed.skipped == whole.skipped
        assert resumed.notes == ("4 images were ranked by an earlier run.",)


def test_a_ranking_survives_a_killed_worker(ray: Any, classifier: inspector.Model, folder: Path) -> None:
    killed: list[int] = []
    own = ray.remote(lambda: os.getpid())

    def kill(step: Step) -> None:
        if step.done == 1 and not killed:
            killed.append(ray.get(own.remote()))
            os.kill(killed[0], signal.SIGKILL)

    with listening(kill):
        there = dissection.top_images(classifier, folder, "relu_4", k=3, engine="ray")
    assert killed
    assert there.hits == dissection.top_images(classifier, folder, "relu_4", k=3).hits
    assert there.images == 7


class Stopped(Exception):
    pass


def stop_at(count: int) -> Callable[[Step], None]:
    def listener(step: Step) -> None:
        if step.done == count:
            raise Stopped

    return listener


def test_dissections_are_the_same_bits(ray: Any, classifier: inspector.Model) -> None:
    labelled = dissection.synthetic_concepts(6, 64)
    here, there = (
        dissection.dissect_layer(classifier, labelled, "relu_4", engine=engine)
        for engine in ("embedded", "ray")
    )
    np.testing.assert_array_equal(here.thresholds, there.thresholds)
    np.testing.assert_array_equal(here.iou, there.iou)
    assert here.iou.max() > 0


def test_statistics_are_the_same_bits_and_go_on(
    ray: Any, classifier: inspector.Model, folder: Path, tmp_path: Path
) -> None:
    here, there = (
        data_statistics(classifier, folder, ["relu", "cat_4"], engine=engine)
        for engine in ("embedded", "ray")
    )
    assert here.files == there.files == 7
    assert here.skipped == there.skipped
    assert here.recipe == there.recipe
    assert list(here.units) == list(there.units)
    for key, unit in here.units.items():
        for name in ("count", "mean", "m2", "minimum", "maximum", "zeros", "histogram", "images"):
            np.testing.assert_array_equal(
                getattr(unit.counts, name), getattr(there.units[key].counts, name), err_msg=name
            )
    state = tmp_path / "state.npz"
    data_statistics(classifier, folder, "relu", engine="ray", state=state)
    again = data_statistics(classifier, folder, "relu", engine="ray", state=state)
    assert "8 files were counted" in again.notes[0]


@pytest.mark.parametrize("method", ["grad-cam", "gradient"])
def test_maps_of_a_folder_are_the_same_bits(
    ray: Any, classifier: inspector.Model, folder: Path, tmp_path: Path, method: str
) -> None:
    here, there = (
        attribute_folder(classifier, folder, tmp_path / engine, method, engine=engine)
        for engine in ("embedded", "ray")
    )
    assert here == there
    assert len(here.records) == 7
    for record in here.records:
        for name in (record["map"], record["picture"]):
            assert (tmp_path / "embedded" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes()


def test_mistakes_come_back_from_a_task_as_themselves(
    ray: Any, classifier: inspector.Model, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName, match="relus"):
        attribute_folder(classifier, folder, tmp_path, layer="relus", engine="ray")


def test_who_stops_early_stops_the_tasks(ray: Any, tmp_path: Path) -> None:
    results = run_each("ray", touching(tmp_path), list(range(40)), "Touching")
    assert [next(results), next(results)] == [0, 1]
    results.close()  # pyright: ignore[reportAttributeAccessIssue]  # a generator
    assert len(list(tmp_path.iterdir())) < 20


def touching(folder: Path) -> Callable[[int], int]:
    def work(number: int) -> int:
        (folder / str(number)).touch()
        return number

    return work


def dying(marker: Path) -> Callable[[int, int], int]:
    def work(part: int, parts: int) -> int:
        if part == 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return part * parts

    return work


def test_a_killed_worker_is_survived(ray: Any, tmp_path: Path) -> None:
    found = run_parts("ray", dying(tmp_path / "died"), "Counting")
    assert (tmp_path / "died").exists()
    assert found == [part * len(found) for part in range(len(found))]


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UnknownName, match="ray"):
        run_parts("rai", lambda part, parts: part, "Counting")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:door"])
def test_a_cluster_that_does_not_answer_is_told_at_once(address: str) -> None:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    ray.shutdown()
    with pytest.raises(DeviceUnavailable, match="cannot be reached"):
        run_parts(f"ray:{address}", lambda part, parts: part, "Counting")
