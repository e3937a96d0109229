"""Does the ONNX model compute what its source computes? ONNX Runtime against the source framework."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from converters.errors import InspectorError
from converters.frameworks import need
from converters.registry import Conversion, Options
from converters.sample_files import Outputs, Samples
from converters.verify_inputs import random_inputs

__all__ = ["TOLERANCE", "Verification", "register_oracle", "verify"]

TOLERANCE = 1e-4
"""Largest difference over the spread of the outputs: float32 sums in another order stay below it."""
_SAMPLES = 3
_DEAD_SPREAD = 1e-6
"""Outputs that move less than this share of their size between random inputs do not depend on them."""

Oracle = Callable[[Any, Options, Path, Samples], Outputs]
"""`(source, options, folder, samples) -> outputs of each sample`; the folder is private and temporary."""

Verdict = Literal["equal", "differs", "void", "unverified"]


@dataclass(frozen=True)
class Verification:
    """The largest difference between both, and how far the outputs move between random inputs.

    `void`: the outputs do not depend on the inputs, so agreement says nothing. `unverified`: no
    comparison could be made; `reason` says why.
    """

    max_abs_difference: float
    spread: float
    samples: int
    verdict: Verdict
    reason: str = ""

    def sentence(self) -> str:
        """The result in words, as it goes into the notes."""
        if self.verdict == "unverified":
            return f"unverified: {self.reason}"
        measured = (
            f"max |difference| {self.max_abs_difference:.2g} on {self.samples} random inputs, "
            f"whose outputs spread over {self.spread:.2g}"
        )
        return {
            "equal": f"verified against the source: {measured}.",
            "differs": f"NOT equal to the source: {measured}.",
            "void": f"verification is void, the outputs do not depend on the inputs: {measured}.",
        }[self.verdict]


_ORACLES: dict[str, Oracle] = {}


def register_oracle(origin_format: str) -> Callable[[Oracle], Oracle]:
    """Register how sources of a format are run by their own framework."""

    def register(oracle: Oracle) -> Oracle:
        if origin_format in _ORACLES:
            raise ValueError(f"the oracle of {origin_format!r} is registered twice")
        _ORACLES[origin_format] = oracle
        return oracle

    return register


def verify(conversion: Conversion, source: Any, options: Options | None = None) -> Verification:
    """Compare ONNX Runtime with the source's own framework on seeded random inputs of two sizes.

    Sources from files run in a child process; live objects run here.
    """
    parsed = options or Options()
    oracle = _ORACLES.get(conversion.origin.format)
    if oracle is None:
        return _unverified(f"no framework can run {conversion.origin.format} as an oracle.")
    if not conversion.model.graph.node:
        return _unverified("the source holds weights and no graph.")
    with TemporaryDirectory(prefix="inspector-verify-") as name:
        folder = Path(name)
        try:
            samples = [random_inputs(conversion.model, seed) for seed in range(_SAMPLES)]
            found = _run_onnx(conversion, samples)
            expected = oracle(source, parsed, folder, samples)
        except InspectorError as cause:
            return _unverified(str(cause))
    return _compare(found, expected)


def _compare(found: Outputs, expected: Outputs) -> Verification:
    difference = spread = size = 0.0
    for ours, theirs in zip(found, expected, strict=True):
        if [a.shape for a in ours] != [b.shape for b in theirs]:
            shapes = f"{[a.shape for a in ours]} against {[b.shape for b in theirs]}"
            return Verification(float("inf"), 0.0, len(found), "differs", f"output shapes differ: {shapes}")
        for a, b in zip(ours, theirs, strict=True):
            difference = max(difference, _largest(a, b))
            size = max(size, float(np.abs(b).max(initial=0)))
    for one, other in itertools.pairwise(expected):
        for a, b in zip(one, other, strict=True):
            common = tuple(slice(0, min(m, n)) for m, n in zip(a.shape, b.shape, strict=True))
            spread = max(spread, float(np.std(a[common].astype(np.float64) - b[common].astype(np.float64))))
    if not spread > _DEAD_SPREAD * size:
        return Verification(difference, spread, len(found), "void")
    verdict = "equal" if difference <= TOLERANCE * spread else "differs"
    return Verification(difference, spread, len(found), verdict)


def _largest(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """The largest difference; infinite where one has NaN and the other does not."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    if not np.array_equal(np.isnan(x), np.isnan(y)):
        return float("inf")
    return float(np.nan_to_num(np.abs(x - y), nan=0.0, posinf=np.inf).max(initial=0.0))


def _run_onnx(conversion: Conversion, samples: Samples) -> Outputs:
    ort = need("onnxruntime", "verifying a conversion")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = _session(ort, conversion, options)
        return [[np.asarray(value) for value in session.run(None, dict(sample))] for sample in samples]
    except _runtime_errors(ort) as cause:
        raise InspectorError(f"ONNX Runtime cannot run it: {str(cause).splitlines()[0]}") from cause


def _session(ort: Any, conversion: Conversion, options: Any) -> Any:
    """A session of the model; external data is found below the conversion's folder."""
    if conversion.folder is not None:
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(conversion.folder)
        )
    return ort.InferenceSession(
        conversion.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _runtime_errors(ort: Any) -> tuple[type[BaseException], ...]:
    state = ort.capi.onnxruntime_pybind11_state
    names = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException", "NoSuchFile")
    return (*(getattr(state, name) for name in names), ValueError, RuntimeError)


def _unverified(reason: str) -> Verification:
    return Verification(float("nan"), float("nan"), 0, "unverified", reason)
