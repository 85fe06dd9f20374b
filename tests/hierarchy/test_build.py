"""Hierarchies of small datasets whose classes and subclasses are known."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.superpixels import centres, superpixels
from lstm2d.errors import ConfigError, DataError
from lstm2d.hierarchy.build import build_hierarchy
from lstm2d.hierarchy.file import load_hierarchy, save_hierarchy
from lstm2d.hierarchy.histograms import label_counts, normalised
from lstm2d.hierarchy.options import Options
from tests.callers import kernel_threads
from tests.hierarchy.conftest import Maker

SCENES = {f"i{k:02d}": "park" if k % 2 == 0 else "town" for k in range(12)}


def counted(dataset: DatasetFolder) -> dict[str, Counter[int]]:
    """Count the superpixels of each class, image by image."""
    found = {}
    for sample in dataset.split("train"):
        image, labels = dataset.load(sample)
        rows, columns = centres(superpixels(image))
        found[sample.stem] = Counter(int(k) for k in labels[rows, columns] if k != 255)
    return found


def test_scene_names(landscapes: Maker) -> None:
    dataset = DatasetFolder(landscapes(scenes=SCENES))
    found = build_hierarchy(dataset, dataset.split("train"), Options("sn", rho=90))
    counts = counted(dataset)
    of_class = sum(counts.values(), Counter[int]())
    assert (found.method, found.dataset, found.window) == ("sn", "landscapes", None)
    assert found.common == (0, 1, 2)
    assert found.groups == ("park", "town")
    assert found.images == {stem: 0 if SCENES[stem] == "park" else 1 for stem in counts}
    # trees grow in parks only, roads are in towns only: only combinations that occur are subclasses
    assert [s.name for s in found.subclasses] == ["sky / park", "sky / town", "tree", "road", "car"]
    assert found.parents.tolist() == [0, 0, 1, 2, 3]
    park = sum((count for stem, count in counts.items() if SCENES[stem] == "park"), Counter[int]())
    assert [s.samples for s in found.subclasses] == [
        park[0], of_class[0] - park[0], of_class[1], of_class[2], of_class[3]
    ]  # fmt: skip
    assert found.settings == {"rho": 90, "seed": 0, "images": 10, "filled_images": 0}


def test_clusters_of_label_maps(landscapes: Maker) -> None:
    dataset = DatasetFolder(landscapes())
    found = build_hierarchy(
        dataset, dataset.split("train"), Options("lc", rho=40, window=None, nstar_factor=1)
    )
    assert found.common == (0,)
    sky = [s for s in found.subclasses if s.class_number == 0]
    assert [s.name for s in sky] == [f"sky {k}" for k in range(1, len(sky) + 1)]
    assert [s.samples for s in sky] == sorted((s.samples for s in sky), reverse=True)
    assert sum(s.samples for s in sky) == sum(counted(dataset).values(), Counter[int]())[0]
    # sky over trees, without and with a car, and sky over road: three whole-image histograms
    half, car = 32 * 96, 16 * 32
    histograms = normalised(np.array([[half, half, 0, 0], [half, half - car, 0, car], [half, 0, half, 0]]))
    for one in sky:
        assert np.abs(histograms - one.centre).max(axis=1).min() < 0.15


def test_centres_are_means_of_the_histograms(landscapes: Maker) -> None:
    """Each superpixel belongs to the nearest centre, and the centre is the mean of its own ones."""
    dataset = DatasetFolder(landscapes())
    found = build_hierarchy(dataset, dataset.split("train"), Options("lc", rho=40, window=33))
    samples = []
    for sample in dataset.split("train"):
        image, labels = dataset.load(sample)
        rows, columns = centres(superpixels(image))
        sky = labels[rows, columns] == 0
        samples.append(normalised(label_counts(labels, rows[sky], columns[sky], 33, 4)))
    values = np.concatenate(samples)
    own = np.array([s.centre for s in found.subclasses if s.class_number == 0])
    nearest = ((values[:, None] - own[None]) ** 2).sum(axis=2).argmin(axis=1)
    for number, one in enumerate(found.subclasses[: len(own)]):
        assert one.samples == np.sum(nearest == number)
        np.testing.assert_allclose(one.centre, values[nearest == number].mean(axis=0), atol=1e-8)


def test_image_clusters(landscapes: Maker) -> None:
    dataset = DatasetFolder(landscapes())
    found = build_hierarchy(dataset, dataset.split("train"), Options("ic", rho=40))
    sizes = Counter(found.images.values())
    assert set(found.images) == {f"i{k:02d}" for k in range(10)}
    assert len(found.groups) == 8
    assert [sizes[k] for k in range(8)] == sorted(sizes.values(), reverse=True)
    counts = counted(dataset)
    for one in found.subclasses:
        if one.class_number == 0:
            images = [stem for stem, group in found.images.items() if group == one.group]
            assert one.samples == sum(counts[stem][0] for stem in images)


def test_filling(landscapes: Maker) -> None:
    root = landscapes(unlabelled=3)
    dataset = DatasetFolder(root)
    train = dataset.split("train")
    options = Options("lc", rho=40, window=33)
    asked: list[tuple[int, ...]] = []

    def sky(image: Any) -> Any:
        asked.append(image.shape)
        return np.zeros(image.shape[:2], np.uint8)

    naive, filled = (build_hierarchy(dataset, train, options, fill=fill) for fill in (None, sky))
    assert asked == [(64, 96, 3)] * 3
    assert naive.settings["filled_images"] == 0
    assert filled.settings["filled_images"] == 3
    before = sum(counted(dataset).values(), Counter[int]())
    assert filled.settings["samples_before_filling"] == tuple(before[k] for k in range(4))
    expected = before
    for sample in train[:3]:
        image, labels = dataset.load(sample)
        rows, columns = centres(superpixels(image))
        expected[0] += int(np.sum(labels[rows, columns] == 255))
    assert [sum(s.samples for s in filled.subclasses if s.class_number == k) for k in range(4)] == [
        expected[k] for k in range(4)
    ]
    assert naive.settings.get("samples_before_filling") is None


def test_images_that_are_90_percent_labelled_are_not_filled(landscapes: Maker) -> None:
    root = landscapes()
    mask = np.array(Image.open(root / "masks/i00.png"))
    mask[:6] = 255  # 9.4 %
    Image.fromarray(mask).save(root / "masks/i00.png")
    dataset = DatasetFolder(root)
    found = build_hierarchy(
        dataset, dataset.split("train"), Options("lc", rho=40), fill=lambda image: pytest.fail("filled")
    )
    assert found.settings["filled_images"] == 0


@pytest.mark.parametrize("method", ["sn", "lc", "ic"])
def test_any_number_of_threads_gives_the_same_file(method: Any, landscapes: Maker, tmp_path: Path) -> None:
    dataset = DatasetFolder(landscapes(scenes=SCENES))
    samples = dataset.split("train")[:4]
    written = []
    for threads in (1, 2, 3):
        with kernel_threads(threads):
            found = build_hierarchy(dataset, samples, Options(method, rho=90))
        save_hierarchy(tmp_path / "h.json", found)
        assert load_hierarchy(tmp_path / "h.json") == found
        written.append((tmp_path / "h.json").read_bytes())
    assert written[0] == written[1] == written[2]


def test_the_seed_changes_the_clusters(landscapes: Maker) -> None:
    dataset = DatasetFolder(landscapes())
    options = Options("lc", rho=40, window=33, nstar_factor=1)
    found = [
        build_hierarchy(dataset, dataset.split("train"), replace(options, seed=seed)) for seed in (0, 0, 1)
    ]
    assert found[0] == found[1]
    assert found[0].subclasses != found[2].subclasses


def test_progress(landscapes: Maker) -> None:
    dataset = DatasetFolder(landscapes())
    lines: list[tuple[str, int, int]] = []
    build_hierarchy(
        dataset, dataset.split("train"), Options("lc", rho=40), progress=lambda *line: lines.append(line)
    )
    assert lines[0] == ("1/10 images", 1, 10)
    assert lines[9] == ("10/10 images", 10, 10)
    assert lines[10:] == [("clustering sky", 0, 1)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rho": 0}, "`rho` out of range: 0"),
        ({"rho": 100.5}, "`rho` out of range"),
        ({"rho": float("nan")}, "`rho` out of range"),
        ({"window": 128}, "`window` out of range"),
        ({"window": 1}, "`window` out of range"),
        ({"nstar_factor": -0.1}, "`nstar_factor` out of range"),
        ({"nstar_factor": float("inf")}, "`nstar_factor` out of range"),
        ({"k_factor": 0}, "`k_factor` out of range"),
        ({"seed": -1}, "`seed` out of range"),
        ({"method": "xx"}, "`method` out of range"),
    ],
)
def test_wrong_options(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Options(**({"method": "lc"} | wrong))


def rewrite(root: Path, label: int) -> DatasetFolder:
    for path in (root / "masks").iterdir():
        Image.fromarray(np.full((64, 96), label, np.uint8)).save(path)
    return DatasetFolder(root)


@pytest.mark.parametrize("method", ["sn", "lc", "ic"])
def test_one_class(method: Any, landscapes: Maker) -> None:
    dataset = rewrite(landscapes(scenes=SCENES), 2)
    with pytest.raises(DataError, match=r"only one class \(road\)"):
        build_hierarchy(dataset, dataset.split("train"), Options(method))


def test_no_labels(landscapes: Maker) -> None:
    dataset = rewrite(landscapes(), 255)
    with pytest.raises(DataError, match="no labels"):
        build_hierarchy(dataset, dataset.split("train"), Options("lc"))


def test_no_images(landscapes: Maker) -> None:
    with pytest.raises(DataError, match="no images"):
        build_hierarchy(DatasetFolder(landscapes()), [], Options("lc"))


def test_no_class_is_rare(landscapes: Maker) -> None:
    """n* is then the size of the smallest class."""
    dataset = DatasetFolder(landscapes(cars=False))
    found = build_hierarchy(
        dataset, dataset.split("train"), Options("lc", rho=100, window=33, nstar_factor=1)
    )
    assert found.common == (0, 1, 2)
    assert found.subclasses[-1].name == "car"  # it does not occur
    assert found.subclasses[-1].samples == 0
    smallest = min(sum(s.samples for s in found.subclasses if s.class_number == k) for k in range(3))
    several = [s for s in found.subclasses if found.parents.tolist().count(s.class_number) > 2]
    assert all(s.samples > smallest for s in several)


def test_nothing_to_divide(landscapes: Maker) -> None:
    """One scene, or images that are all the same: each class would have one subclass."""
    dataset = DatasetFolder(landscapes(scenes=dict.fromkeys(SCENES, "park")))
    with pytest.raises(DataError, match="no class can be divided by method sn"):
        build_hierarchy(dataset, dataset.split("train"), Options("sn"))
    same = [dataset.split("train")[1]]
    for method in ("lc", "ic"):
        options = Options(method, window=None)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=f"no class can be divided by method {method}"):
            build_hierarchy(dataset, same, options)


def test_no_scenes(landscapes: Maker) -> None:
    dataset = DatasetFolder(landscapes())
    with pytest.raises(DataError, match="there are no scene names") as raised:
        build_hierarchy(dataset, dataset.split("train"), Options("sn"))
    assert "scenes.txt" in str(raised.value)


def test_an_image_without_scene(landscapes: Maker) -> None:
    dataset = DatasetFolder(landscapes(scenes={k: v for k, v in SCENES.items() if k not in ("i03", "i05")}))
    with pytest.raises(DataError, match=r"2 of 10 images have no scene \(for example i03\)"):
        build_hierarchy(dataset, dataset.split("train"), Options("sn"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("i00 park\ni01\n", "line 2 names no scene"), ("i00 a\ni00 b\n", "line 2 gives 'i00' another scene")],
)
def test_wrong_scenes(text: str, message: str, landscapes: Maker) -> None:
    root = landscapes()
    (root / "scenes.txt").write_text(text)
    dataset = DatasetFolder(root)
    with pytest.raises(DataError, match=message):
        build_hierarchy(dataset, dataset.split("train"), Options("sn"))
