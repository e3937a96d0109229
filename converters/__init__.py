"""Any model file becomes ONNX with provenance, without running code from it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
