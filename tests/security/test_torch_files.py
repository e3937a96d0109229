"""Does any hostile torch file run code, take the memory, or fail without one clear message?"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import build_corpus
import pytest

from converters.torch_archives import check_archive

HERE = Path(__file__).parent
MEMORY = 500 << 20
"""Peak bytes of the child, of which NumPy, onnx and h5py take about 60 MiB before a file is opened."""

READER = """
import json, resource, sys, time, converters
from converters.torch_archives import check_archive
from converters.errors import InspectorError
from pathlib import Path
path = Path(sys.argv[1])
start = time.perf_counter()
checked = path.suffix in (".pt", ".pt2", ".pkl")
said = {"check": list(check_archive(path).findings) if checked else []}
try:
    said["notes"] = list(converters.to_onnx(path).notes)
except InspectorError as error:
    said["error"] = str(error)
said["seconds"] = time.perf_counter() - start
status = Path("/proc/self/status")  # getrusage would report the peak of the process that started this one
if status.exists():
    said["peak"] = int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
else:
    said["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("corpus")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        build_corpus.build(folder, folder / "CANARY")
    return folder, folder / "CANARY"


@pytest.mark.parametrize("name", build_corpus.CASES)
def test_nothing_runs_and_the_message_is_clear(name: str, corpus: tuple[Path, Path]) -> None:
    folder, canary = corpus
    command = [sys.executable, "-c", READER, str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert not canary.exists()
    assert said["peak"] < MEMORY, said
    assert said["seconds"] < 30, said
    text = " ".join([said.get("error", ""), *said.get("notes", []), *said["check"]])
    assert build_corpus.CASES[name][1] in text, said
    assert "Traceback" not in text


@pytest.mark.parametrize("name", [n for n in build_corpus.CASES if n.startswith(("script", "program"))])
def test_torchs_loaders_are_kept_away(name: str, corpus: tuple[Path, Path]) -> None:
    report = check_archive(corpus[0] / name)
    assert not report.safe
    assert report.findings


def test_the_harmless_twins_pass(tmp_path: Path) -> None:
    build_corpus.program(tmp_path / "ok.pt2", {"guards": ["L['x'].size()[0] >= 2"]})
    body = (
        "class M(Module):\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return torch.relu(x)\n"
    )
    build_corpus.script(tmp_path / "ok.pt", body)
    for name in ("ok.pt2", "ok.pt"):
        report = check_archive(tmp_path / name)
        assert report.safe, report.findings


def test_the_corpus_is_dangerous(tmp_path: Path) -> None:
    """The same pickle under Python's own unpickler does run: the corpus would show a failure."""
    canary = tmp_path / "CANARY"
    build_corpus.CASES["old_protocol.pkl"][0](tmp_path / "old.pkl", canary)
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "old.pkl")], check=True, timeout=60)
    assert canary.exists()
