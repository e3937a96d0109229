"""Which way is faster? Ways run in turn within each round; the smallest time of each counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

THREADS = (1, torch.get_num_threads())
"""One thread and all that torch takes by itself."""


def smallest(ways: Mapping[str, Callable[[], Any]], rounds: int, threads: int) -> dict[str, float]:
    """Seconds of each way: CPU time of one thread, wall time of several."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, run in ways.items():
            began = clock()
            run()
            best[name] = min(best[name], clock() - began)
    return best


def own_peak() -> float:
    """Megabytes this process held at most. `getrusage` would count what it was forked from too."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def print_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A Markdown table."""
    names = list(head)
    for cells in (names, ["---"] * len(names), *rows):
        print("| " + " | ".join(cells) + " |", flush=True)


def rows_of(job: str, times: Mapping[int, Mapping[str, float]]) -> list[list[str]]:
    """A row a way: milliseconds and the ratio to the way called "ours", for each number of threads."""
    rows: list[list[str]] = []
    for way in next(iter(times.values())):
        rows.append([job, way])
        for found in times.values():
            rows[-1] += [f"{found[way] * 1e3:.0f}", f"{found[way] / found['ours']:.2f}"]
    return rows


def head_of(threads: Iterable[int]) -> list[str]:
    """Column names of such rows."""
    clocks = ("CPU ms, 1 thread" if n == 1 else f"wall ms, {n} threads" for n in threads)
    return ["job", "way", *(name for clock in clocks for name in (clock, "× ours"))]
