"""Tables of plain text."""

import pytest

from lstm2d.cli.tables import Table, confusion_tables, fields, percent, shortened, text_table


def test_columns_are_aligned() -> None:
    assert text_table(["class", "pixels"], [["sky", "1,000"], ["water", "7"]]) == (
        "class  pixels\nsky     1,000\nwater       7"
    )


def test_a_title_is_the_line_above() -> None:
    assert str(Table(["a", "b"], [["x", "1"]], left=2, title="two")) == "two\na  b\nx  1"


def test_wide_characters_take_two_columns() -> None:
    assert text_table(["a", "b"], [["草", "1"], ["xyz", "2"]]) == "a    b\n草   1\nxyz  2"


def test_fields_wrap() -> None:
    text = fields([("a", "word " * 30), ("longer", "x"), ("none", "")])
    lines = text.splitlines()
    assert lines[0].startswith("a       word word")
    assert lines[1].startswith("        word")
    assert lines[-2:] == ["longer  x", "none    -"]
    assert max(map(len, lines)) <= 80


def test_confusion_by_hand() -> None:
    (table,) = confusion_tables([[3, 1], [0, 0]], ["sky", "water"])
    assert (
        str(table) == "truth \\ label      0      1\n0 sky           75.0   25.0\n1 water            -      -"
    )


@pytest.mark.parametrize("n", [1, 8, 33, 254])
def test_confusion_fits_80_columns(n: int) -> None:
    tables = confusion_tables([[7] * n] * n, [f"a rather long name of class {k}" for k in range(n)])
    text = "\n\n".join(map(str, tables))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count(f"{100 / n:.1f}") >= n * n


def test_small_texts() -> None:
    assert percent(None) == "absent"
    assert percent(0.12345) == "12.35"
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
