"""Bad inputs are one message, and lose nothing; the check of this finds what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import ConfigError, Lstm2dError
from lstm2d.reliability import inputs
from lstm2d.reliability.inputs import CASES, COMMANDS, Case, Expected, Outcome, Place, Ran, choose, drive
from lstm2d.reliability.inputs.case import CannotMakeError, names_of
from lstm2d.reliability.inputs.drawn import STEMS, labels_of
from lstm2d.reliability.inputs.judge import problems_of
from lstm2d.reliability.inputs.rows import OK, case
from lstm2d.reliability.inputs.snapshot import snapshot

# pytest runs threads of other tests' libraries; what is run in a copy of the process here uses none
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")

MINUTES = 20  # after which the test fails
SKIPPED = {
    "socket",
    "unreadable",
    "link into an unreadable",
    "case clash",
    "name that is not UTF-8",
    "output in a",
}
GOOD = Ran(0, '{"model": "m"}\n', "")


@pytest.mark.slow
def test_all_bad_inputs() -> None:
    command = [sys.executable, "-m", "lstm2d", "selftest", "inputs", "--json", "--quiet"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    found = json.loads(ran.stdout.splitlines()[-1])
    wrong = {one["name"]: one["problems"] for one in found["outcomes"] if one["problems"]}
    assert wrong == {}
    assert ran.returncode == 0
    assert found["passed"] + len(found["skipped"]) == found["cases"] == len(CASES)
    assert all(name.startswith(tuple(SKIPPED)) for name in found["skipped"])
    ran_commands = {one["name"]: [*one["codes"]] for one in found["outcomes"]}
    assert all(ran_commands[one.name] == [*one.expected] for one in CASES if one.name not in found["skipped"])
    assert found["mebibytes"] < 400


ZOO = """
zero bytes; text named .png; folder named x.png; JPEG cut in half; PNG with a wrong CRC; 16-bit RGB; 16-bit
gray; CMYK JPEG; 1-bit; palette with alpha; RGBA; LAB TIFF; float TIFF with NaN; big-endian TIFF; multi-page
TIFF; animated GIF; JPEG of orientation 2; JPEG of orientation 3; JPEG of orientation 4; JPEG of orientation
5; JPEG of orientation 6; JPEG of orientation 7; JPEG of orientation 8; 1x1; one row; one column; 65500x3;
header that claims 400 Mpixel; constant image; mask of another size; mask transposed; mask with a value out
of range; masks of 0 and 255, no classes; mask as JPEG; mask with an unknown colour; mask that is all
ignored; image without mask; mask without image; two images with one stem; split naming a missing stem;
empty split; name that is not UTF-8; name of 255 bytes; case clash on output; unreadable file for an image;
image that vanishes while listed; link to itself for an image; output on a full disk; output folder = input
folder
"""


def test_the_promised_inputs_are_in_the_table() -> None:
    promised = {" ".join(name.split()) for name in ZOO.split(";")}
    assert promised - set(names_of(CASES)) == set()


def test_no_case_expects_a_fault_of_the_program() -> None:
    for one in CASES:
        assert one.expected.keys() <= set(COMMANDS)
        assert one.expected
        for expected in one.expected.values():
            assert expected.code in (0, 2, 3, 4, 5)
    assert {
        command: sum(command in one.expected for one in CASES) > 90 for command in COMMANDS
    } == dict.fromkeys(COMMANDS, True)


def test_two_cases_of_one_name() -> None:
    with pytest.raises(ValueError, match="one name"):
        names_of([CASES[0], CASES[0]])


def test_choosing_cases() -> None:
    assert choose([]) == [*CASES]
    assert [one.name for one in choose(["zero bytes", "two images"])] == [
        "zero bytes",
        "two images with one stem",
    ]
    with pytest.raises(ConfigError, match="zero bytes"):
        choose(["zero byte file"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a place whose label images are written as expected."""
    made = Place(tmp_path, {f"{stem}.png": labels_of(stem) for stem in STEMS})
    made.labels.mkdir(parents=True)
    for name, labels in made.truth.items():
        Image.fromarray(labels).save(made.labels / name)
    return made


LABELLED = '{"images": 4, "failed": []}\n'
BAD = Ran(3, '{"error": {"what": "x", "exit_code": 3}}\n', "Error: x\n  do: y\n")
EVENTS = '{"event": "step"}\n'


