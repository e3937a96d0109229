"""Open any neural-network file and see its structure, weights, activations and reasons.

Everything is loaded on first use: importing this package imports no framework.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "actions",
        "autograd",
        "comparison",
        "errors",
        "execution",
        "graph",
        "methods",
        "views",
        "weights",
    ],
    submod_attrs={
        "errors": ["InspectorError"],
        "graph": ["dag"],
        "model": ["Model", "open_model"],
        "autograd": ["to_torch"],
    },
)
__version__ = "0.1.0"
