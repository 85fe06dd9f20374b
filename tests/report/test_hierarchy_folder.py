"""Plots and patches of hierarchies."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lstm2d.report import hierarchy_plots
from lstm2d.report.hierarchy_plots import COMMON, RARE, plot_filling, plot_frequencies
from lstm2d.report.patch_sheets import SIDE, draw_patches, patch
from tests.hierarchy.examples import clusters
from tests.report.drawn import keep_figures


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return a list that gets the figures that are drawn."""
    return keep_figures(hierarchy_plots, monkeypatch)


def colours(axes: object) -> list[str]:
    from matplotlib.colors import to_hex

    return [to_hex(bar.get_facecolor()) for bar in axes.patches]  # type: ignore[attr-defined]


def test_frequencies(drawn: list[Figure]) -> None:
    png = plot_frequencies(clusters())
    with Image.open(BytesIO(png)) as image:
        assert image.size == (1100, 1056)
    top, middle, bottom = drawn[0].axes
    assert [bar.get_height() for bar in top.patches] == [50, 25, 5]
    assert colours(top) == [COMMON, COMMON, RARE]
    assert [text.get_text() for text in top.get_xticklabels()] == ["sky", "tree", "road"]
    assert np.asarray(middle.lines[0].get_ydata()).tolist() == [62.5, 93.75, 100.0]
    assert np.asarray(middle.lines[1].get_ydata()).tolist() == [93.0, 93.0]  # rho
    assert [bar.get_height() for bar in bottom.patches] == [30, 25, 20, 5]
    assert [text.get_text() for text in bottom.get_xticklabels()] == ["sky 1", "tree", "sky 2", "road"]
    assert colours(bottom) == [COMMON, COMMON, COMMON, RARE]


def test_filling(drawn: list[Figure]) -> None:
    assert plot_filling(clusters()) is None
    hierarchy = clusters()
    settings = {**hierarchy.settings, "samples_before_filling": (9, 8, 4), "filled_images": 2, "images": 5}
    assert plot_filling(replace(hierarchy, settings=settings)) is not None
    (axes,) = drawn[0].axes
    assert [bar.get_height() for bar in axes.patches] == [9, 8, 4, 50, 25, 5]
    assert "2 of 5 images were filled" in axes.get_title("left")


def test_a_patch_inside(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(patch(image, 8, 11, 5), image[6:11, 9:14])


def test_a_patch_beyond_the_border_has_the_mean_colour(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    found = patch(image, 1, 8, 7)
    mean = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
    assert np.array_equal(found[2:7, :4], image[:5, 5:])
    assert (found[:2] == mean).all()
    assert (found[:, 4:] == mean).all()


def test_a_sheet_has_a_row_per_subclass() -> None:
    red, blue = (np.full((9, 9, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
    sheet = draw_patches([("one", [red, blue]), ("two", [blue])], 2)
    places = [
        np.argwhere((sheet == colour).all(axis=2)) for colour in ((200, 0, 0), (0, 0, 200), (240, 241, 243))
    ]
    assert [len(place) for place in places] == [SIDE * SIDE, 2 * SIDE * SIDE, SIDE * SIDE]
    assert places[0][0].tolist()[0] < places[2][0].tolist()[0]  # the missing patch is in the second row
