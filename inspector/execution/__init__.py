"""Run a model with ONNX Runtime: inputs from files, any value captured, statistics, timings.

A capture states which graph produced it (`exact` or `fused`) and the device that really ran it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
