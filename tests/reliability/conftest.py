"""Fixtures of the commands, for what they promise."""

from tests.cli.conftest import lstm2d

__all__ = ["lstm2d"]
