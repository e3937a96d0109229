"""What a user can ask: one file a question. Command line, HTTP, page and Python are derived from here."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
