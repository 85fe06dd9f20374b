"""`--crf`, `--no-crf` and `--set` of predict and evaluate, and `--edge`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lstm2d as library
from lstm2d.config.crf import CRF_SETS, DEFAULT_SET, crf_settings
from lstm2d.io.model_file import load_model, save_model
from lstm2d.metrics.edges import WIDEST
from lstm2d.pipeline.crf import described, refine
from lstm2d.predict.manifest import read_manifest


@pytest.fixture
def crf_model(brightness_model: Path, tmp_path: Path) -> Path:
    """Return the brightness model with a CRF of its own."""
    model = load_model(brightness_model)
    model.config["crf"] = {"iterations": 3, "theta_beta": 20.0}
    save_model(tmp_path / "crf.safetensors", model)
    return tmp_path / "crf.safetensors"


def test_the_copies_of_constants() -> None:
    from lstm2d.cli.evaluate import WIDEST_EDGE
    from lstm2d.cli.options import DEFAULT_CRF

    assert (DEFAULT_CRF, WIDEST_EDGE) == (DEFAULT_SET, WIDEST)


@pytest.mark.parametrize(
    ("options", "name", "overrides"),
    [
        (["--crf"], DEFAULT_SET, []),
        (["--crf", "deeplab-voc"], "deeplab-voc", []),
        (
            ["--set", "crf.theta_beta=9", "--set", "crf.exact=true"],
            DEFAULT_SET,
            ["theta_beta=9", "exact=true"],
        ),
        (["--crf", "deeplab-voc", "--set", "crf.iterations=4"], "deeplab-voc", ["iterations=4"]),
    ],
)
def test_what_predict_writes(
    lstm2d: Callable,
    brightness_model: Path,
    photos: Path,
    tmp_path: Path,
    options: list[str],
    name: str,
    overrides: list[str],
) -> None:
    out = tmp_path / "out"
    ran = lstm2d("predict", brightness_model, photos, "-o", out, "--probabilities", "--json", *options)
    assert ran.code == 0, ran.err
    settings = crf_settings(name, [f"crf.{item}" for item in overrides])
    assert ran.json["crf"] == settings.model_dump()
    assert {row["crf"] for row in read_manifest(out / "predictions.csv")} == {described(settings)}
    image = np.asarray(Image.open(photos / "a.png"))
    wanted = refine(library.load(brightness_model).predict_proba(image), image, settings)
    with np.load(out / "a.npz") as saved:
        np.testing.assert_array_equal(saved["probabilities"], wanted)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "a.png")), wanted.argmax(axis=2))


def test_plain_predict_says_nothing_of_a_crf(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--json")
    assert "crf" not in ran.json
    assert {row["crf"] for row in read_manifest(tmp_path / "out/predictions.csv")} == {""}


def test_a_models_own_crf(lstm2d: Callable, crf_model: Path, photos: Path, tmp_path: Path) -> None:
    def settings(*options: str) -> dict | None:
        ran = lstm2d("predict", crf_model, photos / "a.png", "-o", tmp_path / "out", "--json", *options)
        assert ran.code == 0, ran.err
        return ran.json.get("crf")

    own = crf_settings({"iterations": 3, "theta_beta": 20.0}).model_dump()
    assert settings() == own
    assert settings("--no-crf") is None
    assert settings("--set", "crf.theta_beta=5") == own | {"theta_beta": 5.0}
    assert settings("--crf", "deeplab-voc") == crf_settings("deeplab-voc").model_dump()


def test_skip_done_goes_by_the_crf(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("predict", brightness_model, photos, "-o", out, "--skip-done", "--json")
    counts = []
    for options in ((), ("--crf",), ("--crf",), ("--set", "crf.theta_beta=5"), ()):
        ran = lstm2d(*command, *options)
        counts.append((ran.json["images"], ran.json["skipped"], ran.json["redone"]))
    assert counts == [
        (3, 0, {}),
        (3, 0, {"other settings (crf)": 3}),
        (0, 3, {}),
        (3, 0, {"other settings (crf.theta_beta)": 3}),
        (3, 0, {"other settings (crf)": 3}),
    ]
    assert {row["crf"] for row in read_manifest(out / "predictions.csv")} == {""}


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--crf", "deeplabvoc"], ["no such set", "did you mean deeplab-voc", *CRF_SETS]),
        (["--set", "crf.theta_beta=0"], ["crf.theta_beta = 0 (--set)", "a number >= 0.1"]),
        (["--set", "crf.theta_betta=1"], ["unknown key (--set); did you mean crf.theta_beta"]),
        (["--set", "train.epochs=1"], ["train.epochs: unknown key"]),
        (["--set", "crf.exact=maybe"], ["crf.exact = 'maybe'", "true or false"]),
        (["--set", "crf"], ["expected key=value"]),
        (["--no-crf", "--crf"], ["--no-crf together with --crf"]),
        (["--no-crf", "--set", "crf.exact=true"], ["leave one out"]),
    ],
)
def test_wrong_settings(
    lstm2d: Callable,
    brightness_model: Path,
    dataset: Path,
    tmp_path: Path,
    command: str,
    options: list[str],
    parts: list[str],
) -> None:
    where = [dataset / "images", "-o", tmp_path / "out"] if command == "predict" else [dataset]
    ran = lstm2d(command, brightness_model, *where, *options)
    assert ran.code == 2
    for part in parts:
        assert part in ran.err
    assert not (tmp_path / "out").exists()


def test_evaluate_with_a_crf(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    ran = lstm2d("evaluate", brightness_model, dataset, "--json", "--set", "crf.spatial_weight=100")
    assert ran.code == 0, ran.err
    assert ran.json["crf"] == crf_settings(overrides=["crf.spatial_weight=100"]).model_dump()
    # image b is bright, bright, dark, bright: this strong CRF makes it bright everywhere
    assert ran.json["confusion"][0][1] > 1


def test_edge_accuracy(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    # of a all three labelled pixels lie at an edge, one of them wrong; of b the two in the middle, both right
    reds = np.array([[0, 255, 255, 0, 0, 0]], np.uint8)
    Image.fromarray(np.repeat(reds[:, :, None], 3, axis=2)).save(dataset / "images/b.png")
    Image.fromarray(np.array([[1, 1, 1, 0, 0, 0]], np.uint8)).save(dataset / "masks/b.png")
    ran = lstm2d("evaluate", brightness_model, dataset, "--json", "--edge", "1")
    assert ran.code == 0
    assert (ran.json["edge_accuracy"], ran.json["edge_width"]) == (pytest.approx(4 / 5), 1)
    assert ran.json["edge_pixels"] == 5
    assert ran.json["pixel_accuracy"] == pytest.approx(7 / 9)
    assert "within 1 of an edge  80.00 %" in lstm2d("evaluate", brightness_model, dataset, "--edge", 1).out


@pytest.mark.parametrize("width", ["0", "101", "x"])
def test_wrong_edges(lstm2d: Callable, brightness_model: Path, dataset: Path, width: str) -> None:
    ran = lstm2d("evaluate", brightness_model, dataset, "--edge", width)
    assert ran.code == 2
    assert "--edge" in ran.err
