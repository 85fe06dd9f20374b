"""Readers of label hierarchies and of the records of runs and predictions."""

from __future__ import annotations

import json
from pathlib import Path

from lstm2d.hierarchy.file import is_hierarchy, load_hierarchy, save_hierarchy
from lstm2d.predict.earlier import Earlier
from lstm2d.predict.held_out import listed, record_text
from lstm2d.predict.manifest_file import FIXED, MARKS, read_table, row_line
from lstm2d.report.runs import read_results
from lstm2d.training.caches import _read_record
from lstm2d.training.recorder import COLUMNS, Recorder
from lstm2d.weights.store import is_stored
from tests.hierarchy import examples
from tests.reliability.fuzz.forms import json_form, line_json_form
from tests.reliability.fuzz.made import bytes_of
from tests.reliability.fuzz.target import Target

_CSV = (b",", b'"', b'""', b"\r", b"\n", b"\r\n", b"'=", b'"a\nb"', b"\0", b"=1+1")


def _hierarchies() -> list[bytes]:
    made = (examples.clusters(), examples.scenes())
    return [bytes_of(lambda path, h=h: save_hierarchy(path, h)) for h in made]


def _hierarchy(path: Path) -> None:
    is_hierarchy(path)
    is_stored(path)
    load_hierarchy(path)


def _manifests() -> list[bytes]:
    columns = (*FIXED, *MARKS, "area sky")
    rows = [
        {"image": "/a/b.png", "labels": "b.png", "seconds": "0.1", "model": "m", "settings": "{}"},
        {"image": "/a/c\r\nd.png", "labels": "c.png", "error": 'cannot "decode", it'},
        {"image": "'=x.png", "labels": "'=x.png"},
    ]
    text = ",".join(columns) + "\n" + "".join(row_line(columns, row) for row in rows)
    return [text.encode(), ",".join(FIXED).encode() + b"\n/a.png,a.png,0.1,,\n"]


def _manifest(path: Path) -> None:
    read_table(path)
    earlier = Earlier(path.parent)
    earlier.owns("b.png")


def _results() -> list[bytes]:
    row = b",".join(b"1" for _ in COLUMNS)
    return [",".join(COLUMNS).encode() + b"\n" + row + b"\n" + row.replace(b"1,1,", b"2,,", 1) + b"\n"]


def _rewind_results(path: Path) -> None:
    read_results(path)
    Recorder(path.parent).rewind(1, 1)


def _logs() -> list[bytes]:
    events = (
        {"event": "start", "step": 0},
        {"event": "step", "step": 1, "loss": 0.5},
        {"event": "epoch", "step": 2},
    )
    return ["".join(json.dumps(event) + "\n" for event in events).encode()]


def _run_records() -> list[bytes]:
    return [record_text("r", {"a": "0" * 32, "b": "f" * 32}).encode()]


TARGETS = (
    Target("hierarchy", _hierarchies, _hierarchy, file="h.json", forms=(json_form,)),
    Target("predictions.csv", _manifests, _manifest, file="predictions.csv", words=_CSV),
    Target("results.csv", _results, _rewind_results, file="results.csv", words=_CSV),
    Target(
        "log.jsonl",
        _logs,
        lambda path: Recorder(path.parent).rewind(1, 1),
        file="log.jsonl",
        forms=(line_json_form,),
    ),
    Target("run.json", _run_records, listed, file="run.json", forms=(json_form,)),
    Target("use of a cache", lambda: [b'{"run": "/a", "data": "/b"}\n'], _read_record, forms=(json_form,)),
)
