"""Command line: `lstm2d predict | evaluate | train | ...`."""

from lstm2d.cli.main import main

__all__ = ["main"]
