"""An invalid number of threads is one error, before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.kernels import threads
from lstm2d.kernels.threads import MAX_THREADS


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", None)


@pytest.mark.parametrize("value", ["²", str(10**20), "many"])
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "outdoor", "PHOTOS", "-o", "OUT"),
        ("evaluate", "outdoor", "PHOTOS", "-o", "OUT"),
        ("train", "lstm2d-5x5", "--data", "PHOTOS", "-o", "OUT"),
        ("demo", "-o", "OUT"),
        ("doctor",),
    ],
    ids=lambda words: words[0],
)
def test_the_variable(
    lstm2d: Callable, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple, value: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    out = tmp_path / "out"
    names = {"PHOTOS": str(photos), "OUT": str(out)}
    ran = lstm2d(*(names.get(word, word) for word in words))
    assert ran.code == 2
    assert ran.err.splitlines()[-3:] == [
        f"Error: environment variable OMP_NUM_THREADS is not a number of threads: {value!r}",
        f"  expected: 1 to {MAX_THREADS}",
        "  do: set OMP_NUM_THREADS to the number of threads, or unset it",
    ]
    assert "Traceback" not in ran.err
    assert not out.exists()


def test_what_is_asked_for_comes_first(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "²")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--threads", 1)
    assert ran.code == 0


def test_too_many(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--threads", MAX_THREADS + 1)
    assert ran.code == 2
    assert ran.err.startswith(f"Error: number of threads out of range: {MAX_THREADS + 1}\n")
