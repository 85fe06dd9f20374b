"""Recurrent sweeps on GPUs of other sizes, or the stand-in."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d.selftest.cases.recurrent import UNITS, sweep
from tests.kernels.cuda.compare import check

Unit = tuple[str, int, dict[str, Any]]
GATED = UNITS[:2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", GATED)
def test_eight_lines_a_block(
    cp: ModuleType, monkeypatch: pytest.MonkeyPatch, unit: Unit, dtype: type
) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.rnn.processors", lambda: 1)
    check(cp, sweep(*unit, (2, 3, 11, 2), 5, 1), dtype)


@pytest.mark.parametrize("room", [2000, 5000])
@pytest.mark.parametrize("unit", UNITS[:3])
def test_weights_beyond_shared_memory(
    cp: ModuleType, monkeypatch: pytest.MonkeyPatch, unit: Unit, room: int
) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.steps.shared_limit", lambda: 4 * room)
    check(cp, sweep(*unit, (1, 4, 5, 2), 20, 2), np.float32)


def test_too_many_units(cp: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.steps.shared_limit", lambda: 1000)
    with pytest.raises(ValueError, match=r"20 units: .* do not fit in the 250 values"):
        check(cp, sweep(*UNITS[0], (1, 4, 5, 2), 20, 2), np.float32)
