"""How does a Keras configuration with weights become an ONNX graph? The engine; `keras_layers` holds the layers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["archive", "builder", "call", "config", "hdf5", "tensor", "variables", "walk"],
)
