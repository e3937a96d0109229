"""Rules of the comparison view, one family a file."""
