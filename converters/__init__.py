"""Any model file becomes ONNX with provenance, without running code from it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["errors", "provenance"],
    submod_attrs={
        "conversion": ["to_onnx"],
        "registry": ["Conversion", "Format", "Options", "format", "formats"],
    },
)
