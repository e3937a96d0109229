"""How is text cut, cleaned, matched and counted? Operators on string tensors (numpy object arrays)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.narrow import Strings
from inspector.autograd.registry import Context, operator

CASES: dict[str, Callable[[str], str]] = {"LOWER": str.lower, "UPPER": str.upper, "NONE": str}


def strings(items: list[Any], shape: tuple[int, ...]) -> Strings:
    """A string tensor of this shape."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


@operator("StringConcat", since=20)
def string_concat(x: Strings, y: Strings) -> Strings:
    left, right = np.broadcast_arrays(x, y)
    joined = [a + b for a, b in zip(left.ravel().tolist(), right.ravel().tolist(), strict=True)]
    return strings(joined, left.shape)


@operator("StringSplit", since=20)
def string_split(x: Strings, *, delimiter: str | None, maxsplit: int | None) -> tuple[Strings, Tensor]:
    limit = -1 if maxsplit is None else maxsplit
    parts = [text.split(delimiter or None, limit) for text in x.ravel().tolist()]
    width = max((len(row) for row in parts), default=0)
    padded = [piece for row in parts for piece in [*row, *[""] * (width - len(row))]]
    counts = torch.tensor([len(row) for row in parts], dtype=torch.int64).reshape(x.shape)
    return strings(padded, (*x.shape, width)), counts


@operator("RegexFullMatch", since=20)
def regex_full_match(x: Strings, *, pattern: str) -> Tensor:
    compiled = re.compile(pattern)
    found = [compiled.fullmatch(text) is not None for text in x.ravel().tolist()]
    return torch.tensor(found, dtype=torch.bool).reshape(x.shape)


@operator("StringNormalizer", since=10)
def string_normalizer(
    x: Strings,
    *,
    case_change_action: str,
    is_case_sensitive: int,
    locale: str | None,
    stopwords: list[str] | None,
) -> Strings:
    change = CASES[case_change_action]
    fold: Callable[[str], str] = str if is_case_sensitive else str.lower
    stops = {fold(word) for word in stopwords or ()}
    kept = [change(text) for text in map(_plain, x.ravel().tolist()) if fold(text) not in stops]
    kept = kept or [""]
    if x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[0] != 1):
        raise ValueError(f"the input has shape {x.shape}, [C] or [1, C] is needed")
    return strings(kept, (len(kept),) if x.ndim == 1 else (1, len(kept)))


def _plain(text: str) -> str:
    """The text unless it is not ASCII: then letters without their accents."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


@operator("TfIdfVectorizer", since=9)
def tfidf_vectorizer(
    x: Tensor | Strings,
    *,
    mode: str,
    min_gram_length: int,
    max_gram_length: int,
    max_skip_count: int,
    ngram_counts: list[int],
    ngram_indexes: list[int],
    pool_int64s: list[int] | None,
    pool_strings: list[str] | None,
    weights: list[float] | None,
    context: Context,
) -> Tensor:
    pool = _pool(pool_strings or pool_int64s or [], ngram_counts)
    rows: list[list[Any]] = np.atleast_2d(x if isinstance(x, np.ndarray) else x.cpu().numpy()).tolist()
    counts = np.zeros((len(rows), max(ngram_indexes) + 1))
    for number, row in enumerate(rows):
        for gram in _grams(row, min_gram_length, max_gram_length, max_skip_count):
            if gram in pool:
                counts[number, ngram_indexes[pool[gram]]] += 1
    if mode == "IDF":
        counts = np.minimum(counts, 1)
    if mode != "TF" and weights:
        scale = np.ones(counts.shape[1])
        scale[ngram_indexes] = weights
        counts = counts * scale
    result = torch.from_numpy(counts).to(context.dtype)
    return result if x.ndim == 2 else result[0]


def _pool(flat: list[Any], starts: list[int]) -> dict[tuple[Any, ...], int]:
    """N-gram → its number; `starts` says where the n-grams of each length begin in the flat pool."""
    found: dict[tuple[Any, ...], int] = {}
    for length, (start, end) in enumerate(zip(starts, [*starts[1:], len(flat)], strict=True), 1):
        for place in range(start, end, length):
            found[tuple(flat[place : place + length])] = len(found)
    return found


def _grams(row: list[Any], shortest: int, longest: int, skips: int) -> list[tuple[Any, ...]]:
    """Every n-gram of the row with 0 to `skips` tokens left out between neighbours; single tokens once."""
    found: list[tuple[Any, ...]] = []
    for length in range(shortest, longest + 1):
        for stride in range(1, 2 if length == 1 else skips + 2):
            reach = stride * (length - 1)
            found.extend(tuple(row[i : i + reach + 1 : stride]) for i in range(len(row) - reach))
    return found
