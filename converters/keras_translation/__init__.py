"""How does a Keras configuration with weights become an ONNX graph? `keras_layers` holds the layers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
