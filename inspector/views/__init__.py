"""Arrays become pictures: every drawing function takes numpy arrays and gives a frozen `Figure`.

Nothing here knows a model. Each function names the axes it wants; `picture_of` picks one by rank.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["colors", "normalize"],
    submod_attrs={
        "figure": ["Figure", "media_for"],
        "histogram": ["draw_histogram"],
        "tiles": ["draw_tiles"],
    },
)
