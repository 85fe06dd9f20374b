"""Example pixels lie in their subclass."""

from pathlib import Path

import pytest

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DataError
from lstm2d.hierarchy.build import build_hierarchy
from lstm2d.hierarchy.examples import check_dataset, find_examples
from lstm2d.hierarchy.labels import subclass_labels
from lstm2d.hierarchy.options import Options
from tests.hierarchy.examples import clusters, write_landscapes


def test_examples(tmp_path: Path) -> None:
    dataset = DatasetFolder(write_landscapes(tmp_path / "data", 8))
    samples = dataset.split("train")
    hierarchy = build_hierarchy(dataset, samples, Options("lc", rho=40, window=33))
    found = find_examples(hierarchy, dataset, samples, 3)
    assert len(found) == hierarchy.n
    for number, places in enumerate(found):
        assert len({place.sample.stem for place in places}) == len(places)  # of different images
        assert len(places) <= 3
        for place in places:
            labels = dataset.load_labels(place.sample)
            dense = subclass_labels(hierarchy, labels, place.sample.stem)
            assert dense[place.row, place.column] == number
    assert sum(len(places) for places in found) > hierarchy.n
    assert found == find_examples(hierarchy, dataset, samples, 3)
    assert found != find_examples(hierarchy, dataset, samples, 3, seed=1)


def test_other_images_are_left_out(tmp_path: Path) -> None:
    """Methods sn and ic know the groups of the training images only."""
    scenes = {f"i{k:02d}": ("park", "town")[k % 2] for k in range(4)}
    dataset = DatasetFolder(write_landscapes(tmp_path / "data", 6, scenes=scenes))
    hierarchy = build_hierarchy(dataset, dataset.split("train"), Options("sn"))
    found = find_examples(hierarchy, dataset, dataset.samples, 9)
    stems = {place.sample.stem for places in found for place in places}
    assert stems == set(scenes)


def test_other_classes(tmp_path: Path) -> None:
    dataset = DatasetFolder(write_landscapes(tmp_path / "data", 3))
    with pytest.raises(DataError, match="other classes: it was built from toy"):
        check_dataset(clusters(), dataset)


def test_the_search_ends_when_all_are_found(tmp_path: Path) -> None:
    names = ("sky", "tree", "road")
    dataset = DatasetFolder(write_landscapes(tmp_path / "data", 12, names=names, cars=False))
    hierarchy = build_hierarchy(dataset, dataset.split("train"), Options("lc", rho=40, window=None))
    done: list[tuple[int, int]] = []
    find_examples(hierarchy, dataset, dataset.split("train"), 1, progress=lambda *n: done.append(n))
    assert done[0] == (1, 10)
    assert len(done) < 10
    find_examples(hierarchy, dataset, dataset.split("train"), 9, progress=lambda *n: done.append(n))
    assert done[-1] == (10, 10)
