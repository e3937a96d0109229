"""ONNX as differentiable torch: taps on any value, overrides of any operator."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
