"""An LSTM2D_ISA that is no instruction-set level is one error, before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.kernels import isa


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
def test_a_wrong_word(
    lstm2d: Callable, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple
) -> None:
    monkeypatch.setenv("LSTM2D_ISA", "sse2")
    monkeypatch.setattr(isa, "level", isa.level.__wrapped__)  # it reads the variable once per process
    out = tmp_path / "out"
    names = {"PHOTOS": str(photos), "OUT": str(out)}
    ran = lstm2d(*(names.get(word, word) for word in words))
    assert ran.code == 2
    assert ran.err.splitlines()[-3:] == [
        "Error: environment variable LSTM2D_ISA is no instruction-set level: 'sse2'",
        "  expected: plain, avx2, avx512",
        "  do: set LSTM2D_ISA to one of these, or unset it",
    ]
    assert not out.exists()
