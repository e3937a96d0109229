"""One opened model: its graph without weights, its weights mapped in place, and where both came from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
