"""What is in the weights: statistics in one pass, and export as npy, npz or safetensors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
