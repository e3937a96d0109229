"""Are tensors read without torch the same bits that torch reads, and do they stay where they lie?"""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from torch import nn

import converters
import inspector
from converters.errors import BadFile, MissingOption
from converters.torch_archives import check_archive
from converters.torch_file import read_torch_file
from converters.torch_structure import read_exported_program, read_torchscript

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "float8_e8m0fnu", "complex64", "complex128", "bool", "uint8", "uint16", "uint32",
    "uint64",
    "int8", "int16", "int32", "int64",
]  # fmt: skip


def raw(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def read(path: Path, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
    model = inspector.open_model(path, **options)
    return {key: np.array(weight.array()) for key, weight in model.weights.items()}


def same(read_in: dict[str, np.ndarray[Any, Any]], expected: dict[str, torch.Tensor]) -> None:
    assert read_in.keys() == expected.keys()
    for name, tensor in expected.items():
        assert read_in[name].shape == tuple(tensor.shape), name
        assert np.ascontiguousarray(read_in[name]).tobytes() == raw(tensor), name


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Linear(16, 40))
    return dict(net.state_dict())


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_state_dict(tmp_path: Path, new: bool) -> None:
    torch.save(state(), tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    same(read(tmp_path / "w.pth"), torch.load(tmp_path / "w.pth", weights_only=True))


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_every_dtype(tmp_path: Path, new: bool) -> None:
    bits = torch.arange(4096, dtype=torch.int64).to(torch.uint8)
    held: dict[str, torch.Tensor] = {}
    for name in DTYPES:
        dtype = getattr(torch, name)
        held[name] = (bits % 2 == 0) if name == "bool" else bits.clone().view(dtype).reshape(4, -1)
    torch.save(held, tmp_path / "w.pt", _use_new_zipfile_serialization=new)
    same(read(tmp_path / "w.pt"), held)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_views(tmp_path: Path, new: bool) -> None:
    base = torch.randn(40, 30)
    kernel = torch.randn(8, 4, 9, 9)
    held = {
        "base": base,
        "row": base[3],
        "column": base[:, 5],
        "block": base[2:20:3, 1::2],
        "turned": base.t(),
        "last": kernel.to(memory_format=torch.channels_last),
        "spread": torch.randn(1, 30).expand(25, 30),
        "conjugate": torch.randn(20, 20, dtype=torch.complex64).conj(),
        "negative": torch.randn(20, 20, dtype=torch.complex64).conj().imag,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 7),
    }
    torch.save(held, tmp_path / "w.pt", _use_new_zipfile_serialization=new)
    same(read(tmp_path / "w.pt"), held)


def test_weights_stay_in_the_users_file(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    held = {"a": torch.randn(300, 10), "b": torch.randn(1000)}
    torch.save(held, path)
    found = converters.to_onnx(path)
    assert found.folder == tmp_path.resolve()
    assert found.keep is None
    for tensor in found.model.graph.initializer:
        where = {entry.key: entry.value for entry in tensor.external_data}
        assert where["location"] == "w.pth"
        start, length = int(where["offset"]), int(where["length"])
        assert path.read_bytes()[start : start + length] == raw(held[tensor.name])


def test_many_rearranged_bytes_go_to_one_file(tmp_path: Path) -> None:
    wide = torch.randn(4200, 4200).t()
    torch.save({"wide": wide, "plain": torch.randn(400)}, tmp_path / "w.pt")
    found = converters.to_onnx(tmp_path / "w.pt")
    assert found.keep is not None
    assert found.folder == Path(found.keep.name)
    same(read(tmp_path / "w.pt"), torch.load(tmp_path / "w.pt", weights_only=True))


def test_big_endian(tmp_path: Path) -> None:
    held = {
        "f": torch.randn(300),
        "c": torch.randn(200, dtype=torch.complex64),
        "b": torch.randn(600).bfloat16(),
    }
    torch.save(held, tmp_path / "little.pt")
    sizes = {"f": 4, "c": 4, "b": 2}
    with (
        zipfile.ZipFile(tmp_path / "little.pt") as source,
        zipfile.ZipFile(tmp_path / "big.pt", "w") as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif "/data/" in name:
                size = sizes["fcb"[int(name.rpartition("/")[2])]]
                data = np.frombuffer(data, f"u{size}").byteswap().tobytes()
            target.writestr(name, data)
    same(read(tmp_path / "big.pt"), held)


def test_state_dict_inside_a_checkpoint(tmp_path: Path) -> None:
    weights = state()
    net = nn.Linear(4, 4)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    lightning = {
        "epoch": 3,
        "state_dict": weights,
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": {"lr": 0.1},
    }
    torch.save(lightning, tmp_path / "w.ckpt")
    same(read(tmp_path / "w.ckpt"), weights)
    notes = " ".join(inspector.open_model(tmp_path / "w.ckpt").notes)
    assert "'state_dict'" in notes
    assert "epoch = 3" in notes
    assert "training state" in notes


def test_two_networks_keep_their_prefixes(tmp_path: Path) -> None:
    torch.save({"generator": state(1), "critic": state(2)}, tmp_path / "gan.pt")
    expected = {
        f"{k}.{n}": t for k, s in (("generator", state(1)), ("critic", state(2))) for n, t in s.items()
    }
    same(read(tmp_path / "gan.pt"), expected)


def test_plain_pickles_of_tensors_and_arrays(tmp_path: Path) -> None:
    held = {"t": torch.randn(30, 20), "small": torch.randn(2)}
    (tmp_path / "t.pkl").write_bytes(pickle.dumps(held))
    same(read(tmp_path / "t.pkl"), held)
    arrays = {
        "a": np.random.default_rng(0).normal(size=(40, 9)),
        "f": np.asfortranarray(np.eye(20, dtype="f4")[:, :9]),
    }
    for protocol in range(6):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(arrays, protocol))
        found = read(tmp_path / "a.pkl")
        assert all(np.array_equal(found[k], v) and found[k].dtype == v.dtype for k, v in arrays.items()), (
            protocol
        )


def test_sparse_quantised_and_meta(tmp_path: Path) -> None:
    sparse = torch.eye(40).to_sparse()
    quantised = torch.quantize_per_tensor(torch.randn(50, 50), 0.1, 3, torch.quint8)
    held = {
        "s": sparse,
        "csr": torch.eye(40).to_sparse_csr(),
        "q": quantised,
        "m": torch.empty(9, device="meta"),
    }
    torch.save(held, tmp_path / "w.pt")
    model = inspector.open_model(tmp_path / "w.pt")
    found = {key: weight.array() for key, weight in model.weights.items()}
    coalesced = sparse.coalesce()
    assert np.array_equal(found["s.indices"], coalesced.indices().numpy())
    assert np.array_equal(found["s.values"], coalesced.values().numpy())
    assert np.array_equal(found["csr.col_indices"], held["csr"].col_indices().numpy())
    assert np.array_equal(found["q"], quantised.int_repr().numpy())
    notes = " ".join(model.notes)
    assert "scale 0.1" in notes
    assert "meta" in notes


class Subclass(torch.Tensor):
    pass


def test_parameters_and_subclasses(tmp_path: Path) -> None:
    held = {
        "p": nn.Parameter(torch.randn(20, 20)),
        "b": nn.Buffer(torch.randn(300)),
        "s": torch.randn(300).as_subclass(Subclass),
    }
    held["p"].note = "kept aside"  # pyright: ignore
    torch.save(held, tmp_path / "w.pt")
    same(read(tmp_path / "w.pt"), {k: v.detach().as_subclass(torch.Tensor) for k, v in held.items()})


def test_oldest_container(tmp_path: Path) -> None:
    """A tar as torch 0.1 wrote it, held against torch's own reader of that format."""
    values = np.arange(600, dtype="<f4")
    storages = pickle.dumps(1, 2) + pickle.dumps(("7", "cpu", torch.FloatStorage), 2)
    storages += struct.pack("<q", 600) + values.tobytes() + pickle.dumps([], 2)
    tensors = pickle.dumps(1, 2) + pickle.dumps(("9", "7", torch.FloatTensor), 2)
    tensors += struct.pack("<iiqqqqq", 2, 0, 20, 30, 30, 1, 0)
    body = b"\x80\x02}X\x01\x00\x00\x00wX\x01\x00\x00\x009Qs."
    with tarfile.open(tmp_path / "old.pt", "w:", format=tarfile.PAX_FORMAT) as tar:
        for name, data in (("sys_info", b""), ("pickle", body), ("tensors", tensors), ("storages", storages)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert read_torch_file(tmp_path / "old.pt").container == "tar"
    found = read(tmp_path / "old.pt")
    assert np.array_equal(found["w"], values.reshape(20, 30))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2)
        self.rest = nn.ModuleList([nn.Linear(16, 16), nn.LayerNorm(16)])
        self.width = 16
        self.register_buffer("scale", torch.randn(400))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_pickled_module_of_unknown_class(tmp_path: Path, new: bool) -> None:
    net = Net()
    torch.save(net, tmp_path / "net.pt", _use_new_zipfile_serialization=new)
    model = inspector.open_model(tmp_path / "net.pt")
    same({k: w.array() for k, w in model.weights.items()}, net.state_dict())
    by_scope = {node.scope: node for node in model.nodes.values()}
    assert by_scope["first"].source_class == "torch.nn.modules.conv.Conv2d"
    assert by_scope["first"].domain == "torch"
    assert not model.runnable
    assert any("order of registration" in note for note in model.notes)
    assert any("create 1 × test_torch_readers.Net" in note for note in model.notes)


@pytest.mark.slow
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_stock_modules_are_rebuilt(tmp_path: Path, new: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )
    for _ in range(3):
        net(torch.randn(8, 3, 16, 16) * 2 + 1)
    net.eval()
    torch.save(net, tmp_path / "net.pt", _use_new_zipfile_serialization=new)
    model = inspector.open_model(tmp_path / "net.pt", input_shape={"": ("n", 3, 16, 16)})
    assert model.runnable
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(model.folder)
    )
    session = onnxruntime.InferenceSession(
        model.proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = torch.randn(4, 3, 16, 16)
    expected = net(x).detach().numpy()
    got = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert np.ptp(expected, axis=0).min() > 1e-2
    assert np.abs(got - expected).max() < 1e-5


def test_compressed_archive(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "w.pt")
    with (
        zipfile.ZipFile(tmp_path / "w.pt") as source,
        zipfile.ZipFile(tmp_path / "z.pt", "w", zipfile.ZIP_DEFLATED) as z,
    ):
        for name in source.namelist():
            z.writestr(name, source.read(name))
    same(read(tmp_path / "z.pt"), state())


def test_safetensors(tmp_path: Path) -> None:
    held = {
        **state(),
        "half": torch.randn(600).half(),
        "brain": torch.randn(600).bfloat16(),
        "e": torch.zeros(0, 3),
    }
    safetensors.torch.save_file(held, tmp_path / "w.safetensors", {"format": "pt"})
    same(read(tmp_path / "w.safetensors"), held)
    found = converters.to_onnx(tmp_path / "w.safetensors")
    assert found.keep is None
    assert found.origin.framework == "torch"


def test_sharded_safetensors(tmp_path: Path) -> None:
    held = state()
    names = list(held)
    parts = {"one.safetensors": names[:3], "two.safetensors": names[3:]}
    for file, inside in parts.items():
        safetensors.torch.save_file({n: held[n] for n in inside}, tmp_path / file)
    mapping = {n: file for file, inside in parts.items() for n in inside}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": mapping}))
    same(read(index), held)
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(BadFile, match=r"'two.safetensors' is missing"):
        converters.to_onnx(index)


def test_numpy_files(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(900.0).reshape(30, 30),
        "f": np.asfortranarray(np.eye(30, 12)),
        "b": np.arange(600, dtype=">i4"),
    }
    np.savez(tmp_path / "plain.npz", **arrays)
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    for name in ("plain.npz", "packed.npz"):
        found = read(tmp_path / name)
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[k], v) for k, v in arrays.items()), name
    np.save(tmp_path / "one.npy", arrays["f"])
    assert np.array_equal(read(tmp_path / "one.npy")["one"], arrays["f"])


