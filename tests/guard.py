"""Settings of the process that a test must restore, since later tests would inherit them."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from lstm2d.kernels import blas, dispatch, threads
from lstm2d.training.signals import ENDING

OTHERS = {  # variables that pytest sets in each phase of a test, and other libraries when they are imported
    "PYTEST_CURRENT_TEST",
    *("LD_LIBRARY_PATH", "QT_QPA_FONTDIR", "QT_QPA_PLATFORM_PLUGIN_PATH"),  # OpenCV
    *("GDAL_CURL_CA_BUNDLE", "PROJ_CURL_CA_BUNDLE"),  # rasterio
    "TORCHINDUCTOR_CACHE_DIR",  # PyTorch
    *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"),  # scikit-learn
}


class Setting(NamedTuple):
    """A setting of the process: how to read and restore it."""

    read: Callable[[], Any]
    restore: Callable[[Any], object]


@cache
def _libraries() -> list[Any]:
    """Return the BLAS libraries of NumPy and of the kernels, as threadpoolctl controls them."""
    import scipy.linalg.cython_blas  # noqa: F401  loads the library of the kernels
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_blas(numbers: list[int]) -> None:
    for library, number in zip(_libraries(), numbers, strict=True):
        library.set_num_threads(number)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OTHERS}


def _set_environment(values: dict[str, str]) -> None:
    for name in _environment().keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


SETTINGS = {  # in this order: threadpoolctl sets a variable, and threads depend on one
    "BLAS threads": Setting(lambda: [library.num_threads for library in _libraries()], _set_blas),
    "environment": Setting(_environment, _set_environment),
    "number of threads": Setting(threads.get_num_threads, threads.set_num_threads),
    "signal handlers": Setting(
        lambda: {signal.Signals(number).name: signal.getsignal(number) for number in ENDING},
        lambda handlers: [signal.signal(signal.Signals[name], handlers[name]) for name in handlers],
    ),
    "forced backend": Setting(dispatch._forced.get, dispatch._forced.set),
    "limit of BLAS threads": Setting(
        lambda: blas._limit_of_process._inside, lambda n: setattr(blas._limit_of_process, "_inside", n)
    ),
}


@contextmanager
def unchanged() -> Iterator[None]:
    """Raise AssertionError if a setting has changed after the block, and restore it.

    An error of the block itself takes precedence.
    """
    before = {name: setting.read() for name, setting in SETTINGS.items()}
    yield
    left = []
    for name, setting in SETTINGS.items():
        found = setting.read()
        if found != before[name]:
            left.append(f"{name}: {_difference(before[name], found)}")
            setting.restore(before[name])
    assert not left, f"left changed: {'; '.join(left)}"


def _difference(before: Any, found: Any) -> str:
    if not isinstance(before, dict):
        return f"{before} before, {found} after"
    names = sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
    return ", ".join(names)
