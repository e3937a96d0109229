"""What does the browser page show? The document of a model, the built page, and a page in one file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