def test_a_renamed_file_still_opens(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "w.onnx")
    np.savez(tmp_path / "w.npz", a=np.ones(300))
    (tmp_path / "w.npz").rename(tmp_path / "w.pth")
    assert converters.to_onnx(tmp_path / "w.onnx").origin.format == "state-dict"
    assert converters.to_onnx(tmp_path / "w.pth").origin.format == "npz"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_gigabyte_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    count = 1 << 28
    header = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 4 * count)
    legacy = tmp_path / "big.pt"
    torch.save({"w": torch.zeros(4)}, legacy, _use_new_zipfile_serialization=False)
    data = (
        legacy.read_bytes()
        .replace(b"K\x04N", b"J" + struct.pack("<i", count) + b"N")
        .replace(b"K\x04\x85", b"J" + struct.pack("<i", count) + b"\x85")
    )
    with legacy.open("wb") as file:
        file.write(data[:-24] + struct.pack("<q", count))
        file.truncate(file.tell() + 4 * count)
    code = (
        "import inspector, sys; m = inspector.open_model(sys.argv[1]);"
        "status = open('/proc/self/status').read();"
        "print(m.weights['w'].shape, status.partition('VmHWM:')[2].split()[0])"
    )
    for big in (path, legacy):
        done = subprocess.run(
            [sys.executable, "-c", code, str(big)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        shape, _, peak = done.stdout.rpartition(" ")
        assert shape == f"({count},)"
        assert int(peak) * 1024 < 200 << 20


def test_real_squeezenet(shared_models: Path) -> None:
    folder = shared_models / "imagenet_squeezenet1_1"
    expected = torch.load(folder / "squeezenet1_1_imagenet_state_dict.pth", weights_only=True)
    for suffix in ("_state_dict.pth", ".safetensors"):
        same(read(folder / f"squeezenet1_1_imagenet{suffix}"), expected)
    for convert, file in ((read_torchscript, "_torchscript.pt"), (read_exported_program, ".pt2")):
        found = convert(folder / f"squeezenet1_1_imagenet{file}")
        same({t.name: _array(t, found.folder) for t in found.model.graph.initializer}, expected)
    original = read(folder / "ndf_squeezenet_weights.pkl")
    assert len(original) == 52
    kernel = original["conv1.0"].transpose(3, 2, 0, 1)
    assert np.array_equal(kernel, expected["features.0.weight"].numpy())


def _array(tensor: onnx.TensorProto, folder: Path | None) -> np.ndarray[Any, Any]:
    return onnx.numpy_helper.to_array(tensor, str(folder))


@pytest.mark.parametrize("net", ["pnet", "rnet", "onet"])
def test_real_mtcnn(shared_models: Path, net: str) -> None:
    path = shared_models / "mtcnn" / "pytorch" / f"{net}.pt"
    same(read(path), torch.load(path, weights_only=True))


def test_real_silero(shared_models: Path) -> None:
    path = shared_models / "silero_vad" / "silero_vad.jit"
    report = check_archive(path)
    assert report.safe, report.findings
    found = read_torchscript(path)
    expected = dict(torch.jit.load(path, map_location="cpu").state_dict())
    read_in = {t.name: _array(t, found.folder) for t in found.model.graph.initializer}
    assert expected.keys() <= read_in.keys() | {k for k, v in expected.items() if not v.numel()}
    for name in expected.keys() & read_in.keys():
        assert np.ascontiguousarray(read_in[name]).tobytes() == raw(expected[name]), name


def test_archives_of_torch_pass_the_check(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    net(torch.randn(2, 3, 8, 8))
    net.eval()
    torch.jit.save(torch.jit.trace(net, torch.randn(2, 3, 8, 8)), tmp_path / "trace.pt")
    torch.jit.save(torch.jit.script(nn.LSTM(4, 5)), tmp_path / "script.pt")
    for name in ("trace.pt", "script.pt"):
        report = check_archive(tmp_path / name)
        assert report.safe, report.findings
    assert check_archive(tmp_path / "trace.pt").inputs[0].shape == (2, 3, 8, 8)


def test_a_factory_that_does_not_exist(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "w.pt")
    with pytest.raises(MissingOption, match="factory"):
        converters.to_onnx(tmp_path / "w.pt", factory="no_such_package:build")


def test_an_ordered_dict_with_attributes(tmp_path: Path) -> None:
    held = OrderedDict(state())
    held._metadata = {"": {"version": 1}}  # pyright: ignore
    torch.save(held, tmp_path / "w.pt")
    same(read(tmp_path / "w.pt"), dict(held))
