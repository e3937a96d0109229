"""The operators, a file a family; `registry.py` imports them all."""
