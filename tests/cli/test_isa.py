"""An invalid LSTM2D_ISA is one error, before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.kernels import isa


@pytest.mark.parametrize("command", ["predict", "doctor"])
def test_a_wrong_word(
    lstm2d: Callable, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("LSTM2D_ISA", "sse2")
    monkeypatch.setattr(isa, "level", isa.level.__wrapped__)  # it reads the variable once per process
    out = tmp_path / "out"
    ran = lstm2d(command, *(("outdoor", photos, "-o", out) if command == "predict" else ()))
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "Error: environment variable LSTM2D_ISA is not an instruction-set level: 'sse2'",
        "  expected: plain, avx2, avx512",
        "  do: set LSTM2D_ISA to one of these, or unset it",
    ]
    assert not out.exists()
