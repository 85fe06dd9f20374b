"""Keep the figures that a module draws."""

from types import ModuleType

import pytest
from matplotlib.figure import Figure


def keep_figures(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return a list that gets the figures that the functions of a module draw, in order."""
    kept: list[Figure] = []
    encode = module.to_png

    def keep(figure: Figure) -> bytes:
        kept.append(figure)
        picture: bytes = encode(figure)
        return picture

    monkeypatch.setattr(module, "to_png", keep)
    return kept
