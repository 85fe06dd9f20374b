"""Shared fixtures."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Return a generator whose seed depends only on the test's name."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the folder of the sources, for tests that read them.

    It is the folder above ``tests/``, unless LSTM2D_CHECKOUT names another: so the tests also run
    from a copy, against an installed wheel, where no source may be imported by accident.
    """
    return Path(os.environ.get("LSTM2D_CHECKOUT", Path(__file__).resolve().parents[1]))