@pytest.mark.parametrize(
    ("command", "ran", "expected"),
    [
        ("check", Ran(0, "{}\n", "all   is\nfine"), Expected(0, "is fine")),
        ("evaluate", Ran(0, '{"pixel_accuracy": 1.0}\n', ""), OK),
        ("predict", Ran(0, LABELLED, ""), OK),
        ("predict", Ran(4, LABELLED, "Error: 1 of 5 images\n"), Expected(4, "1 of 5")),
        ("evaluate", BAD, Expected(3, "x")),
        ("train", Ran(3, EVENTS + BAD.out, BAD.err), Expected(3)),
        ("predict", Ran(2, "", "Usage: lstm2d\n\nError: no\n"), Expected(2, "no")),
    ],
)
def test_what_is_as_expected(place: Place, command: str, ran: Ran, expected: Expected) -> None:
    assert list(problems_of(command, ran, expected, place)) == []


@pytest.mark.parametrize(
    ("command", "ran", "expected", "problem"),
    [
        ("check", BAD, OK, "exit code 3, expected 0"),
        ("check", BAD, Expected(3, "z"), "'z' is missing"),
        ("check", Ran(3, BAD.out, BAD.err * 2), Expected(3), "2 messages of an error"),
        ("check", Ran(3, BAD.out, ""), Expected(3), "0 messages of an error"),
        ("check", Ran(0, "{}\n", "Error: x\n"), OK, "1 messages of an error"),
        (
            "check",
            Ran(3, BAD.out, f"Traceback (most recent call last):\n{BAD.err}"),
            Expected(3),
            "Traceback",
        ),
        ("check", Ran(3, BAD.out, "Error: unexpected KeyError: x\n"), Expected(3), "'unexpected ' in its"),
        ("check", Ran(0, "", ""), OK, "no JSON object on stdout"),
        ("check", Ran(0, "fine\n", ""), OK, "is not a JSON object"),
        ("check", Ran(0, "{}\n{}\n", ""), OK, "2 results on stdout"),
        ("train", Ran(0, '{}\n{"event": "end"}\n', ""), OK, "1 results on stdout"),
        ("check", Ran(2, BAD.out, BAD.err), Expected(2), "exit code 2, but 3 in the JSON object"),
        ("train", Ran(0, '{"model": "nothing"}\n', ""), OK, "no model was saved"),
        ("evaluate", Ran(0, '{"pixel_accuracy": 0.99}\n', ""), OK, "pixel accuracy 0.99, expected 1.0"),
        ("predict", Ran(0, '{"images": 3}\n', ""), OK, "3 images counted, 4 labelled"),
    ],
)
def test_what_is_not_as_expected(
    place: Place, command: str, ran: Ran, expected: Expected, problem: str
) -> None:
    (found,) = problems_of(command, ran, expected, place)
    assert problem in found
    assert found.startswith(f"{command}: ")


def test_label_images_are_compared(place: Place) -> None:
    (place.labels / "a.png").write_bytes(b"")
    Image.fromarray(1 - labels_of("b")).save(place.labels / "b.png")
    (found,) = problems_of("predict", Ran(0, LABELLED, ""), OK, place)
    assert "a.png cannot be read" in found
    assert "wrong labels in b.png" in found
    (place.labels / "a.png").unlink()
    (found,) = problems_of("predict", Ran(0, LABELLED, ""), OK, place)
    assert "label images ['b.png', 'c.png', 'odd.png'], expected ['a.png'" in found


def behave(words: Sequence[str]) -> Ran:
    """Do what the model of a case asks for, instead of running a command."""
    model = next((word for word in words if word.startswith("do ")), "")
    if words[0] != "predict" or not model:
        return GOOD
    given = Path(words[-1]).parents[1]
    match model:
        case "do change":
            (given / "data/images/odd.png").write_bytes(b"")
        case "do add":
            (given / "data/images/more.png").write_bytes(b"")
        case "do leave":
            Path(os.environ["TMPDIR"], "left.txt").write_text("")
        case "do die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "do raise":
            raise KeyError("x")
        case "do sleep":
            time.sleep(60)
        case "do fill":
            np.ones(2**30, np.uint8)
    return Ran(2, "", "Usage:\nError: x\n")


def asks(model: str, mebibytes: int = 400) -> Case:
    def write(place: Place) -> None:
        place.model = model
        if model == "do change":
            place.put("images/odd.png", (place.data / "images/odd.png").read_bytes())  # no longer a link

    return case(model, write, predict=Expected(2, "x"), mebibytes=mebibytes)


