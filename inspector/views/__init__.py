"""Arrays become pictures: every drawing function takes numpy arrays and gives a frozen `Figure`.

Nothing here knows a model. Each function names the axes it wants; `picture_of` picks one by rank.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["colors", "normalize"],
    submod_attrs={
        "attention": ["draw_attention"],
        "bars": ["draw_bars", "draw_layer_bars"],
        "cells": ["draw_values"],
        "curves": ["draw_curves"],
        "dendrogram": ["draw_dendrogram"],
        "figure": ["Figure", "media_for"],
        "fitting": ["picture_of"],
        "heatmap": ["draw_heatmap"],
        "histogram": ["draw_histogram"],
        "kernels": ["draw_kernels"],
        "map_sheet": ["draw_heatmaps"],
        "matrix": ["draw_matrix"],
        "moments": ["draw_moments"],
        "planes": ["draw_planes"],
        "sheet": ["draw_sheet"],
        "signal_maps": ["draw_signal_map"],
        "signals": ["draw_signals"],
        "stacking": ["stack"],
        "strip": ["draw_strip"],
        "surface": ["draw_surface"],
        "tiles": ["draw_tiles"],
        "tokens": ["draw_tokens"],
        "volumes": ["draw_volume"],
    },
)
