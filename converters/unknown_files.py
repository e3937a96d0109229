"""What is a file that nothing opens, and how does it become ONNX?"""

from __future__ import annotations

from pathlib import Path

__all__ = ["looks_like"]

_TFLITE = "Convert it: `python -m tf2onnx.convert --tflite FILE --output net.onnx`"
_TENSORFLOW = "Convert it: `python -m tf2onnx.convert --saved-model FOLDER --output net.onnx`"

_STARTS = (
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"\x89PNG", "a PNG picture", ""),
    (b"GIF8", "a GIF picture", ""),
    (b"%PDF", "a PDF document", ""),
    (b"PK\x03\x04", "a zip archive of an unknown kind", ""),
    (b"\x89HDF", "an HDF5 file without a Keras model", ""),
    (b"GGUF", "a GGUF file of quantised language-model weights", ""),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first"),
    (b"\x04\x22\x4d\x18", "an LZ4 archive", "Unpack it first"),
    (b"<!DOCTYPE", "an HTML page", "The download gave a page instead of the file"),
    (b"<html", "an HTML page", "The download gave a page instead of the file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run `git lfs pull`"),
    (b"\x7fELF", "a Linux program", ""),
    (b"RKNN", "an RKNN model", ""),
    (b"ptrt", "a TensorRT engine", "Ask for the ONNX file it was built from"),
    (b"ftrt", "a TensorRT engine", "Ask for the ONNX file it was built from"),
    (b"CBM1", "a CatBoost model", "CatBoost saves ONNX itself: save_model(…, format='onnx')"),
)
_AT_BYTE_4 = (
    (b"TFL3", "a TensorFlow Lite model", _TFLITE),
    (b"ET12", "an ExecuTorch program", "Ask for the exported program (.pt2) it was built from"),
    (b"ORTM", "an ONNX Runtime format model", "Ask for the ONNX file it was made from"),
    (b"CIR0", "a Circle model", ""),
    (b"TOSA", "a TOSA model", ""),
)
_NAMES = (
    ("saved_model.pb", "the graph of a TensorFlow SavedModel", _TENSORFLOW),
    (".pb", "perhaps a TensorFlow graph", "Convert it with tf2onnx"),
    (".mlpackage", "a Core ML package", "Ask for the model it was converted from"),
    (".mlmodel", "a Core ML model", "Ask for the model it was converted from"),
    (".caffemodel", "a Caffe model", ""),
    (".prototxt", "perhaps a Caffe network", ""),
    (".engine", "perhaps a TensorRT engine", "Ask for the ONNX file it was built from"),
    (".pdmodel", "a PaddlePaddle model", "Convert it with paddle2onnx"),
    (".xml", "perhaps an OpenVINO network", ""),
)


def looks_like(head: bytes, path: Path) -> tuple[str, str]:
    """A sentence on what the file is, and one on what to do with it ("" when there is no advice)."""
    for start, what, advice in _STARTS:
        if head.startswith(start):
            return f"this is {what}", advice
    for magic, what, advice in _AT_BYTE_4:
        if head[4:8] == magic:
            return f"this is {what}", advice
    if b'"format": "graph-model"' in head or b'"format":"graph-model"' in head:
        return "this is a TensorFlow.js graph model", "Convert it: `python -m tf2onnx.convert --tfjs FILE …`"
    for ending, what, advice in _NAMES:
        if path.name.lower().endswith(ending):
            return f"this is {what}", advice
    if (path / "saved_model.pb").is_file():
        return "this is a TensorFlow SavedModel", _TENSORFLOW
    if path.is_dir():
        return "this folder holds no model of a known format", ""
    return f"not a known format (first bytes {head[:8].hex(' ')})", ""
