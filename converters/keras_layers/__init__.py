"""How is each Keras layer said in ONNX? One file a family; each registers what it translates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
