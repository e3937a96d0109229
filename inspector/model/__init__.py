"""One opened model: its graph without weights, its weights mapped in place, and where both came from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checks": ["Fault", "find_faults"],
        "model": ["Model"],
        "opening": ["open_model"],
        "saving": ["save_model"],
        "shapes": ["Value"],
        "walk": ["Node"],
        "weight": ["Weight"],
    },
)