def outcome_of(one: Case, folder: Path) -> Outcome:
    (outcome,) = drive.run_cases([one], behave, behave, folder)
    assert list(folder.iterdir()) == []
    return outcome


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("do nothing", None),
        ("do change", "an input was changed: data/images/odd.png"),
        ("do add", "an input was changed: data/images/more.png"),
        ("do leave", "a temporary file was left: left.txt"),
        ("do die", "predict: ended by SIGKILL"),
        ("do raise", "predict: KeyError: 'x'"),
        ("do fill", "predict: MemoryError"),
    ],
)
def test_what_the_driver_notices(asked: str, problem: str | None, tmp_path: Path) -> None:
    outcome = outcome_of(asks(asked, 200), tmp_path)
    assert outcome.passed == (problem is None)
    if problem is not None:
        assert any(found.startswith(problem) for found in outcome.problems), outcome.problems


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "SECONDS", 0.5)
    assert outcome_of(asks("do sleep"), tmp_path).problems == ("predict: not done in 0 s",)


def test_a_change_through_a_hard_link_is_noticed(tmp_path: Path) -> None:
    def behave_badly(words: Sequence[str]) -> Ran:
        if "do damage" in words:
            with open(Path(words[-1]) / "a.png", "ab") as file:
                file.write(b"more")
        return Ran(2, "", "Usage:\nError: x\n") if "do damage" in words else GOOD

    with pytest.raises(Lstm2dError, match="through a hard link"):
        list(drive.run_cases([asks("do damage")], behave_badly, behave_badly, tmp_path))


@pytest.mark.parametrize("where", ["write", "hook"])
def test_a_case_that_cannot_be_made_is_left_out(where: str, tmp_path: Path) -> None:
    def refuse(command: str) -> None:
        raise CannotMakeError("no rights")

    def write(place: Place) -> None:
        if where == "write":
            refuse("")
        place.hooks.append(refuse)

    outcome = outcome_of(case("never", write, check=OK), tmp_path)
    assert (outcome.skipped, outcome.codes, outcome.passed) == ("no rights", {}, True)


def test_commands_that_fail_on_good_inputs(tmp_path: Path) -> None:
    with pytest.raises(Lstm2dError, match="check fails on a good dataset"):
        list(drive.run_cases([], lambda words: BAD, lambda words: BAD, tmp_path))


def test_snapshots_notice_everything(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub/a"
    file.write_text("one")
    (tmp_path / "link").symlink_to("sub/a")
    before = snapshot(tmp_path)
    assert before.keys() == {"sub", "sub/a", "link"}
    status = file.stat()
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert {name for name in before if snapshot(tmp_path)[name] != before[name]} == {"sub/a"}
    file.write_text("one")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert snapshot(tmp_path) == before
    file.chmod(0o600 if status.st_mode & 0o077 else 0o644)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("sub")
    assert {name for name in before if snapshot(tmp_path)[name] != before[name]} == {"sub/a", "link"}


def given_outcomes(*outcomes: Outcome) -> Callable[..., Iterator[Outcome]]:
    return lambda *args: iter(outcomes)


def test_the_command(lstm2d: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = Outcome("zero bytes", codes={"check": 3, "predict": 4}, seconds=1.5, mebibytes=20.4)
    left_out = Outcome("socket for a mask", skipped="no socket can be made")
    monkeypatch.setattr(inputs, "run_cases", given_outcomes(fine, left_out))
    ran = lstm2d("selftest", "inputs", "--json")
    assert ran.code == 0
    assert ran.json["passed"] == 1
    assert ran.json["skipped"] == {"socket for a mask": "no socket can be made"}
    assert ran.json["commands"] == 2
    ran = lstm2d("selftest", "inputs")
    assert "zero bytes      3      -         -        4   20      ok" in ran.out
    assert "socket for a mask: left out, no socket can be made" in ran.out
    assert "1 of 2 cases as promised, 2 commands run, at most 20 MiB (1.5 s)" in ran.out


def test_the_command_fails_if_a_case_does(lstm2d: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "run_cases", given_outcomes(Outcome("zero bytes", ("check: exit code 1",))))
    ran = lstm2d("selftest", "inputs", "zero")
    assert ran.code == 1
    assert "zero bytes\n  check: exit code 1" in ran.out
    assert "1 of 1 bad inputs were not treated as promised" in ran.err


def test_cases_can_be_listed_and_chosen(lstm2d: Callable) -> None:
    ran = lstm2d("selftest", "inputs", "--list", "--json", "1x")
    assert ran.json == {"cases": ["1x1"]}
    ran = lstm2d("selftest", "inputs", "--list")
    assert len(ran.out.splitlines()) == len(CASES) + 1
    ran = lstm2d("selftest", "inputs", "zero bites")
    assert ran.code == 2
    assert "try 'zero bytes'" in ran.err
