"""ONNX as differentiable torch: taps on any value, overrides of any operator."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "network": ["Network", "Run", "to_torch"],
        "registry": ["Context", "Operator", "operator"],
        "table": ["OperatorRow", "operator_table", "operator_table_markdown"],
    },
)
