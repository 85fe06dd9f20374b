"""Contents of the figures, read back from matplotlib."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lstm2d.io.classes import ClassInfo
from lstm2d.report import canvas, figures
from tests.io.made_fonts import make_font, only_fonts_of
from tests.report.drawn import keep_figures

CLASSES = tuple(ClassInfo(name, (10 * k, 20, 30)) for k, name in enumerate(("sky", "$tree$", "道路")))
ROWS: list[dict[str, float | None]] = [
    {"epoch": 1.0, "loss": 2.0, "pixel_accuracy": 0.5, "class_accuracy": 0.4, "mean_iou": None},
    {"epoch": 2.0, "loss": 1.0, "pixel_accuracy": None, "class_accuracy": None, "mean_iou": None},
    {"epoch": 3.0, "loss": 1.5, "pixel_accuracy": 0.8, "class_accuracy": 0.3, "mean_iou": 0.25},
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return a list that gets the figures that are drawn."""
    return keep_figures(figures, monkeypatch)


def size(png: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(png)) as image:
        image.load()
        return image.size


def test_curves(drawn: list[Figure]) -> None:
    width, height = size(figures.plot_curves(ROWS))
    assert abs(width - 902) <= 1  # matplotlib rounds it as it likes
    assert height == 341
    loss, metrics = drawn[0].axes
    assert loss.lines[0].get_xydata().tolist() == [[1, 2], [2, 1], [3, 1.5]]
    assert loss.lines[1].get_xydata().tolist() == [[2, 1]]  # the lowest
    assert [t.get_text() for t in loss.texts] == ["1.000"]
    lines = {line.get_label(): line.get_xydata().tolist() for line in metrics.lines[::2]}
    assert lines == {
        "pixel accuracy": [[1, 0.5], [3, 0.8]],
        "class accuracy": [[1, 0.4], [3, 0.3]],
        "mean IoU": [[3, 0.25]],
    }
    assert [t.get_text() for t in metrics.texts] == ["80.0 %", "40.0 %", "25.0 %"]


def test_curves_of_two_classes(drawn: list[Figure]) -> None:
    figures.plot_curves([{**ROWS[0], "foreground_iou": 0.125}, {**ROWS[2], "foreground_iou": 0.375}])
    lines = {line.get_label(): line.get_xydata().tolist() for line in drawn[0].axes[1].lines[::2]}
    assert lines["foreground IoU"] == [[1, 0.125], [3, 0.375]]
    assert len(lines) == 4


@pytest.mark.parametrize("rows", [[], ROWS[:1], [{"epoch": 1.0, "loss": None}]])
def test_curves_of_short_runs(rows: list[dict[str, float | None]]) -> None:
    assert size(figures.plot_curves(rows)) == size(figures.plot_curves(ROWS))


def test_same_bytes_again() -> None:
    assert figures.plot_curves(ROWS) == figures.plot_curves(ROWS)


def test_confusion(drawn: list[Figure], tmp_path: Path) -> None:
    confusion = [[6, 2, 0], [1, 3, 0], [0, 0, 0]]
    frequencies = {"training": [0.5, 0.5, 0.0], "test": [8 / 12, 4 / 12, 0.0]}
    with only_fonts_of(tmp_path):
        cjk = make_font(tmp_path / "cjk.ttf", "道路lp")
        figures.plot_confusion(confusion, CLASSES, frequencies)
    table, bars = drawn[0].axes
    numbers = [t.get_text() for t in table.texts]
    assert numbers == ["75", "25", "0", "25", "75", "0", "-", "-", "-"]
    assert [t.get_text() for t in table.get_yticklabels()] == ["sky", "$tree$", "道路"]
    assert [t.get_text() for t in table.get_xticklabels()] == ["sky", "$tree$", "道路"]
    assert [t.get_fontproperties().get_file() for t in table.get_xticklabels()] == [None, None, str(cjk)]
    assert {t.get_fontsize() for t in table.get_xticklabels()} == {8.0}
    widths = [bar.get_width() for bar in bars.patches]
    assert widths == pytest.approx([50, 50, 0, 100 * 8 / 12, 100 * 4 / 12, 0])
    places = [bar.get_y() + bar.get_height() / 2 for bar in bars.patches]
    assert np.rint(places).astype(int).tolist() == [0, 1, 2, 0, 1, 2]  # next to the rows of the table
    assert table.get_ylim() == bars.get_ylim()
    assert [t.get_text() for t in bars.get_legend().get_texts()] == ["training", "test"]


