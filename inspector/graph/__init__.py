"""The structure lens: the graph as NetworkX, its hierarchy of blocks, its cost, and its drawing."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
