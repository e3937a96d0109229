"""Whom does the server answer, what does it refuse, and does it lose anything under load?"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import inspector
from inspector.actions.registry import actions
from inspector.server import Address, Workplace, start

LIMIT = 1 << 20


def _small() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "w")
    node = helper.make_node("Gemm", ["x", "w"], ["y"], name="head", transB=1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    return helper.make_model(
        helper.make_graph([node], "g", [x], [y], [weight]), opset_imports=[helper.make_opsetid("", 20)]
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    onnx.save(_small(), path)
    with Workplace() as made:
        made.first = (made.add(path),)
        yield made


@pytest.fixture(scope="module")
def address(workplace: Workplace) -> Iterator[Address]:
    with start(workplace, max_upload=LIMIT) as found:
        yield found


def _finish(client: httpx.Client, started: httpx.Response) -> dict[str, Any]:
    assert started.status_code == 202, started.text
    job = started.json()["job"]
    until = time.monotonic() + 60
    while time.monotonic() < until:
        record = client.get(f"/api/jobs/{job}").json()
        if record["state"] in ("done", "failed", "cancelled"):
            return record
        time.sleep(0.02)
    raise AssertionError("the job did not end")


def _raw(address: Address, path: str, headers: list[tuple[str, bytes]], method: str = "GET") -> int:
    link = http.client.HTTPConnection("127.0.0.1", address.port, timeout=20)
    link.putrequest(method, path, skip_host=True)
    for name, value in headers:
        link.putheader(name, value)
    link.endheaders()
    status = link.getresponse().status
    link.close()
    return status


ROWS = {
    # name: (path, host, extra headers, with token, status)
    "page from the terminal": ("/", "127.0.0.1", {"Sec-Fetch-Site": "none"}, False, 200),
    "page from a notebook's link": ("/", "localhost", {"Sec-Fetch-Site": "cross-site"}, False, 200),
    "page from another port": ("/", "127.0.0.1", {"Sec-Fetch-Site": "same-site"}, False, 200),
    "page's own fetch": ("/api/models", "127.0.0.1", {"Sec-Fetch-Site": "same-origin"}, True, 200),
    "a program with the token": ("/api/models", "127.0.0.1", {}, True, 200),
    "IPv6 name": ("/api/models", "[::1]", {}, True, 200),
    "capital host": ("/api/models", "LOCALHOST", {}, True, 200),
    "no token": ("/api/models", "127.0.0.1", {}, False, 401),
    "token in the address": ("/api/models?token=TOKEN", "127.0.0.1", {}, False, 401),
    "wrong token": ("/api/models", "127.0.0.1", {"Authorization": "Bearer x"}, False, 401),
    "token not ASCII": ("/api/models", "127.0.0.1", {"Authorization": b"Bearer \xff\xfe\xc3"}, False, 401),
    "foreign host": ("/", "evil.example", {}, True, 421),
    "rebound host on the api": ("/api/models", "evil.example", {}, True, 421),
    "foreign origin": ("/api/models", "127.0.0.1", {"Origin": "http://evil.example"}, True, 403),
    "other port's origin": ("/api/models", "127.0.0.1", {"Origin": "http://127.0.0.1:1"}, True, 403),
    "null origin": ("/api/models", "127.0.0.1", {"Origin": "null"}, True, 403),
    "cross-site fetch": ("/api/models", "127.0.0.1", {"Sec-Fetch-Site": "cross-site"}, True, 403),
    "same-site fetch": ("/api/models", "127.0.0.1", {"Sec-Fetch-Site": "same-site"}, True, 403),
    "traversal": ("/../../../../etc/passwd", "127.0.0.1", {}, True, 404),
    "traversal, encoded": ("/%2e%2e/%2e%2e/etc/passwd", "127.0.0.1", {}, True, 404),
    "traversal by file id": ("/api/files/..%2f..%2fetc%2fpasswd", "127.0.0.1", {}, True, 404),
    "unknown file": ("/api/files/abc", "127.0.0.1", {}, True, 404),
    "unknown model": ("/api/models/abc", "127.0.0.1", {}, True, 404),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_guard(address: Address, row: tuple[str, str, dict[str, Any], bool, int]) -> None:
    path, host, extra, with_token, status = row
    headers = [("Host", f"{host}:{address.port}".encode())]
    headers += [(name, v if isinstance(v, bytes) else v.encode()) for name, v in extra.items()]
    if with_token:
        headers.append(("Authorization", f"Bearer {address.token}".encode()))
    assert _raw(address, path.replace("TOKEN", address.token), headers) == status


def test_host_must_be_there_once_and_with_its_port(address: Address) -> None:
    good = f"127.0.0.1:{address.port}".encode()
    assert _raw(address, "/", [("Host", b"127.0.0.1")]) == 421
    assert _raw(address, "/", [("Host", good), ("Host", good)]) in (400, 421)


def test_every_answer_is_sealed(address: Address, client: httpx.Client) -> None:
    for path in ("/", "/page.js", "/api/models", "/api/none", "/none"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert not any(name.startswith("access-control") for name in headers)
        assert "server" not in headers
    assert client.get("/api/models").headers["cache-control"] == "no-store"
    assert address.token not in client.get("/").text


def test_websockets_are_closed(address: Address) -> None:
    with socket.create_connection(("127.0.0.1", address.port), timeout=10) as link:
        link.sendall(
            f"GET /api/models HTTP/1.1\r\nHost: 127.0.0.1:{address.port}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nAuthorization: Bearer {address.token}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert b" 101 " not in link.recv(200)


def test_only_this_machine_is_bound(address: Address) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
        link.settimeout(5)
        assert link.connect_ex(("127.0.0.2", address.port)) != 0


def test_every_action_has_a_route_and_a_schema(client: httpx.Client) -> None:
    found = client.get("/api/actions").json()
    assert set(found) == set(actions())
    for name, action in actions().items():
        properties = found[name]["properties"]
        assert set(properties) == {p.name for p in action.parameters} - {"trust", "factory"}


def test_an_action_gives_what_python_gives(client: httpx.Client, workplace: Workplace) -> None:
    digest = workplace.first[0]
    record = _finish(client, client.post("/api/actions/summarize", json={"model": digest, "depth": 1}))
    assert record["state"] == "done", record["error"]
    expected = inspector.summarize(workplace.model(digest), depth=1).to_dict()
    assert record["result"] == json.loads(json.dumps(expected))


def test_pictures_of_an_action_are_served(client: httpx.Client, workplace: Workplace) -> None:
    call = {"model": workplace.first[0], "input": ["random"]}
    record = _finish(client, client.post("/api/actions/predict", json=call))
    assert record["state"] == "done", record["error"]
    for name, _, _ in record["figures"]:
        picture = client.get(f"/api/jobs/{record['job']}/figures/{name}")
        assert picture.status_code == 200
        assert picture.content


PATHS = ("/etc/passwd", "../secret.png", "x=/etc/passwd", "C:\\secret.npy", "pyproject.toml", "x\0y", ".")


@pytest.mark.parametrize("path", PATHS)
def test_no_path_from_the_client_is_opened(client: httpx.Client, workplace: Workplace, path: str) -> None:
    answer = client.post("/api/actions/predict", json={"model": workplace.first[0], "input": [path]})
    assert answer.status_code == 400
    assert "path" in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "call", "status"),
    [
        ("predict", {"model": "/etc/passwd"}, 404),
        ("convert", {"source": "file:none", "trust": True}, 400),
        ("convert", {"source": "/etc/passwd"}, 400),
        ("predict", {"model": None, "input": ["random"]}, 400),
        ("summarize", {"model": "D", "depth": "deep"}, 400),
        ("summarize", {"model": "D", "colour": 1}, 404),
        ("none", {}, 404),
    ],
)
def test_bad_calls_are_told(
    client: httpx.Client, workplace: Workplace, name: str, call: dict[str, Any], status: int
) -> None:
    call = {k: workplace.first[0] if v == "D" else v for k, v in call.items()}
    answer = client.post(f"/api/actions/{name}", json=call)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_broken_bodies_are_told(client: httpx.Client, body: bytes) -> None:
    assert client.post("/api/runs", content=body).status_code == 400


def test_uploads_get_names_of_the_servers_own(client: httpx.Client, workplace: Workplace) -> None:
    name = "../../../tmp/evil name.onnx"
    answer = client.post("/api/files", params={"name": name}, content=_small().SerializeToString())
    stored = workplace.file(answer.json()["file"])
    assert stored.path.is_relative_to(workplace.folder)
    assert stored.path.name == "file.onnx"
    assert stored.name == "evil name.onnx"
    opened = _finish(client, client.post("/api/models", json={"file": stored.id}))
    assert opened["result"]["model"] == workplace.first[0], "equal bytes have one digest"


def test_too_large_uploads_leave_nothing(client: httpx.Client, workplace: Workplace) -> None:
    before = sorted(workplace.folder.rglob("*"))
    assert client.post("/api/files", content=b"0" * (LIMIT + 1)).status_code == 413
    assert sorted(workplace.folder.rglob("*")) == before


def test_killed_uploads_leave_nothing(address: Address, workplace: Workplace) -> None:
    before = sorted(workplace.folder.rglob("*"))
    with socket.create_connection(("127.0.0.1", address.port)) as link:
        link.sendall(
            f"POST /api/files HTTP/1.1\r\nHost: 127.0.0.1:{address.port}\r\nContent-Length: 500000\r\n"
            f"Authorization: Bearer {address.token}\r\n\r\n".encode()
            + b"1" * 1000
        )
        time.sleep(0.3)
    until = time.monotonic() + 10
    while sorted(workplace.folder.rglob("*")) != before and time.monotonic() < until:
        time.sleep(0.05)
    assert sorted(workplace.folder.rglob("*")) == before


def test_bad_files_are_told_and_the_server_lives(client: httpx.Client) -> None:
    stored = client.post("/api/files", params={"name": "x.onnx"}, content=b"no model").json()["file"]
    record = _finish(client, client.post("/api/models", json={"file": stored}))
    assert record["state"] == "failed"
    assert record["error"]
    assert client.get("/api/models").status_code == 200


def test_faults_name_files_as_the_user_does(client: httpx.Client, workplace: Workplace) -> None:
    for name, content in (("holiday.png", b"x"), ("broken.onnx", b"no model")):
        stored = client.post("/api/files", params={"name": name}, content=content).json()["file"]
        asked = (
            ("/api/models", {"file": stored}) if name.endswith("onnx") else ("/api/runs", {"input": stored})
        )
        call = asked[1] | {"model": workplace.first[0]}
        record = _finish(client, client.post(asked[0], json=call))
        assert record["state"] == "failed"
        assert name in record["error"]
        assert str(workplace.folder) not in record["error"]


def test_tensors_arrive_raw_and_in_parts(client: httpx.Client, workplace: Workplace) -> None:
    base = f"/api/tensors/models/{workplace.first[0]}"
    part = client.get(f"{base}/data", params={"key": "w", "index": "1:,::2"})
    assert part.headers["x-shape"] == "2,2"
    found = np.frombuffer(part.content, part.headers["x-dtype"]).reshape(2, 2)
    assert found.tolist() == [[4, 6], [8, 10]]
    summary = client.get(f"{base}/summary", params={"key": "w"}).json()
    assert (summary["min"], summary["max"], sum(summary["counts"])) == (0, 11, 12)
    assert client.get(f"{base}/npy", params={"key": "w"}).content.startswith(b"\x93NUMPY")
    for bad in ("9", "a", "0,0,0", "::0"):
        assert client.get(f"{base}/data", params={"key": "w", "index": bad}).status_code == 400
    assert client.get(f"{base}/data", params={"key": "none"}).status_code == 404


def test_a_look_is_summary_and_maps_in_one(client: httpx.Client, workplace: Workplace) -> None:
    base = f"/api/tensors/models/{workplace.first[0]}"
    look = client.get(f"{base}/look", params={"key": "w"})
    assert json.loads(look.headers["x-summary"]) == client.get(f"{base}/summary", params={"key": "w"}).json()
    assert look.content == client.get(f"{base}/maps", params={"key": "w"}).content
    assert (look.headers["x-shape"], look.headers["x-maps"]) == ("1,3,4", "0")
    assert np.frombuffer(look.content, look.headers["x-dtype"]).tolist() == list(range(12))
    assert client.get(f"{base}/maps", params={"key": "w", "ranked": "none"}).status_code == 404


def test_a_run_gives_any_value(client: httpx.Client, workplace: Workplace) -> None:
    record = _finish(client, client.post("/api/runs", json={"model": workplace.first[0]}))
    base = f"/api/tensors/runs/{record['result']['run']}"
    x = np.frombuffer(client.get(f"{base}/data", params={"key": "x"}).content, "f4").reshape(1, 4)
    y = np.frombuffer(client.get(f"{base}/data", params={"key": "y"}).content, "f4")
    assert np.allclose(y, x[0] @ np.arange(12, dtype=np.float32).reshape(3, 4).T, atol=1e-5)


def test_events_tell_how_a_job_ends(client: httpx.Client, workplace: Workplace) -> None:
    job = client.post("/api/actions/summarize", json={"model": workplace.first[0]}).json()["job"]
    with client.stream("GET", f"/api/jobs/{job}/events") as stream:
        states = [json.loads(line[6:])["state"] for line in stream.iter_lines() if line.startswith("data: ")]
    assert states[-1] == "done"


def test_a_job_can_be_stopped(
    client: httpx.Client, classifier: inspector.Model, workplace: Workplace
) -> None:
    digest = workplace.add(classifier)
    call = {"model": digest, "input": ["random"], "method": ["rise"], "option": ["masks=100000"]}
    job = client.post("/api/actions/attribute", json=call).json()["job"]
    until = time.monotonic() + 60
    while not (client.get(f"/api/jobs/{job}").json()["step"] or {}).get("done") and time.monotonic() < until:
        time.sleep(0.05)
    assert client.delete(f"/api/jobs/{job}").status_code == 202
    while client.get(f"/api/jobs/{job}").json()["state"] == "running" and time.monotonic() < until:
        time.sleep(0.05)
    record = client.get(f"/api/jobs/{job}").json()
    assert (record["state"], record["step"] is not None) == ("cancelled", True), record["error"]


def test_fifty_clients_lose_nothing(client: httpx.Client, workplace: Workplace) -> None:
    digest = workplace.first[0]

    def ask(number: int) -> list[float]:
        record = _finish(client, client.post("/api/runs", json={"model": digest}))
        assert record["state"] == "done", record["error"]
        rows = client.get(f"/api/tensors/models/{digest}/data", params={"key": "w", "index": f"{number % 3}"})
        return np.frombuffer(rows.content, "f4").tolist()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert answers == [[float(v) for v in range(4 * (n % 3), 4 * (n % 3) + 4)] for n in range(50)]


def test_nothing_is_left_when_the_server_ends() -> None:
    with Workplace() as made, start(made) as found:
        headers = {"authorization": f"Bearer {found.token}"}
        httpx.post(f"{found.origin}/api/files", content=b"abc", headers=headers, trust_env=False)
        folder: Path = made.folder
        assert any(folder.rglob("file"))
    assert not folder.exists()
