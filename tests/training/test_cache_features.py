"""A run says where the features of its images are kept, and is recorded there."""

from pathlib import Path

import pytest

from lstm2d.cli.output import Console
from lstm2d.cli.train import Narrator
from lstm2d.config import RunConfig, from_dict, load_preset
from lstm2d.training.caches import caches
from lstm2d.training.events import FeaturesDone, FeaturesFilled
from lstm2d.training.loop import train
from tests.training.runs import Stopper

SECTION = {
    "kind": "reseg",
    "features": "conv1_1",
    "weights": "",
    "units": [2],
    "patches": [1],
    "unit": "gru",
    "upsampling": "bilinear",
}


def config(kind: str) -> RunConfig:
    table = {"model": SECTION, "train": {"epochs": 2}, "data": {"feature_cache": kind}}
    return from_dict(table, "test")


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_where_and_how_large(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Five training images and their mirror images, and two for validation, which are always float32."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path / "cache"))
    first, second = Stopper(), Stopper()
    train(config(kind), dataset, tmp_path / "first", report=first)
    (filled,) = [event for event in first.events if isinstance(event, FeaturesFilled)]
    files = list((tmp_path / "cache" / "features").rglob("*.npy"))
    assert len(files) == filled.computed == filled.total == 12
    assert filled.folder == str(tmp_path / "cache" / "features")
    assert filled.bytes == sum(path.stat().st_size for path in files)
    assert sum(isinstance(event, FeaturesDone) for event in first.events) == 12
    train(config(kind), dataset, tmp_path / "second", report=second)
    assert not any(isinstance(event, FeaturesFilled) for event in second.events)
    runs = tuple((str(tmp_path / name), str(dataset)) for name in ("first", "second"))
    found = [cache for cache in caches() if cache.kind == "features"]
    assert [cache.runs for cache in found] == [runs] * (2 if kind == "float16" else 1)
    assert sum(cache.count for cache in found) == 12


def test_what_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    event = FeaturesFilled(
        step=0, computed=3, total=9, seconds=75.0, folder="/cache/features", bytes=5_200_000
    )
    Narrator(Console(), load_preset("reseg"))(event)
    assert capsys.readouterr().err == (
        "features of 3 images computed in 1 min; kept for other runs: 5.20 MB in /cache/features "
        "(`lstm2d cache` lists and clears them)\n"
    )
