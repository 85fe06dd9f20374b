"""Damaged records lose nothing silently, and do not end later runs."""

import errno
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import ConfigError, DataError
from lstm2d.predict import load
from lstm2d.predict.inputs import plan
from lstm2d.predict.label_files import label_files
from lstm2d.predict.manifest import read_manifest
from lstm2d.predict.outcome import Options
from lstm2d.training.events import EndMeasured, EpochDone, Note, Validated
from lstm2d.training.recorder import COLUMNS, HEADER, Recorder

EPOCHS = 6
STEPS = 5  # of an epoch


def done(epoch: int) -> EpochDone:
    return EpochDone(
        step=epoch * STEPS,
        epoch=epoch,
        seconds=epoch * 1.5,
        loss=1 / epoch,
        gradient_norm=0.1 * epoch,
        clipped=0.0,
        images_per_second=None,
        learning_rate=0.01,
        validation=Validated(pixel_accuracy=0.5, class_accuracy=0.25, mean_iou=1 / 3 / epoch, best=False),
    )


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """Return the records of six epochs."""
    recorder = Recorder(tmp_path)
    recorder.write(Note(text="without a step"))
    for epoch in range(1, EPOCHS + 1):
        recorder.write(done(epoch))
        recorder.write(Note(step=epoch * STEPS, text="n"))
    return recorder


def epochs(recorder: Recorder) -> list[int]:
    first, *rows = recorder.results.read_text().splitlines()
    assert first + "\n" == HEADER
    return [int(row.split(",")[0]) for row in rows]


