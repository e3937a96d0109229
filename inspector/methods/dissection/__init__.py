"""Which pictures and concepts does a unit answer to, over a whole data set? Streamed, never held."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
