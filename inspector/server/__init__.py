"""How does a browser talk to the actions? A server on this machine alone, with a token."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
