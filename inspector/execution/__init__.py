"""Run a model with ONNX Runtime: inputs from files, any value captured, statistics, timings.

A capture states which graph produced it (`exact` or `fused`) and the device that really ran it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "capture": ["Capture", "capture", "prepare"],
        "feeds": ["random_feeds"],
        "guessing": ["preprocess_of"],
        "inputs": ["Inputs", "read_inputs"],
        "labels": ["read_labels"],
        "planner": ["Plan"],
        "predict": ["Prediction", "predict"],
        "preprocess": ["PRESETS", "Preprocess"],
        "profile": ["Profile", "profile"],
        "session": ["open_session", "run"],
        "statistics": ["DataStatistics", "data_statistics"],
        "streaming": ["stream"],
    },
)
