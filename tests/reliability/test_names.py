"""Names of files and classes forge no line of output, colour no terminal and break no CSV."""

import csv
import io
import json
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.cli.program import program
from lstm2d.errors import DataError
from lstm2d.predict.csv_text import csv_line, csv_name, csv_table, csv_text
from lstm2d.shown import LONGEST, forging, printable, shown, shown_lines
from tests.callers import kernel_threads
from tests.runner import runner

FORGED = "Error: forged"
NAMES = (
    f"a\n{FORGED}",
    f"b\r{FORGED}",
    "c\x1b[31m\x1b]0;x\x07",
    "d\u202egnp",
    "e\u2028\x85\x0b\x0c" + FORGED,
    "=cmd()",
    "+1\r=cmd()",
    "-2",
    "@3",
    "\tf",
    "g\x7f\x9b",
    os.fsdecode(b"h\xff\xfe"),
    "`device='cpu'`",
)
CLASSES = '[[classes]]\nname = "dark"\n[[classes]]\nname = "bright"\n[[classes]]\nname = "never"\n'


def run(*args: object) -> tuple[int, str, str]:
    with kernel_threads():
        result = runner().invoke(program, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def check_text(text: str, begins: Sequence[str] = ()) -> None:
    """Assert that text has no effect besides its lines, and no line that a name begins."""
    for character in set(text) - {"\n"}:
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), repr(character)
    for line in text.split("\n"):
        assert not line.lstrip().startswith(FORGED), text


def make_dataset(root: Path, names: Sequence[str], *, masks: bool = True) -> Path:
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "dataset.toml").write_text(CLASSES)
    for number, name in enumerate(names):
        red = np.full((4, 5, 3), 255 * (number % 2), np.uint8)
        Image.fromarray(red).save(root / "images" / f"{name}.png")
        if masks:
            Image.fromarray(np.full((4, 5), number % 2, np.uint8)).save(root / "masks" / f"{name}.png")
    return root


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset below a folder with a hostile name."""
    return make_dataset(tmp_path_factory.mktemp("names") / f"data\n{FORGED}", NAMES)


COMMANDS = {
    "check": "data check DATA",
    "check with report": "data check DATA -o OUT",
    "stats": "data stats DATA",
    "split": "data split DATA -o OUT",
    "import": "data import pairs DATA -o OUT",
    "import auto": "data import auto DATA -o OUT",
    "predict": "predict MODEL DATA/images -o OUT --legend",
    "predict no images": "predict MODEL DATA/none -o OUT",
    "evaluate": "evaluate MODEL DATA -o OUT --split test",
    "evaluate all": "evaluate MODEL BARE",
    "features": "features MODEL DATA/images/FIRST -o OUT",
    "inspect": "inspect DATA/dataset.toml",
    "inspect nothing": "inspect DATA",
    "hierarchy": "hierarchy build DATA --method sn -o OUT",
    "hierarchy show": "hierarchy show DATA/dataset.toml",
    "config": "config show DATA/dataset.toml",
    "config diff": "config diff DATA/dataset.toml lstm2d-5x5",
    "train": "train lstm2d-5x5 --data DATA -o OUT --val 0 --epochs 1",
    "resume": "train lstm2d-5x5 --data DATA -o DATA --resume",
    "init": "train lstm2d-5x5 --data DATA -o OUT --init-from DATA",
    "override": "train lstm2d-5x5 --data DATA -o OUT --set FIRST=1 --set train.FIRST=FIRST",
    "weights": "weights import DATA/dataset.toml",
    "labels": "data labels FIRST",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_names_stay_within_their_lines(
    tmp_path: Path, hostile: Path, brightness_model: Path, name: str
) -> None:
    places = {
        "MODEL": brightness_model,
        "OUT": tmp_path / f"out\r\n{FORGED}",
        "BARE": hostile,
        "DATA": hostile,
        "FIRST": f"{NAMES[0]}.png",
    }
    words = COMMANDS[name].split()
    for key, path in places.items():
        words = [word.replace(key, str(path)) for word in words]
    code, out, err = run(*words)
    assert code in (0, 2, 3, 4), err
    check_text(out + err)
    code, out, err = run(*words, "--json")
    check_text(err)
    assert all(isinstance(json.loads(line), dict) for line in out.splitlines())
    for path in tmp_path.rglob("*.csv"):
        check_csv(path)


def check_csv(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert len(rows) in (len(NAMES), 3, 2, 1)
    for row in rows:
        assert len(row) == len(header)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row)


@pytest.mark.parametrize("name", NAMES)
def test_a_csv_keeps_names(name: str) -> None:
    line = csv_line([csv_text(name), 3, None])
    for newline in ("", None):  # as it is written, and as programs read it that take "\\r" for a line end
        rows = list(csv.reader(io.StringIO(line, newline=newline)))
        assert len(rows) == 1
        assert rows[0][1:] == ["3", ""]
    assert csv_name(next(csv.reader(io.StringIO(line, newline="")))[0]) == name
    assert csv_text(name)[0] not in "=+-@\t\r\n"
    assert csv_table(["a"], [[csv_text(name)]]) == f"a\n{csv_line([csv_text(name)])}"


@pytest.mark.parametrize("name", NAMES)
def test_errors_show_names_on_one_line(name: str) -> None:
    error = DataError(f"a name {name}", where=Path(name), expected=name)
    text = printable(str(error))
    check_text(text)
    assert len(text.split("\n")) == 2
    assert error.where == Path(name)


def test_shown() -> None:
    assert shown("plain name.png") == "plain name.png"
    assert shown(Path("Gr\u00fcn \u8349")) == "Gr\u00fcn \u8349"
    assert shown("a\nb\r\x1b[1m\u202e\udcff\\") == "a\\nb\\r\\x1b[1m\\u202e\\udcff\\"
    assert shown("a" * 5000) == "a" * (LONGEST // 2) + "..." + "a" * (LONGEST // 2)
    assert shown_lines("2 wrong:\n  a\n  b") == "2 wrong:\n  a\n  b"
    assert shown_lines("a\nError: b\n  c\td") == "a\\nError: b\n  c\\td"
    assert printable("a\nb\tc") == "a\nb\\tc"


def test_names_of_classes() -> None:
    allowed = ["tree", "Gr\u00fcn", "\u8349", "a\u00a0b", "\u0646\u200c\u0647", os.fsdecode(b"stra\xdfe")]
    assert [forging(name) for name in allowed] == [None] * len(allowed)
    assert [forging(f"a{c}b") for c in "\n\r\t\x1b\x7f\x9b\u2028\u202e\ud800"] == list(
        "\n\r\t\x1b\x7f\x9b\u2028\u202e\ud800"
    )
