"""Reports: one file, nothing executed, everything escaped."""

import base64
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lstm2d.report.html import (
    Picture,
    Section,
    Table,
    compare,
    constant_tables,
    minutes,
    percent,
    render,
    report_on_runs,
    write_report,
)
from lstm2d.report.plots import write_run_plots
from lstm2d.report.runs import read_run

VOID = {"meta", "img", "br", "link"}
EVIL = '<script>alert("x")</script>'


class Reader(HTMLParser):
    """Checks that tags match, and keeps tags and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_everything_is_escaped() -> None:
    section = Section(
        EVIL, EVIL, (Table((EVIL,), ((EVIL,),)),), (Picture(EVIL, b"png", EVIL + '"'),), ((EVIL, EVIL),)
    )
    page = Reader(render(EVIL, EVIL, [section]))
    assert page.all("script") == []
    # title, h1, intro, h2, text, head and body of the table, summary and text of the details
    assert page.texts.count(EVIL) == 9
    assert "alert" not in "".join(f"{tag}{sorted(attrs)}" for tag, attrs in page.tags)
    assert page.all("img")[0]["alt"] == f'{EVIL}. {EVIL}"'


def test_a_page_needs_nothing_but_itself(run_folder: Path, red_dataset: Path, tmp_path: Path) -> None:
    write_run_plots(run_folder, red_dataset)
    path = tmp_path / "report.html"
    write_report(path, "title", "intro", report_on_runs([run_folder]))
    text = path.read_text(encoding="utf-8")
    page = Reader(text)
    assert "http:" not in text
    assert "https:" not in text
    assert not page.all("script")
    assert not page.all("link")
    images = page.all("img")
    assert len(images) == 4
    for image in images:
        kind, _, content = (image["src"] or "").partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content, validate=True).startswith(b"\x89PNG")
        assert image["alt"]
    policy = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert 'preset = "<b>bold</b>"' in page.texts  # config.toml, as text
    assert not page.all("script")


def test_runs_side_by_side(run_folder: Path) -> None:
    run = read_run(run_folder)
    table = compare([run, run])
    assert len(table.rows) == 2
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert row["run"] == "run one"
    assert row["parameters"] == "126"
    assert row["epochs"] == "3"
    assert row["training"] == "2 min"
    assert [row[name] for name in ("pixel accuracy", "class accuracy", "mean IoU")] == [
        "75.0 %",
        "60.0 %",
        "absent",
    ]
    assert [s.title for s in report_on_runs([run_folder, run_folder])] == [
        "Runs",
        "Run: run one",
        "Run: run one",
    ]


def test_foreground_iou_has_a_column_if_a_run_has_two_classes(run_folder: Path) -> None:
    run = read_run(run_folder)
    figures = {**run.model.metrics["validation"], "foreground_iou": 0.625}
    other = replace(run, model=replace(run.model, metrics={"validation": figures}))
    table = compare([run, other])
    assert table.header[-1] == "foreground IoU"
    assert [row[-1] for row in table.rows] == ["absent", "62.5 %"]
    assert "foreground IoU" not in compare([run]).header


def test_words_for_numbers() -> None:
    assert percent(0.12345) == "12.3 %"
    assert percent(1) == "100.0 %"
    assert percent(None) == "absent"
    assert [minutes(s) for s in (0.4, 119, 120, 3600, 7200, 9000)] == [
        "0 s",
        "119 s",
        "2 min",
        "60 min",
        "2.0 h",
        "2.5 h",
    ]


@pytest.mark.parametrize("sections", [[], [Section("only a title")]])
def test_short_reports(sections: list[Section]) -> None:
    page = Reader(render("title", "", sections))
    assert len(page.all("h2")) == len(sections)
    assert not page.all("p")


def test_constant_labels_by_hand() -> None:
    figures = {"sky": {"pixels": 1}, "road": {"pixels": 3}, "car": {"pixels": None}}
    (table,) = constant_tables(figures)
    assert table.header == ("constant labels", "pixel accuracy", "class accuracy", "mean IoU")
    assert table.rows == [("every pixel road", "75.0 %", "50.0 %", "37.5 %")]
    assert constant_tables({"sky": {"accuracy": None}}) == []
