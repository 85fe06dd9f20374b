"""Two models side by side: which images are shown, with which labels."""

import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.data.folder import DatasetFolder
from lstm2d.io.gallery import Example
from lstm2d.metrics.confusion import Confusion
from lstm2d.predict import Predictor
from lstm2d.predict.evaluate import Evaluated, ImageScore
from lstm2d.predict.several import plan
from lstm2d.report import side_by_side
from lstm2d.report.evaluation import Evaluator
from lstm2d.report.side_by_side import SHOWN, KeptLabels, choose_images


@pytest.mark.slow
def test_sheets_and_bars(
    run_folder: Path, dark_model: Path, red_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In image k the brightness model has 10 - k of ten columns right, the dark one 5 + k."""
    sheets: list[tuple[Sequence[str], Mapping[str, Sequence[Example]]]] = []
    bars: list[tuple[str, list[tuple[int, float, float]]]] = []
    labelled: list[tuple[int, ...]] = []
    draw, plot = side_by_side.draw_side_by_side, side_by_side.plot_differences
    labels_of = Predictor.labels_of

    def count(self: Predictor, pixels: np.ndarray, size: Any = "auto") -> np.ndarray:
        labelled.append(pixels.shape)
        return labels_of(self, pixels, size)

    monkeypatch.setattr(side_by_side, "SHOWN", 1)
    monkeypatch.setattr(Predictor, "labels_of", count)
    monkeypatch.setattr(
        side_by_side, "draw_side_by_side", lambda s, m, c: (sheets.append((s, m)), draw(s, m, c))[1]
    )
    monkeypatch.setattr(
        side_by_side, "plot_differences", lambda t, c, d: (bars.append((t, d)), plot(t, c, d))[1]
    )
    data = DatasetFolder(red_dataset)
    Evaluator(data).write_folder(plan([run_folder, dark_model], data, split="val"), tmp_path / "out")
    assert labelled.count((4, 10, 3)) == 2 * 4  # no image is labelled again for a picture
    shown = [(*stems, *(same[0].title for same in models.values())) for stems, models in sheets]
    assert shown == [
        ("val3", "70.0 %", "80.0 % (+10.0)"),
        ("val1", "90.0 %", "60.0 % (-30.0)"),
        ("val0", "100.0 %", "50.0 % (-50.0)"),
    ]
    left = np.zeros((4, 10), np.uint8)
    left[:, :5] = 1
    for k, (_, models) in zip((3, 1, 0), sheets, strict=True):
        assert list(models) == ["run one", "dark"]
        (ours,), (theirs,) = models.values()
        np.testing.assert_array_equal(ours.labels, left)
        np.testing.assert_array_equal(theirs.labels, np.zeros((4, 10)))
        truth = left.copy()
        truth[:, :k] = 0
        np.testing.assert_array_equal(ours.truth, truth)
        np.testing.assert_array_equal(ours.image[..., 0], 250 * left)
    # confusion tables: [[80, 24], [0, 56]] and [[104, 0], [56, 0]]; class 2 does not occur
    ((title, gains),) = bars
    assert title == "dark compared with run one"
    assert gains == [
        pytest.approx((0, 24 / 104, 104 / 160 - 80 / 104)),
        pytest.approx((1, -1.0, -56 / 80)),
    ]
    assert {p.name for p in (tmp_path / "out/dark").iterdir()} >= {
        "differences.png",
        "differences.csv",
        "gains.png",
        "between.png",
        "losses.png",
    }


def test_chosen_images_by_hand() -> None:
    """Images without labelled pixels are never shown."""
    few = [0.0, -0.25, None, 0.5]
    assert choose_images(few) == {"gains": [3], "between": [0], "losses": [1]}
    # ten gains of 0.10 to 0.01 and ten losses of 0.01 to 0.10; others: places 4 to 15
    many = [(10 - k) / 100 for k in range(10)] + [-k / 100 for k in range(1, 11)]
    chosen = {"gains": [0, 1, 2, 3], "between": [5, 8, 11, 14], "losses": [16, 17, 18, 19]}
    assert choose_images(many) == chosen
    assert choose_images([0.0] * 3) == {"gains": [], "between": [0, 1, 2], "losses": []}
    assert choose_images([None]) == {"gains": [], "between": [], "losses": []}


@given(st.lists(st.none() | st.integers(-20, 20).map(lambda n: n / 20), max_size=40))
def test_chosen_images(differences: list[float | None]) -> None:
    """No image is shown twice, and none that is left out differs more."""
    chosen = choose_images(differences)
    numbers = [number for shown in chosen.values() for number in shown]
    assert len(set(numbers)) == len(numbers)
    values = {name: [differences[number] or 0.0 for number in shown] for name, shown in chosen.items()}
    for shown in values.values():
        assert shown == sorted(shown, reverse=True)
    defined = sorted(value for value in differences if value is not None)
    assert values["gains"] == [v for v in defined[::-1] if v > 0][:SHOWN]
    assert values["losses"] == [v for v in defined if v < 0][:SHOWN][::-1]
    others = len(defined) - len(values["gains"]) - len(values["losses"])
    assert len(values["between"]) == min(SHOWN, others)


def test_labels_are_kept_in_a_file(tmp_path: Path, rng: np.random.Generator) -> None:
    """They come back from there, whatever their size, and no array of them stays in memory."""
    score = ImageScore("a", 1, 1.0, None, None, 0.0)
    kept = KeptLabels(tmp_path)
    arrays, copies = {}, {}
    for model in ("a", "b"):
        for number, shape in enumerate([(1, 1), (1, 3000), (700, 3), (40, 50)], start=1):
            labels = rng.integers(0, 33, shape, np.uint8)
            kept.keep(model, Evaluated(number, score, np.zeros((*shape, 3)), labels, labels, Confusion(33)))
            copies[model, number] = labels.tolist()
            arrays[model, number] = weakref.ref(labels)
            del labels
    held = [key for key, reference in arrays.items() if reference() is not None]
    assert held == []
    for model, number in reversed(copies):
        assert kept.labels(model, number).tolist() == copies[model, number]
    assert list(tmp_path.iterdir()) == []  # the file has no name
    kept.close()


def test_labels_that_are_a_view(tmp_path: Path) -> None:
    kept = KeptLabels(tmp_path)
    labels = np.arange(24, dtype=np.uint8).reshape(4, 6)[::-1, ::2]
    score = ImageScore("a", 1, 1.0, None, None, 0.0)
    kept.keep("a", Evaluated(1, score, np.zeros((4, 3, 3)), labels, labels, Confusion(24)))
    np.testing.assert_array_equal(kept.labels("a", 1), labels)
    kept.close()
