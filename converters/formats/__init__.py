"""One file a format; each registers itself on import."""
