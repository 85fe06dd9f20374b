"""The 2D-LSTM layer on GPUs of other sizes, or the stand-in."""

from types import ModuleType

import numpy as np
import pytest

from lstm2d.selftest.cases.recurrent import layer
from tests.kernels.cuda.compare import check
from tests.ops.test_lstm2d import check_two_by_two


@pytest.mark.parametrize("processors", [1, 3, 4, 8, 9, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bands_in_turn(cp: ModuleType, monkeypatch: pytest.MonkeyPatch, dtype: type, processors: int) -> None:
    # few multiprocessors: eight rows a band, and several bands one after the other in a block
    monkeypatch.setenv("LSTM2D_STAND_IN_PROCESSORS", str(processors))
    monkeypatch.setattr("lstm2d.kernels._cuda.lstm2d.processors", lambda: processors)
    check(cp, layer((2, 19, 5, 2), 3, {}), dtype)


@pytest.mark.parametrize("room", [2200, 4000])
def test_weights_beyond_shared_memory(cp: ModuleType, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr("lstm2d.kernels._cuda.steps.shared_limit", lambda: 4 * room)
    check(cp, layer((1, 6, 4, 2), 16, {}), np.float32)


def test_gate_clip_by_hand(cp: ModuleType) -> None:
    check_two_by_two(cp.asarray, cp.asnumpy)
