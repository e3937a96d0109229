"""How right is an alignment of two generated models? Precision and recall of pairs, by tag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from generator import Block, build, edited, program, runs

from inspector.comparison.aligning import align
from inspector.comparison.alignment import Alignment
from inspector.comparison.edits import edits
from inspector.model import open_model

__all__ = ["Score", "score", "scored", "scored_edits"]


@dataclass(frozen=True)
class Score:
    """Pairs that are right, that were said, and that are true."""

    right: int = 0
    said: int = 0
    true: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.said + other.said, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.right / self.said

    @property
    def recall(self) -> float:
        return self.right / self.true


def scored(seeds: range, edits: int, fresh: bool) -> Score:
    """The sum over generated pairs."""
    total = Score()
    for seed in seeds:
        before = program(seed)
        after, _ = edited(before, edits, seed + 1, fresh)
        found = align(open_model(build(before, seed)), open_model(build(after, seed + 2)))
        total += score(before, after, found)
    return total


def score(before: list[Block], after: list[Block], found: Alignment) -> Score:
    """A pair is right when its tags are equal.

    Blocks that share no weight with their partner may be exchanged with equal blocks of the same run, on
    either side: nobody can tell such copies apart. At most as many pairs are right as are true.
    """
    known = _shared(found)
    run_a, run_b = runs(before), runs(after)
    common = {(run_a[tag], run_b[tag]) for tag in run_a.keys() & run_b.keys()}
    right = 0
    for pair in found.pairs:
        (tag_a, _, role_a), (tag_b, _, role_b) = (atom.key.partition("/") for atom in (pair.a, pair.b))
        free = known.isdisjoint((tag_a, tag_b)) and role_a == role_b and tag_a in run_a and tag_b in run_b
        right += pair.a.key == pair.b.key or (free and (run_a[tag_a], run_b[tag_b]) in common)
    true = len(set(found.a.atoms) & set(found.b.atoms))
    return Score(min(right, true), len(found.pairs), true)


def scored_edits(seeds: range, edits_made: int, fresh: bool) -> Score:
    """The sum over generated pairs for the kinds of edit in the list."""
    total = Score()
    for seed in seeds:
        before = program(seed)
        after, _ = edited(before, edits_made, seed + 1, fresh)
        said = {edit.kind for edit in edits(align(open_model(build(before)), open_model(build(after, seed))))}
        true = _kinds(before, after)
        total += Score(len(said & true), len(said), len(true))
    return total


def _kinds(before: list[Block], after: list[Block]) -> set[str]:
    """The kinds of edit that lead from one program to the other."""
    old, new = ({block.tag: block for block in blocks} for blocks in (before, after))
    found = {"insert"} if new.keys() - old.keys() else set[str]()
    found |= {"remove"} if old.keys() - new.keys() else set()
    for tag in old.keys() & new.keys():
        a, b = old[tag], new[tag]
        found |= {"attribute"} if a.kernel != b.kernel else set()
        found |= {"operator"} if a.activation != b.activation and a.kind != "attention" else set()
        found |= {"width"} if (a.width, a.inner) != (b.width, b.inner) else set()
        if a.squeeze != b.squeeze:
            found.add("insert" if b.squeeze else "remove")
    return found


def _shared(found: Alignment) -> set[str]:
    """Tags of the blocks with an equal weight on both sides."""
    tags: set[str] = set()
    for key, weight in found.a.model.weights.items():
        other = found.b.model.weights.get(key)
        if other is not None and len(weight.shape) > 1 and np.array_equal(weight.array(), other.array()):
            tags.add(key.partition("/")[0])
    return tags
