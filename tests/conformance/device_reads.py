"""Which cases of the suite read values of a device? A program: the pretended device changes torch for good.

    python device_reads.py [each | all]

prints a JSON object: `wrong` maps cases to what went wrong, `waited` lists the operators allowed to read that
did. `each` takes one case of every operator and combination of input types. `all` takes every case; `fixed`
is the same with inputs as initializers, and for `free` shape arithmetic lies on the device too and every
operator may read.
"""

from __future__ import annotations

import json
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import torch
from operator_suite import Case, frozen, judge, node_cases, stored_cases, to_input, to_output
from pretended_device import DEVICE, back, pretending, there
from torch import Tensor

from inspector.autograd import Network, to_torch
from inspector.autograd.shapes import ROOTS
from inspector.errors import InspectorError

ROWS = tomllib.loads(Path(__file__).with_name("expectations.toml").read_text())
SHAPE_ONLY = {name for row in ROWS["shape_only"] for name in row["cases"]}
UNSUPPORTED = {name for row in ROWS["unsupported"] for name in row["cases"]}
WAITS = {name for row in ROWS["waits"] for name in row["operators"]}


def _host_values(net: Network) -> set[str]:
    """The values that come to shape arithmetic: whoever feeds them leaves them on the CPU."""
    found: set[str] = set()
    for step in reversed(net.block.every_step()):
        host = () if step.operator is None else step.operator.host
        makes_host = step.node.op_type not in ROOTS and any(key in found for key in step.outputs)
        found |= {k for i, k in enumerate(step.inputs) if k is not None and (i in host or makes_host)}
    return found


def _placed(name: str, value: Any, host: set[str]) -> Any:
    """Lists of lengths and single numbers may be shape arithmetic; matrices, images and lists are data."""
    return value if name in host and isinstance(value, Tensor) and value.ndim < 2 else there(value)


def outcome(case: Case, *, fixed: bool, strict: bool) -> str:
    """The empty string if the case is right on the device, else what is wrong; gradients run too."""
    model = case.load()
    inputs, expected = case.data()[0]
    feeds, ready = frozen(model, inputs) if fixed else (inputs, model)
    net = to_torch(ready)
    with pretending(strict=False):
        net = net.to(DEVICE)
        names = net.input_names if len(feeds) == len(net.input_names) else net.block.inputs
        host = _host_values(net) if strict else set[str]()
        values = [_placed(n, v, host) for n, v in zip(names, map(to_input, feeds), strict=True)]
    try:
        with pretending(strict=strict):
            got = net(*[_leaf(value) for value in values])
            ends = [v.sum() for v in got if isinstance(v, Tensor) and v.requires_grad]
            for end in ends:
                end.backward(retain_graph=True)
    except (InspectorError, RuntimeError) as error:
        return f"{type(error.__cause__ or error).__name__}: {error}"
    same = case.name in SHAPE_ONLY
    found = (judge(to_output(back(g)), e, shape_only=same) for g, e in zip(got, expected, strict=True))
    return "; ".join(filter(None, found))


def _leaf(value: Any) -> Any:
    real = isinstance(value, Tensor) and value.dtype in (torch.float32, torch.float64)
    return value.requires_grad_() if real else value


def every_case() -> list[Case]:
    found = [*node_cases(), *(case for case in stored_cases() if case.group != "light")]
    return [case for case in found if case.name not in UNSUPPORTED]


def one_of_each() -> list[Case]:
    """The first case of every operator and combination of input types, without those of function bodies."""
    found: dict[Any, Case] = {}
    for case in (case for case in every_case() if not case.name.endswith("_expanded")):
        graph = case.load().graph
        types = tuple(value.type.tensor_type.elem_type for value in graph.input)
        found.setdefault((*(node.op_type for node in graph.node), *types), case)
    return list(found.values())


def problems(cases: list[Case], *, fixed: bool) -> tuple[dict[str, str], set[str]]:
    """What goes wrong when nothing may be read, and the listed operators that read."""
    waited: set[str] = set()
    wrong: dict[str, str] = {}
    for case in cases:
        if problem := outcome(case, fixed=fixed, strict=True):
            listed = {node.op_type for node in case.load().graph.node} & WAITS
            waited |= listed
            if not (listed and "Waited" in problem):
                wrong[case.name] = problem
    return wrong, waited


def found(what: str) -> dict[str, Any]:
    """What the program prints."""
    if what == "each":
        wrong, waited = problems(one_of_each(), fixed=False)
        return {"wrong": wrong, "waited": sorted(waited)}
    every = every_case()
    wrong, waited = problems(every, fixed=False)
    fixed, waited_too = problems(every, fixed=True)
    free = {case.name: outcome(case, fixed=False, strict=False) for case in every}
    return {
        "wrong": wrong,
        "fixed": fixed,
        "free": {name: problem for name, problem in free.items() if problem},
        "waited": sorted(waited | waited_too),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(json.dumps(found(sys.argv[1])))
