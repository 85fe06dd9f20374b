"""What the demo shows: labelled scenes, a labelled photograph, and an HTML page."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lstm2d.data.folder import DatasetFolder
from lstm2d.io.atomic import make_folder, write_bytes
from lstm2d.io.class_files import ClassTable, write_class_files
from lstm2d.io.classes import palette_of
from lstm2d.io.gallery import Example, draw_gallery, encode_png
from lstm2d.io.images import read_photo
from lstm2d.io.label_images import write_labels, write_overlay
from lstm2d.predict.evaluate import Evaluated, Evaluation
from lstm2d.predict.predictor import Predictor
from lstm2d.report.html import (
    Picture,
    Section,
    class_table,
    constant_tables,
    percent,
    report_on_runs,
    write_report,
)
from lstm2d.report.plots import example_of

SHOWN = 4  # scenes in the gallery, besides the photograph

INTRO = (
    "A recurrent network that reads a picture from its four corners was trained on drawn outdoor scenes. "
    "In these, sky and water, road and building, tree and mountain have the same colours: what a pixel is "
    "depends on its surroundings."
)


def photograph() -> Path | None:
    """Return scikit-image's own outdoor photograph, rocket.jpg; nothing is downloaded.

    Returns
    -------
    Path or None
        The file in the installed package; None if the package has no photographs.
    """
    with suppress(ImportError, ValueError):
        package = importlib.util.find_spec("skimage")
        for place in (package.submodule_search_locations or []) if package else []:
            path = Path(place) / "data" / "rocket.jpg"
            if os.path.isfile(path):
                return path
    return None


class SceneSheet:
    """Keeps the first scenes of an evaluation with their labels, as its listener."""

    def __init__(self) -> None:
        self.examples: dict[str, Example] = {}

    def __call__(self, one: Evaluated) -> None:
        """Take one scene."""
        if len(self.examples) < SHOWN:
            self.examples[one.score.image] = example_of(one)


def label_all(folder: Path, dataset: DatasetFolder, sheet: SceneSheet, bundled: Predictor) -> list[Example]:
    """Label the photograph with the bundled model, and write its labels and those of the scenes.

    Parameters
    ----------
    folder : Path
        Folder to create for labels and overlays.
    dataset : DatasetFolder
        The scenes.
    sheet : SceneSheet
        Labelled scenes.
    bundled : Predictor
        The model in the package.

    Returns
    -------
    list of Example
        For the gallery.
    """
    make_folder(folder)
    named = [(stem, example, dataset.classes) for stem, example in sheet.examples.items()]
    photo = photograph()
    if photo is not None:
        image = read_photo(photo).pixels
        example = Example(image, bundled.predict(image), None, f"{photo.name} (outdoor)")
        named.append((photo.stem, example, bundled.classes))
    for table in (
        ClassTable(bundled.name, bundled.classes, bundled.model.ignore),
        ClassTable("run", dataset.classes, dataset.ignore),
    ):
        write_class_files(folder, table)
    for name, example, classes in named:
        palette = palette_of(classes)
        write_labels(folder / f"{name}.png", example.labels, palette)
        write_overlay(folder / f"{name}_overlay.png", example.image, example.labels, palette)
    return [example for _, example, _ in named]


def write_pages(root: Path, examples: Sequence[Example], evaluation: Evaluation, bundled: Predictor) -> None:
    """Write gallery.png and report.html.

    Parameters
    ----------
    root : Path
        Folder of the demo, with the training run in "run".
    examples : sequence of Example
        What was labelled.
    evaluation : Evaluation
        Figures of the test scenes.
    bundled : Predictor
        The model in the package.
    """
    sheet = encode_png(draw_gallery(examples, bundled.classes), colours=256, classes=bundled.classes)
    write_bytes(root / "gallery.png", sheet)
    labels = Section(
        "Labels",
        "Scenes that the network did not see in training, and a photograph. The network labelled the scenes, "
        "the model in the package the photograph.",
        pictures=(Picture("Labels", sheet, "Each column is one picture."),),
    )
    figures = evaluation.figures
    accuracies = ", ".join(
        f"{name} {percent(figures[key])}"
        for key, name in (
            ("pixel_accuracy", "pixel accuracy"),
            ("class_accuracy", "class accuracy"),
            ("mean_iou", "mean IoU"),
        )
    )
    tested = Section(
        "Test scenes",
        f"{figures['images']} scenes: {accuracies}.",
        (*constant_tables(figures["per_class"]), class_table(figures["per_class"])),
    )
    trained = report_on_runs([root / "run"])
    about = Section("Model in the package", f"{bundled.model.trained_on}\n{bundled.model.terms}")
    write_report(root / "report.html", "lstm2d demo", INTRO, [labels, tested, *trained, about])
