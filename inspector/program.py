"""The program `inspector`: Ctrl-C ends it with one word at any moment, also while it is being loaded."""

from __future__ import annotations

import sys

from inspector.interruption import is_heard, listen

__all__ = ["main"]


def main() -> None:
    """Load the command line, run it and exit as `inspector.cli.main` does."""
    listen()
    try:
        from inspector.cli import main as run

        run()
    except (KeyboardInterrupt, ImportError):  # numpy, when stopped, says that it is not installed rightly
        if not is_heard():
            raise
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