def copies(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.damaged*"))


def edit(path: Path, change: Callable[[bytes], bytes]) -> bytes:
    path.write_bytes(change(path.read_bytes()))
    return path.read_bytes()


def test_intact_records_are_only_rewound(recorder: Recorder, tmp_path: Path) -> None:
    whole, log = recorder.results.read_bytes(), recorder.log.read_bytes()
    assert recorder.rewind(EPOCHS * STEPS, EPOCHS) == []
    assert (recorder.results.read_bytes(), recorder.log.read_bytes()) == (whole, log)
    assert recorder.rewind(4 * STEPS, 4) == []
    assert epochs(recorder) == [1, 2, 3, 4]
    assert whole.startswith(recorder.results.read_bytes())
    assert log.startswith(recorder.log.read_bytes())
    assert copies(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_line_that_a_crash_truncated_is_dropped(recorder: Recorder, tmp_path: Path, cut: int) -> None:
    for path in (recorder.results, recorder.log):
        edit(path, lambda data: data[:-cut])
    assert recorder.rewind(5 * STEPS, 5) == []
    assert epochs(recorder) == [1, 2, 3, 4, 5]
    assert copies(tmp_path) == []


GARBAGE: list[Callable[[bytes], bytes]] = [
    lambda row: b"\0" * len(row),
    lambda row: b"\xff" + row[1:],
    lambda row: row[:10],
    lambda row: row.replace(b",", b";"),
    lambda row: row[:1] + b"\r" + row[1:],
    lambda row: row + b"\n" + row,
    lambda row: b"7" + row[1:],
    lambda row: b"2" + row[1:],
    lambda row: b"x" + row[1:],
    lambda row: b"",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_damaged_rows_are_restored_from_the_log(
    recorder: Recorder, tmp_path: Path, garbage: Callable[[bytes], bytes]
) -> None:
    whole = recorder.results.read_bytes()
    lines = whole.split(b"\n")
    lines[3] = garbage(lines[3])
    damaged = edit(recorder.results, lambda data: b"\n".join(lines))
    notes = recorder.rewind(EPOCHS * STEPS, EPOCHS)
    assert recorder.results.read_bytes() == whole
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert str(recorder.results) in notes[0]
    assert (tmp_path / "results.csv.damaged").read_bytes() == damaged
    assert recorder.rewind(EPOCHS * STEPS, EPOCHS) == []  # reported once


def test_a_deleted_table_is_restored(recorder: Recorder, tmp_path: Path) -> None:
    whole = recorder.results.read_bytes()
    recorder.results.unlink()
    (note,) = recorder.rewind(EPOCHS * STEPS, EPOCHS)
    assert "rows of epochs 1, 2, 3, 4, 5, 6 are restored from log.jsonl" in note
    assert recorder.results.read_bytes() == whole
    assert copies(tmp_path) == []


def test_a_damaged_log_keeps_what_can_be_read(recorder: Recorder, tmp_path: Path) -> None:
    whole, table = recorder.log.read_bytes(), recorder.results.read_bytes()
    lines = whole.split(b"\n")
    damaged = edit(recorder.log, lambda data: b"\n".join([*lines[:3], b"[" * 100_000, *lines[4:]]))
    notes = recorder.rewind(EPOCHS * STEPS, EPOCHS)
    assert len(notes) == 1
    assert "damaged, 1 lines cannot be read; the file is kept as log.jsonl.damaged" in notes[0]
    assert recorder.log.read_bytes() == b"\n".join([*lines[:3], *lines[4:]])
    assert recorder.results.read_bytes() == table
    assert (tmp_path / "log.jsonl.damaged").read_bytes() == damaged


def test_without_a_log_the_lost_rows_are_reported(recorder: Recorder, tmp_path: Path) -> None:
    recorder.log.unlink()
    lines = recorder.results.read_bytes().split(b"\n")
    edit(recorder.results, lambda data: b"\n".join([lines[0], b"?", *lines[2:]]))
    (note,) = recorder.rewind(EPOCHS * STEPS, EPOCHS)
    assert "damaged, 1 lines cannot be read" in note
    assert epochs(recorder) == [2, 3, 4, 5, 6]
    edit(recorder.results, lambda data: b"\0" + data)
    (note,) = recorder.rewind(EPOCHS * STEPS, EPOCHS)
    assert "results.csv.damaged-2" in note  # earlier copies stay
    assert copies(tmp_path) == ["results.csv.damaged", "results.csv.damaged-2"]


def test_a_header_of_an_earlier_version_gets_its_columns(recorder: Recorder) -> None:
    whole = recorder.results.read_text()
    old = [line.rpartition(",")[0] for line in whole.splitlines()]
    recorder.results.write_text("\r\n".join(old) + "\r\n")
    assert recorder.rewind(EPOCHS * STEPS, EPOCHS) == []
    assert recorder.results.read_text() == whole
    assert len(whole.splitlines()[1].split(",")) == len(COLUMNS)


def test_the_end_of_an_epoch_that_is_not_complete_is_dropped(recorder: Recorder) -> None:
    values = done(EPOCHS + 1)
    recorder.write(EndMeasured(**{field.name: getattr(values, field.name) for field in fields(values)}))
    assert epochs(recorder) == [1, 2, 3, 4, 5, 6, 7]
    assert recorder.rewind((EPOCHS + 1) * STEPS, EPOCHS) == []
    assert epochs(recorder) == [1, 2, 3, 4, 5, 6]


def damage(data: bytes, draw: random.Random) -> bytes:
    """Return a record with flipped, inserted or missing bytes, half of them in its header."""
    if draw.random() < 0.2:
        return data[: draw.randrange(len(data))]
    copy = bytearray(data)
    for _ in range(draw.choice([1, 1, 3])):
        place = draw.randrange(len(copy) if draw.random() < 0.5 else data.index(b"\n"))
        what: Sequence[int] = b"\0\n\r\",/.\xff'="
        if draw.random() < 0.4:
            copy[place] ^= 1 << draw.randrange(8)
        elif draw.random() < 0.5:
            copy[place:place] = bytes([draw.choice(what)])
        else:
            del copy[place : place + draw.choice([1, 2, 50])]
    return bytes(copy)


@pytest.mark.slow
@pytest.mark.parametrize("skip_done", [False, True])
def test_a_damaged_record_of_predictions_does_not_end_later_runs(
    tmp_path: Path, brightness_model: Path, skip_done: bool
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for k in range(3):
        Image.fromarray(np.full((4, 5, 3), 60 * k, np.uint8)).save(source / f"{k}.png")
    predictor, tasks = load(str(brightness_model)), plan([source], out)
    label_files(predictor, tasks, out)
    record = out / "predictions.csv"
    whole, draw, ended = record.read_bytes(), random.Random(8), Counter[str]()
    labels = {path.name: path.read_bytes() for path in out.glob("*.png")}
    for _ in range(24):
        for path in out.glob("predictions.csv*"):
            path.unlink()
        damaged = damage(whole, draw)
        record.write_bytes(damaged)
        remarks: list[str] = []
        try:
            done = label_files(
                predictor, tasks, out, options=Options(skip_done=skip_done), remark=remarks.append
            )
        except ConfigError as error:  # the name of a label image is another one now, and it is no result
            ended["refused" if "not a result of lstm2d" in str(error) else str(error)] += 1
            continue
        assert (done.done + done.skipped, done.failed) == (3, [])
        rows = read_manifest(record)
        assert {"0.png", "1.png", "2.png"} <= {row["labels"] for row in rows}
        kept = list(out.glob("predictions.csv.damaged"))
        ended["kept" if kept else "valid"] += 1
        assert all(path.read_bytes() == damaged for path in kept)
        assert bool(kept) == any("was damaged" in line for line in remarks)
    assert {path.name: path.read_bytes() for path in out.glob("*.png")} == labels
    assert ended["kept"] > 8
    assert ended["refused"] < 4
    assert set(ended) <= {"kept", "valid", "refused"}, ended


@pytest.mark.parametrize("name", ["predictions.csv", "classes.json"])
def test_a_record_that_the_system_cannot_read_is_not_another_programs(
    tmp_path: Path, brightness_model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    Image.fromarray(np.full((4, 5, 3), 60, np.uint8)).save(source / "a.png")
    predictor, tasks = load(str(brightness_model)), plan([source], out)
    label_files(predictor, tasks, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    real = os.open

    def broken(path: str, flags: int, *mode: int) -> int:
        if Path(path).name == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, flags, *mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", broken)
        with pytest.raises(DataError, match=rf"cannot open the file \(Input/output error\).*{name}"):
            label_files(predictor, tasks, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
