"""Each setting that a test could leave changed is found, named and restored."""

import os
import signal
from collections.abc import Callable

import pytest

from lstm2d.kernels import blas, dispatch, threads
from tests.guard import SETTINGS, _libraries, unchanged

CHANGES: dict[str, Callable[[], object]] = {
    "number of threads": lambda: threads.set_num_threads(threads.get_num_threads() + 1),
    "forced backend": lambda: dispatch._forced.set("none"),
    "limit of BLAS threads": lambda: setattr(blas._limit_of_process, "_inside", 1),
    "BLAS threads": lambda: _libraries()[0].set_num_threads(_libraries()[0].num_threads + 1),
    "signal handlers": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "environment": lambda: os.environ.update(LSTM2D_LEFT="1"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_change_is_found_and_undone(name: str) -> None:
    before = SETTINGS[name].read()
    with pytest.raises(AssertionError, match=f"^left changed: {name}: "), unchanged():
        CHANGES[name]()
    assert SETTINGS[name].read() == before


def test_names_of_variables_are_reported() -> None:
    def swap() -> None:
        os.environ["LSTM2D_LEFT"] = os.environ.pop("LSTM2D_CACHE")

    with (
        pytest.raises(AssertionError, match=r"^left changed: environment: LSTM2D_CACHE, LSTM2D_LEFT$"),
        unchanged(),
    ):
        swap()


def test_nothing_changed() -> None:
    with unchanged(), pytest.MonkeyPatch.context() as patch, dispatch.use("none"):
        patch.setenv("LSTM2D_LEFT", "1")
