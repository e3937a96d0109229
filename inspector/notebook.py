"""How does a result show itself in a notebook?"""
