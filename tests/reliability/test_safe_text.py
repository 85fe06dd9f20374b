"""Names of images and classes in HTML pages and CSV files: they stay text, and nothing else is lost."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lstm2d.cli.program import program
from lstm2d.demo.showcase import INTRO
from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_file import load_model, save_model
from lstm2d.predict.csv_text import csv_name
from lstm2d.report.html import Picture, Section, Table, render, report_on_runs, write_report
from tests.report.test_html import Reader

EVIL_CLASSES = ('"><img src=x onerror=alert(1)>', "=HYPERLINK(0)&amp;", "</table><script>alert(1)</script>")
EVIL_STEMS = (
    "<script>alert(1)<b>",
    '"onload="alert(1)',
    "&lt;b&gt;",
    "'=cmd()",
    "=1+cmd()",
    "@SUM(1)",
    "a\nb,c",
    "a\r=1+1",
    "\t=x",
    "a\u202egnp",
    "{{ 7*7 }}",
    "a' style='x",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Made(NamedTuple):
    """A dataset, a model of its classes, and the names of its images."""

    data: Path
    model: Path
    stems: Sequence[str]


Make = Callable[[Sequence[str], Sequence[str]], Made]


@pytest.fixture
def make(tmp_path: Path, brightness_model: Path) -> Make:
    """Return a function that makes a dataset and a model with names of classes and stems of images."""

    def made(classes: Sequence[str], stems: Sequence[str]) -> Made:
        root = tmp_path / f"made {len(list(tmp_path.iterdir()))}"
        for name in ("images", "masks"):
            (root / "data" / name).mkdir(parents=True)
        tables = "".join(
            f"[[classes]]\nname = {json.dumps(name)}\ncolor = [{k}, {k}, {k}]\n"
            for k, name in enumerate(classes)
        )
        (root / "data/dataset.toml").write_text(f"ignore = 255\n{tables}")
        for number, stem in enumerate(stems):
            pixels = np.full((4, 6, 3), 40 * (number % 2) + 100, np.uint8)
            pixels[:, : number % 4 + 1] += 90
            labels = (pixels[..., 0] > 127).astype(np.uint8)
            labels[0] = 0
            Image.fromarray(pixels).save(root / f"data/images/{stem}.png")
            Image.fromarray(labels).save(root / f"data/masks/{stem}.png")
        infos = tuple(ClassInfo(name, (k, k, k)) for k, name in enumerate(classes))
        save_model(root / "model.safetensors", replace(load_model(brightness_model), classes=infos))
        return Made(root / "data", root / "model.safetensors", stems)

    return made


@pytest.fixture
def evil(make: Make) -> Made:
    """Return a dataset with hostile names."""
    return make(EVIL_CLASSES, EVIL_STEMS)


@pytest.fixture
def plain(make: Make) -> Made:
    """Return the same dataset with harmless names."""
    return make(("dark", "bright", "never"), [f"image {number:02d}" for number in range(len(EVIL_STEMS))])


def run(*arguments: object) -> int:
    """Run the program; return its exit code."""
    return CliRunner().invoke(program, [str(argument) for argument in arguments]).exit_code


def structure(path: Path) -> Counter[tuple[str, tuple[str, ...]]]:
    """Return how often each element with its attributes occurs in a page, whose names are in its texts."""
    page = Reader(path.read_text(encoding="utf-8"))
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value is not None
                assert value.startswith("data:")
    return Counter((tag, tuple(sorted(attributes))) for tag, attributes in page.tags)


def texts(path: Path) -> str:
    return "\n".join(Reader(path.read_text(encoding="utf-8")).texts)


def cells(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file; no cell is a formula, and all rows are complete."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    for row in rows:
        assert len(row) == len(rows[0]), row
        assert not [cell for cell in row if cell.startswith(FORMULA) and not _is_number(cell)]
    # a reader that ends a row at every line break outside of quotes finds the same ones
    assert len(rows) == _records(path.read_bytes())
    return rows


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _records(data: bytes) -> int:
    """Return the number of line breaks of any kind outside of quotes."""
    outside = b"".join(data.split(b'"')[::2])
    return len(outside.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")) - 1


def names(path: Path, column: str) -> list[str]:
    header, *rows = cells(path)
    return [csv_name(row[header.index(column)]) for row in rows]


@pytest.mark.slow
def test_an_evaluation(evil: Made, plain: Made, tmp_path: Path) -> None:
    for made, out in ((evil, tmp_path / "evil"), (plain, tmp_path / "plain")):
        assert run("evaluate", made.model, made.data, "-o", out) == 0
    assert structure(tmp_path / "evil/report.html") == structure(tmp_path / "plain/report.html")
    page = texts(tmp_path / "evil/report.html")
    for name in EVIL_CLASSES:
        assert name in page
    assert sorted(names(tmp_path / "evil/images.csv", "image")) == sorted(EVIL_STEMS)


@pytest.mark.slow
def test_a_comparison_of_models(evil: Made, plain: Made, tmp_path: Path) -> None:
    for made, out in ((evil, tmp_path / "evil"), (plain, tmp_path / "plain")):
        other = made.model.with_name("second.safetensors")
        other.write_bytes(made.model.read_bytes())
        assert run("evaluate", made.model, other, made.data, "-o", out) == 0
    (differences,) = (tmp_path / "evil").rglob("differences.csv")
    assert names(differences, cells(differences)[0][0]) == list(EVIL_CLASSES)
    assert structure(tmp_path / "evil/report.html") == structure(tmp_path / "plain/report.html")


def test_predictions(evil: Made, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    assert run("predict", evil.model, evil.data / "images", "-o", out) == 0
    assert sorted(names(out / "predictions.csv", "labels")) == sorted(f"{s}.png" for s in EVIL_STEMS)
    images = names(out / "predictions.csv", "image")
    assert sorted(Path(name).name for name in images) == sorted(f"{s}.png" for s in EVIL_STEMS)
    header = cells(out / "predictions.csv")[0]
    assert sum(any(name in column for column in header) for name in EVIL_CLASSES) in (0, len(EVIL_CLASSES))
    before = (out / "predictions.csv").read_bytes()
    assert run("predict", evil.model, evil.data / "images", "-o", out, "--skip-done") == 0
    assert (out / "predictions.csv").read_bytes() == before  # every image was found in it


def test_a_check(evil: Made, plain: Made, tmp_path: Path) -> None:
    for made, out in ((evil, tmp_path / "evil"), (plain, tmp_path / "plain")):
        for stem in made.stems[:5]:
            Image.fromarray(np.full((4, 6), 9, np.uint8)).save(made.data / f"masks/{stem}.png")
        assert run("data", "check", made.data, "-o", out) == 3
    assert structure(tmp_path / "evil/report.html") == structure(tmp_path / "plain/report.html")
    page = texts(tmp_path / "evil/report.html")
    for stem in EVIL_STEMS[:5]:
        assert stem in page
    found = json.loads((tmp_path / "evil/findings.json").read_text(encoding="utf-8"))
    assert EVIL_STEMS[0] in json.dumps(found)


def test_runs(evil: Made, plain: Made, tmp_path: Path) -> None:
    for made, folder in ((evil, "<img src=x onerror=alert(1)>"), (plain, "run")):
        root = tmp_path / folder
        root.mkdir()
        metrics = {"validation": {"pixel_accuracy": 0.5, "class_accuracy": 0.5, "mean_iou": None}, "step": 1}
        model = replace(load_model(made.model), metrics=metrics, trained_on=folder, terms=folder)
        save_model(root / "model.safetensors", model)
        (root / "results.csv").write_text("epoch,step,loss\n1,2,0.5\n")
        (root / "config.toml").write_text(f'preset = "{folder}"\n</pre><script>\n')
        sections = report_on_runs([root])
        write_report(tmp_path / f"{made.data.parent.name}.html", folder, folder, sections)
    pages = [tmp_path / f"{made.data.parent.name}.html" for made in (evil, plain)]
    assert structure(pages[0]) == structure(pages[1])
    assert "<img src=x onerror=alert(1)>" in texts(pages[0])


@pytest.mark.parametrize("name", [*EVIL_CLASSES, *EVIL_STEMS])
def test_every_text_of_a_page(name: str) -> None:
    """All pages, that of the demo too, are made by `render`."""

    def page(text: str) -> str:
        section = Section(
            text, text, (Table((text,), ((text, text),)),), (Picture(text, b"png", text),), ((text, text),)
        )
        return render(text, INTRO + text, [section])

    found, expected = Reader(page(name)), Reader(page("x"))
    shape = [(tag, sorted(attributes)) for tag, attributes in expected.tags]
    assert [(tag, sorted(attributes)) for tag, attributes in found.tags] == shape
    assert found.texts.count(name.strip()) == expected.texts.count("x") > 5
