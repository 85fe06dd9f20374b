"""Class numbers as text."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.importers.formats.text_matrix import labels_of, read_matrix
from lstm2d.errors import DataError


def written(folder: Path, text: str) -> Path:
    path = folder / "a.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    ["0 1 -1\n2 3 4\n", "  0\t1 -1 \r\n\r\n2 3 4", "0.0000000e+00 1.0000000e+00 -1.0\n2 3.0 4\n\n"],
)
def test_numbers(tmp_path: Path, text: str) -> None:
    values = read_matrix(written(tmp_path, text))
    assert values.dtype == np.int64
    assert values.tolist() == [[0, 1, -1], [2, 3, 4]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0x0 pixels"),
        ("\n \n", "0x0 pixels"),
        ("0 1\n\n0 1 2\n", "line 3 has 3 numbers, the first 2"),
        ("0 1\n0 x\n", "line 2: 'x' is not a whole number"),
        ("0 1.5\n", "line 1: '1.5' is not a whole number"),
        ("nan\n", "line 1: 'nan' is not a whole number"),
        ("inf 1\n", "line 1: 'inf' is not a whole number"),
        ("1 " + "9" * 30 + "\n", "line 1: a huge number"),
        ("1 " + "9" * 5000 + "\n", "line 1: '99999999999999999999' is not a whole number"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as e:
        read_matrix(written(tmp_path, text))
    assert "a.txt" in str(e.value)


def test_labels() -> None:
    values = np.array([[1, 0, 3], [-1, 2, 1]])
    labels = labels_of(values, Path("a"), 3, first=1, unknown=(0, -1))
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 255, 2], [255, 1, 0]]
    for wrong in (4, 256, -2, 257):
        with pytest.raises(
            DataError, match=rf"class number {wrong} at row 1, column 1 \(1 such pixels\)"
        ) as e:
            labels_of(np.array([[1, 1], [1, wrong]]), Path("a"), 3, first=1, unknown=(0, -1))
        assert "1 to 3, or 0" in str(e.value)
