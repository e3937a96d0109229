"""How are features prepared for classical models? Encoders, scalers, imputers and maps (ai.onnx.ml)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.narrow import Strings, Value, to_array, to_value
from inspector.autograd.ops.text import strings
from inspector.autograd.registry import operator

DOMAIN = "ai.onnx.ml"


def _mapped(x: Value, table: Mapping[Any, Any], default: Any, dtype: Any) -> Value:
    """Each element looked up in a table; text stays text."""
    array = to_array(x)
    found = [table.get("nan" if item != item else item, default) for item in array.ravel().tolist()]
    if dtype is object:
        return strings(found, array.shape)
    return to_value(np.array(found, dtype=dtype).reshape(array.shape))


@operator("ArrayFeatureExtractor", since=1, domain=DOMAIN)
def array_feature_extractor(x: Value, places: Tensor) -> Value:
    index = places.reshape(-1)
    if isinstance(x, np.ndarray):
        return np.atleast_2d(x)[..., index.cpu().numpy()]
    assert isinstance(x, Tensor)
    rows = x if x.ndim > 1 else x.unsqueeze(0)
    return rows.index_select(-1, index.to(x.device))


@operator("Binarizer", since=1, domain=DOMAIN, differentiable=False)
def binarizer(x: Tensor, *, threshold: float) -> Tensor:
    return (x > threshold).to(x.dtype)


@operator("LabelEncoder", since=1, domain=DOMAIN, differentiable=False)
def label_encoder_1(
    x: Value, *, classes_strings: list[str], default_int64: int, default_string: str
) -> Value:
    if isinstance(x, np.ndarray):
        return _mapped(
            x, {text: place for place, text in enumerate(classes_strings)}, default_int64, np.int64
        )
    return _mapped(x, dict(enumerate(classes_strings)), default_string, object)


@operator("LabelEncoder", since=2, domain=DOMAIN, differentiable=False)
def label_encoder(x: Value, **attributes: Any) -> Value:
    keys = _listed(attributes, "keys")
    values, kind = _values(attributes)
    table = {"nan" if key != key else key: value for key, value in zip(keys, values, strict=True)}
    return _mapped(x, table, _default(attributes, kind), kind)


def _listed(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    for suffix in ("strings", "int64s", "floats"):
        if attributes.get(f"{prefix}_{suffix}") is not None:
            found = attributes[f"{prefix}_{suffix}"]
            return [float(np.float32(item)) for item in found] if suffix == "floats" else list(found)
    tensor = attributes.get(f"{prefix}_tensor")
    if tensor is None:
        raise ValueError(f"no {prefix}_* attribute is given")
    return to_array(tensor).ravel().tolist()


def _values(attributes: Mapping[str, Any]) -> tuple[list[Any], Any]:
    values = _listed(attributes, "values")
    if attributes.get("values_strings") is not None:
        return values, object
    if attributes.get("values_int64s") is not None:
        return values, np.int64
    if attributes.get("values_floats") is not None:
        return values, np.float32
    return values, to_array(attributes["values_tensor"]).dtype.type if values else np.float32


def _default(attributes: Mapping[str, Any], kind: Any) -> Any:
    tensor = attributes.get("default_tensor")
    if tensor is not None:
        return to_array(tensor).ravel().tolist()[0]
    if kind in (object, np.object_):
        return attributes["default_string"]
    return attributes["default_int64"] if np.issubdtype(kind, np.integer) else attributes["default_float"]


@operator("CategoryMapper", since=1, domain=DOMAIN, differentiable=False)
def category_mapper(
    x: Value, *, cats_int64s: list[int], cats_strings: list[str], default_int64: int, default_string: str
) -> Value:
    if isinstance(x, np.ndarray):
        return _mapped(x, dict(zip(cats_strings, cats_int64s, strict=True)), default_int64, np.int64)
    return _mapped(x, dict(zip(cats_int64s, cats_strings, strict=True)), default_string, object)


@operator("OneHotEncoder", since=1, domain=DOMAIN, differentiable=False)
def one_hot_encoder(
    x: Value, *, cats_int64s: list[int] | None, cats_strings: list[str] | None, zeros: int
) -> Tensor:
    categories: Sequence[Any] = cats_strings or cats_int64s or []
    array = to_array(x)
    items = array.ravel().tolist() if array.dtype == object else array.astype(np.int64).ravel().tolist()
    hot = torch.tensor([[item == category for category in categories] for item in items], dtype=torch.float32)
    if not zeros and not bool(hot.any(1).all()):
        raise ValueError("an entry is none of the categories and zeros is 0")
    return hot.reshape(*array.shape, len(categories))


@operator("Scaler", since=1, domain=DOMAIN)
def scaler(x: Tensor, *, offset: list[float], scale: list[float]) -> Tensor:
    work = x if x.is_floating_point() else x.float()
    shift = torch.tensor(offset, dtype=work.dtype, device=x.device)
    return (work - shift) * torch.tensor(scale, dtype=work.dtype, device=x.device)


@operator("Normalizer", since=1, domain=DOMAIN)
def normalizer(x: Tensor, *, norm: str) -> Tensor:
    rows = x if x.is_floating_point() else x.float()
    if norm == "MAX":
        size = rows.amax(-1, keepdim=True)
    elif norm == "L1":
        size = rows.abs().sum(-1, keepdim=True)
    else:
        size = torch.linalg.vector_norm(rows, 2, -1, keepdim=True)
    return torch.where(size == 0, rows, rows / torch.where(size == 0, torch.ones_like(size), size))


@operator("Imputer", since=1, domain=DOMAIN)
def imputer(
    x: Tensor,
    *,
    imputed_value_floats: list[float] | None,
    imputed_value_int64s: list[int] | None,
    replaced_value_float: float,
    replaced_value_int64: int,
) -> Tensor:
    floating = x.is_floating_point()
    filling = (imputed_value_floats if floating else imputed_value_int64s) or []
    wanted = replaced_value_float if floating else replaced_value_int64
    gone = x.isnan() if wanted != wanted else x == wanted
    return torch.where(gone, torch.tensor(filling, dtype=x.dtype, device=x.device), x)


@operator("FeatureVectorizer", since=1, domain=DOMAIN)
def feature_vectorizer(*inputs: Tensor, inputdimensions: list[int] | None) -> Tensor:
    widths = inputdimensions or [part.shape[-1] for part in inputs]
    rows = [part if part.ndim > 1 else part.unsqueeze(0) for part in inputs]
    cut = [
        _fitted(row.reshape(row.shape[0], -1).float(), width) for row, width in zip(rows, widths, strict=True)
    ]
    return torch.cat(cut, 1)


def _fitted(row: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(row, (0, width - row.shape[1]))


@operator("DictVectorizer", since=1, domain=DOMAIN, differentiable=False)
def dict_vectorizer(
    x: Mapping[Any, Any], *, int64_vocabulary: list[int] | None, string_vocabulary: list[str] | None
) -> Value:
    vocabulary: Sequence[Any] = string_vocabulary or int64_vocabulary or []
    return to_value(np.array([[x.get(key, 0) for key in vocabulary]]))


@operator("ZipMap", since=1, domain=DOMAIN)
def zip_map(
    x: Tensor, *, classlabels_int64s: list[int] | None, classlabels_strings: list[str] | None
) -> list[dict[Any, Tensor]]:
    labels: Sequence[Any] = classlabels_strings or classlabels_int64s or []
    rows = x if x.ndim > 1 else x.unsqueeze(0)
    return [dict(zip(labels, row.unbind(), strict=True)) for row in rows]


@operator("CastMap", since=1, domain=DOMAIN, differentiable=False)
def cast_map(x: Mapping[int, Any], *, cast_to: str, map_form: str, max_map: int) -> Value:
    kinds = {"TO_FLOAT": np.float32, "TO_INT64": np.int64, "TO_STRING": object}
    if map_form == "SPARSE":
        items = [x.get(place, "0" if cast_to == "TO_STRING" else 0) for place in range(max_map)]
    else:
        items = [x[key] for key in sorted(x)]
    if cast_to == "TO_STRING":
        texts: Strings = strings([str(item) for item in items], (1, len(items)))
        return texts
    return to_value(np.array([[float(item) for item in items]]).astype(kinds[cast_to]))
