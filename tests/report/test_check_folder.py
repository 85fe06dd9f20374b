"""The page on a check: every finding, thumbnails, nothing else needed."""

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.check import KINDS, Finding, Report, check
from lstm2d.errors import ConfigError
from lstm2d.report.check_folder import WRONG, write_check
from tests.data.check.planted import Planter, plant
from tests.report.test_html import EVIL, Reader


def pictures(page: Reader) -> list[np.ndarray]:
    found = []
    for image in page.all("img"):
        head, _, data = str(image["src"]).partition(",")
        assert head == "data:image/png;base64"
        with Image.open(BytesIO(base64.b64decode(data))) as stored:
            found.append(np.array(stored.convert("RGB")))
    return found


def read(folder: Path) -> Reader:
    return Reader((folder / "report.html").read_text())


def test_the_page_of_planted_faults(tmp_path: Path, rng: np.random.Generator) -> None:
    expected = plant(tmp_path / "data", rng)
    report = check(tmp_path / "data")
    write_check(report, tmp_path / "out")
    page = read(tmp_path / "out")
    texts = " ".join(page.texts)
    for kind, file in expected:
        assert KINDS[kind].title in texts
        assert file in texts
    assert json.loads((tmp_path / "out" / "findings.json").read_text()) == report.as_json()
    assert len(pictures(page)) > 20
    assert page.all("script") == page.all("link") == []
    again = (tmp_path / "out" / "report.html").read_bytes()
    write_check(report, tmp_path / "out")  # replaces its own
    assert (tmp_path / "out" / "report.html").read_bytes() == again


def test_a_cross_marks_the_pixel(tmp_path: Path, rng: np.random.Generator) -> None:
    planter = Planter(tmp_path / "data", rng)
    planter.edit_mask("value", "mask-value", np.zeros_like)
    with Image.open(planter.mask("value")) as stored:
        labels = np.array(stored)
    labels[24, 32] = 9
    Image.fromarray(labels).save(planter.mask("value"))
    planter.finish()
    write_check(check(planter.root), tmp_path / "out")
    (picture,) = [one for one in pictures(read(tmp_path / "out")) if (one == WRONG).all(axis=-1).any()]
    assert picture.shape == (150, 200, 3)
    rows, columns = np.nonzero((picture == WRONG).all(axis=-1))
    assert (rows.mean(), columns.mean()) == (pytest.approx(76, abs=1.5), pytest.approx(101, abs=1.5))
    assert picture[0, 0].tolist() == [0, 0, 100]  # the colour of class 0


def test_every_finding_is_listed(tmp_path: Path) -> None:
    findings = tuple(Finding("missing-mask", f"images/{k}.png", "there is no mask") for k in range(40))
    write_check(Report(tmp_path / "data", "many", 40, findings), tmp_path / "out")
    texts = " ".join(read(tmp_path / "out").texts)
    assert all(finding.file in texts for finding in findings)


def test_texts_are_escaped(tmp_path: Path) -> None:
    findings = (Finding("dataset", EVIL, EVIL), Finding("split-entry", "splits/a.txt", EVIL, {"line": 3}))
    write_check(Report(tmp_path / "data", EVIL, 1, findings), tmp_path / "out")
    page = read(tmp_path / "out")
    assert page.all("script") == []
    assert "splits/a.txt, line 3" in page.texts


def test_nothing_found(tmp_path: Path) -> None:
    write_check(Report(tmp_path / "data", "good", 3), tmp_path / "out")
    page = read(tmp_path / "out")
    assert "None." in page.texts
    assert pictures(page) == []


def test_folders_of_others_are_not_used(tmp_path: Path, rng: np.random.Generator) -> None:
    planter = Planter(tmp_path / "data", rng)
    planter.add("a")
    planter.finish()
    report = check(planter.root)
    for folder in (planter.root, planter.root / "images", planter.root / "masks"):
        with pytest.raises(ConfigError):
            write_check(report, folder)
        names = sorted(path.name for path in folder.iterdir())
        assert "report.html" not in names
    with pytest.raises(ConfigError, match="among the images"):
        write_check(report, planter.root / "images", overwrite=True)
