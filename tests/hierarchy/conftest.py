"""Datasets to build hierarchies from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hierarchy.examples import write_landscapes

Maker = Callable[..., Path]


@pytest.fixture
def landscapes(tmp_path: Path) -> Maker:
    """Return a writer of a dataset, see `write_landscapes`."""

    def write(images: int = 12, **options: Any) -> Path:
        return write_landscapes(tmp_path / "landscapes", images, **options)

    return write
