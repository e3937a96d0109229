"""The child's side of PyTorch conversions: load, capture, export, tidy up, account for every tensor."""