def test_names_in_any_script(drawn: list[Figure], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = ["道路", "ไทย", "\U0001f333", "a\n$b$\0", "x" * 10_000, "_a", "\udcff", "", "\ue000", "étang"]
    classes = [ClassInfo(name, (k, k, k)) for k, name in enumerate(names)]
    with only_fonts_of(tmp_path):  # none but DejaVu Sans: a warning about a missing glyph would be an error
        figures.plot_confusion(np.eye(10, dtype=int), classes, {"all": [0.1] * 10})
    found = [t.get_text() for t in drawn[0].axes[0].get_yticklabels()]
    assert found == ["0", "1", "2", "a $b$", "x" * 21 + "…", "_a", "\ufffd", "7", "8", "étang"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("count", [1, 2, 33])
def test_confusion_of_few_and_many_classes(count: int, drawn: list[Figure]) -> None:
    classes = [ClassInfo("a very long name of a class " * 2 + str(k), (k, k, k)) for k in range(count)]
    shares: Sequence[float] = [1 / count] * count
    figures.plot_confusion(np.eye(count, dtype=int), classes, {"all": shares})
    assert len(drawn[0].axes[0].texts) == (count * count if count <= figures.MAX_NUMBERS else 0)


def test_differences(drawn: list[Figure], tmp_path: Path) -> None:
    """Bars in the given order, points with their sign, both panels to one scale, names in their fonts."""
    gains = [(2, 0.25, -0.05), (0, 0.0, 0.0), (1, -0.1, -0.00001)]
    with only_fonts_of(tmp_path):
        cjk = make_font(tmp_path / "cjk.ttf", "道路lp")
        figures.plot_differences("$b$ compared with a", CLASSES, gains)
    left, right = drawn[0].axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx([25, 0, -10])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([-5, 0, -0.001])
    assert [t.get_text() for t in left.texts] == ["+25.0", "+0.0", "-10.0"]
    assert [t.get_text() for t in right.texts] == ["-5.0", "+0.0", "+0.0"]
    labels = left.get_yticklabels()
    assert [t.get_text() for t in labels] == ["道路", "sky", "$tree$"]
    assert [t.get_fontproperties().get_file() for t in labels] == [str(cjk), None, None]
    colours = [bar.get_facecolor() for bar in left.patches]
    assert colours[0] != colours[2]
    assert left.get_xlim() == right.get_xlim() == pytest.approx((-10 - 0.15 * 35, 25 + 0.15 * 35))
    assert left.get_ylim() == (2.5, -0.5)  # the first bar on top
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["accuracy", "IoU"]
    assert drawn[0].get_suptitle() == "$b$ compared with a"


@pytest.mark.parametrize(("count", "numbers"), [(1, 2), (60, 120), (61, 0)])
def test_differences_of_few_and_many_classes(count: int, numbers: int, drawn: list[Figure]) -> None:
    """Without any difference there is still a scale; a title that no font can show is left out."""
    classes = [ClassInfo("a very long name of a class " * 2 + str(k), (0, 0, 0)) for k in range(count)]
    width, height = size(figures.plot_differences("\ue000", classes, [(k, 0.0, 0.0) for k in range(count)]))
    assert abs(width - 902) <= 1
    assert height <= 1540
    assert sum(len(axes.texts) for axes in drawn[0].axes) == numbers
    assert drawn[0].axes[0].get_xlim() == (-0.5, 0.5)
    assert drawn[0].get_suptitle() == ""


def test_no_global_state_of_matplotlib_changes() -> None:
    import matplotlib as mpl

    before = {name: mpl.rcParams[name] for name in canvas.STYLE}
    assert before != canvas.STYLE
    figures.plot_curves(ROWS)
    assert {name: mpl.rcParams[name] for name in canvas.STYLE} == before
