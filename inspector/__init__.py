"""Open any neural-network file and see its structure, weights, activations and reasons.

Everything is loaded on first use: importing this package imports no framework. Besides the names listed
here, every action is a function of this package: `inspector.summarize(model)`.
"""

from typing import Any

import lazy_loader

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    try:
        return _lazy(name)
    except AttributeError:
        if name.startswith("_"):
            raise
    known = _lazy("actions").actions()
    for spelled in (name.replace("_", "-"), name.removeprefix("list_")):
        if spelled in known:
            return known[spelled].function
    raise AttributeError(f"module 'inspector' has no attribute {name!r}")
