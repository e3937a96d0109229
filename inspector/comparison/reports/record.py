"""A comparison as JSON-able data, and the schema that it keeps."""

from __future__ import annotations

from typing import Any

from inspector.comparison.alignment import Atom
from inspector.comparison.comparing import Comparison
from inspector.comparison.reports.node_records import node_records
from inspector.model import Model

__all__ = ["SCHEMA", "record"]

VERSION = 1
"""Raised when a field changes its meaning or goes."""

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_MODEL = _object(name=_TEXT, format=_TEXT, digest=_TEXT, nodes={"type": "integer"})
_ATOM = _object(key=_TEXT, operator=_TEXT, nodes=_TEXTS, value=_TEXT, scope=_TEXT)
_PAIR = _object(a=_ATOM, b=_ATOM, evidence=_TEXTS, confidence=_NUMBER, ambiguous={"type": "boolean"})
_EDIT = _object(kind=_TEXT, text=_TEXT, a=_TEXTS, b=_TEXTS, confidence=_NUMBER)
_WEIGHT = _object(a=_TEXT, b=_TEXT, state=_TEXT, detail=_TEXT, difference={"type": ["object", "null"]})
_VALUE = _object(a=_TEXT, b=_TEXT, agrees={"type": "boolean"}, difference={"type": ["object", "null"]},
                 noise_floor=_NUMBER, limit=_NUMBER)  # fmt: skip
_INDEX: dict[str, Any] = {"type": ["integer", "null"]}
_FIGURE: dict[str, Any] = {"type": ["number", "null"]}
_FIGURES = {"max_abs": _FIGURE, "relative_l2": _FIGURE, "cosine": _FIGURE}
_COUNT: dict[str, Any] = {"type": "integer"}
_OWN = _object(states=_TEXTS, differ=_COUNT, **_FIGURES, at=_list(_COUNT))
_RUN = _object(agrees={"type": "boolean"}, **_FIGURES, at=_COUNT)
_NODE = _object(
    key=_TEXT,
    operator=_TEXT,
    state={"enum": ["same", "changed", "only", "ignored"]},
    kind={"enum": ["equal", "node", "weights", "values", "only_a", "only_b", "ignored"]},
    partners=_TEXTS,
    pair=_INDEX,
    reasons=_TEXTS,
    first_divergence={"type": "boolean"},
    weights={"anyOf": [{"type": "null"}, _OWN]},
    activation={"anyOf": [{"type": "null"}, _RUN]},
)
_FIRST = {"anyOf": [{"type": "null"}, _object(a=_TEXT, b=_TEXT, cause=_TEXT, reason=_TEXT, change=_VALUE)]}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "comparison of two models",
    **_object(
        version={"const": VERSION},
        verdict=_TEXT,
        same={"type": "boolean"},
        agrees=_object(
            structure={"type": "boolean"}, weights={"type": "boolean"}, activations={"type": "boolean"}
        ),
        similarity={"type": "number", "minimum": 0, "maximum": 1},
        models=_object(a=_MODEL, b=_MODEL),
        pairs=_list(_PAIR),
        only_a=_list(_ATOM),
        only_b=_list(_ATOM),
        edits=_list(_EDIT),
        weights=_list(_WEIGHT),
        samples={"type": "integer", "minimum": 0},
        activations=_list(_VALUE),
        outputs=_list(_VALUE),
        first_divergence=_FIRST,
        nodes=_object(a=_list(_NODE), b=_list(_NODE)),
        notes=_TEXTS,
    ),
}
"""JSON schema of what `record` gives."""


def record(found: Comparison) -> dict[str, Any]:
    """Everything that was found; infinite ratios are null."""
    first = found.first_divergence
    return {
        "version": VERSION,
        "verdict": found.verdict,
        "same": found.same,
        "agrees": {
            "structure": found.structure_agrees,
            "weights": found.weights_agree,
            "activations": found.activations_agree,
        },
        "similarity": found.similarity,
        "models": {"a": _model(found.alignment.a.model), "b": _model(found.alignment.b.model)},
        "pairs": [
            {
                "a": _atom(pair.a),
                "b": _atom(pair.b),
                "evidence": list(pair.evidence),
                "confidence": pair.confidence,
                "ambiguous": pair.ambiguous,
            }
            for pair in found.pairs
        ],
        "only_a": [_atom(atom) for atom in found.only_a],
        "only_b": [_atom(atom) for atom in found.only_b],
        "edits": [
            {
                "kind": edit.kind,
                "text": edit.text,
                "a": list(edit.a_keys),
                "b": list(edit.b_keys),
                "confidence": edit.confidence,
            }
            for edit in found.edits
        ],
        "weights": [change.to_dict() for change in found.weights],
        "samples": found.samples,
        "activations": [change.to_dict() for change in found.activations],
        "outputs": [change.to_dict() for change in found.outputs],
        "first_divergence": None if first is None else first.to_dict(),
        "nodes": node_records(found),
        "notes": list(found.notes),
    }


def _model(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "format": model.origin.format,
        "digest": model.digest,
        "nodes": len(model.nodes),
    }


def _atom(atom: Atom) -> dict[str, Any]:
    return {
        "key": atom.key,
        "operator": atom.op,
        "nodes": list(atom.origins),
        "value": atom.value,
        "scope": atom.scope,
    }
