"""Why did the model answer so, and what does a unit respond to? Attribution, maximisation, dissection."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
