"""What does the server give the views besides structure? Labels, raw maps, and pictures of running work."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import inspector
from inspector.actions.registry import find_action
from inspector.progress import Step
from inspector.server import Address, Workplace, start
from inspector.server.jobs import Job
from inspector.server.recents import Recents


def _ask(client: httpx.Client, action: str, **call: Any) -> str:
    made = client.post(f"/api/actions/{action}", json=call)
    assert made.status_code == 202, made.text
    return made.json()["job"]


def _finish(client: httpx.Client, job: str) -> dict[str, Any]:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        record = client.get(f"/api/jobs/{job}").json()
        if record["state"] in ("done", "failed", "cancelled"):
            return record
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_labels_are_the_models_own_or_those_of_a_file(client: httpx.Client, workplace: Workplace) -> None:
    own = client.get(f"/api/models/{workplace.first[0]}/labels").json()["labels"]
    assert (len(own), own[967]) == (1000, "espresso")
    sent = client.post("/api/files?name=names.txt", content=b"cat\ndog\n").json()["file"]
    given = client.get(f"/api/models/{workplace.first[0]}/labels?file={sent}").json()["labels"]
    assert given == ["cat", "dog"]
    assert client.get(f"/api/models/{workplace.first[0]}/labels?file=/etc/passwd").status_code == 404


def test_raw_maps_leave_as_arrays(
    client: httpx.Client, workplace: Workplace, classifier: inspector.Model, fixtures: Path
) -> None:
    job = _ask(client, "attribute", model=workplace.first[0], input=[f"file:{workplace.input}"],
               method=["gradient", "grad-cam"], target=["967"])  # fmt: skip
    assert _finish(client, job)["state"] == "done"
    direct = find_action("attribute").function(
        classifier, [str(fixtures / "coffee.png")], method=["gradient", "grad-cam"], target=["967"]
    )
    for number, made in enumerate(direct.maps):
        answer = client.get(f"/api/tensors/jobs/{job}/data?key={number}")
        shape = tuple(map(int, answer.headers["x-shape"].split(",")))
        got = np.frombuffer(answer.content, answer.headers["x-dtype"]).reshape(shape)
        assert np.array_equal(got, made.cells())
        assert np.ptp(got) > 0
    picture = client.get(f"/api/tensors/jobs/{job}/data?key=picture")
    assert picture.headers["x-shape"].endswith(",3")
    assert client.get(f"/api/tensors/jobs/{job}/data?key=9").status_code == 404
    assert client.get("/api/tensors/jobs/none/data?key=0").status_code == 404


def test_running_work_shows_its_picture(client: httpx.Client, workplace: Workplace) -> None:
    job = _ask(client, "maximize", model=workplace.first[0], objective=["logit:967"], steps=2000)
    frames: set[bytes] = set()
    until = time.monotonic() + 60
    while len(frames) < 2 and time.monotonic() < until:
        answer = client.get(f"/api/jobs/{job}/frame")
        assert answer.status_code in (200, 204)
        if answer.status_code == 200:
            assert answer.headers["content-type"] == "image/png"
            frames.add(answer.content)
        time.sleep(0.1)
    client.delete(f"/api/jobs/{job}")
    assert len(frames) == 2, "the picture grows"
    assert _finish(client, job)["state"] == "cancelled"


def test_a_frame_needs_the_token(address: Address) -> None:
    assert httpx.get(f"{address.origin}/api/jobs/x/frame", trust_env=False).status_code == 401


def test_pictures_are_taken_only_when_wanted_and_not_more_often_than_said() -> None:
    taken: list[int] = []

    def picture() -> Any:
        taken.append(threading.get_ident())
        return np.zeros((2, 2, 3), np.uint8)

    job = Job("id", "work")
    for number in range(50):
        job.listen(Step("step", number, 50, picture))
    assert taken == [], "nobody has asked"
    for number in range(50):
        job.watched = True
        job.listen(Step("step", number, 50, picture))
    assert taken == [threading.get_ident()], "one in a quarter of a second, by the working thread"


def test_recent_files_are_remembered_opened_by_id_and_forgotten(fixtures: Path, tmp_path: Path) -> None:
    file = tmp_path / "state" / "recent.json"
    with Workplace() as made:
        made.recents = Recents(file)
        made.recents.add(fixtures / "squeezenet1_1.onnx")
        made.recents.add(tmp_path / "gone.onnx")
        with start(made) as found:
            headers = {"authorization": f"Bearer {found.token}"}
            with httpx.Client(base_url=found.origin, headers=headers, trust_env=False) as client:
                (row,) = client.get("/api/recents").json()["recents"]
                assert row["name"] == "squeezenet1_1.onnx"
                assert not made.models, "nothing is opened by itself"
                asked = client.post("/api/models", json={"recent": row["recent"]})
                assert _finish(client, asked.json()["job"])["state"] == "done"
                assert len(made.models) == 1
                path = str(fixtures / "squeezenet1_1.onnx")
                assert client.post("/api/models", json={"recent": path}).status_code == 404
                assert client.delete("/api/recents").json() == {"recents": []}
                assert not file.exists()
                assert client.post("/api/models", json={"recent": row["recent"]}).status_code == 404


@pytest.mark.parametrize("text", ["", "[1]", '{"/a": "x"}', "{"])
def test_a_spoilt_list_of_recent_files_is_an_empty_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "recent.json"
    file.write_text(text)
    assert Recents(file).rows() == []


def test_recent_files_are_the_newest_twelve(tmp_path: Path) -> None:
    known = Recents(tmp_path / "recent.json")
    for number in range(14):
        (tmp_path / f"{number}.onnx").touch()
        known.add(tmp_path / f"{number}.onnx")
    known.add(tmp_path / "5.onnx")
    names = [row["name"] for row in known.rows()]
    assert len(names) == 12
    assert names[:2] == ["5.onnx", "13.onnx"]
