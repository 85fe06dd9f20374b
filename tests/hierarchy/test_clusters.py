"""Algorithm 1, on samples whose clusters are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.hierarchy import clusters
from lstm2d.hierarchy.clusters import divide
from lstm2d.hierarchy.kmeans import Clusters, kmeans
from lstm2d.random import Purpose, generator


def spots(*sizes: int) -> NDArray[np.float64]:
    """Return samples at as many places as there are sizes, all equally far from each other."""
    return np.repeat(np.eye(len(sizes)), sizes, axis=0)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (19, 3),  # 2 and 3 clusters have more than 19 samples each; 4 clusters do not exist
        (20, 2),  # the third has not more than 20
        (60, 2),  # nor has the second of two, but 2 is the least
    ],
)
def test_by_hand(limit: float, expected: int) -> None:
    found = divide(spots(40, 30, 20), limit, seed=0, number=0)
    assert len(found.centres) == expected
    if expected == 3:
        assert sorted(found.sizes.tolist()) == [20, 30, 40]
        assert sorted(found.centres.tolist()) == sorted(np.eye(3).tolist())


def test_at_most_15() -> None:
    assert len(divide(spots(*[10] * 20), 9, seed=0, number=0).centres) == 15


@pytest.mark.parametrize(("factor", "expected"), [(0.8, 3), (1.0, 4), (1.5, 6), (0.1, 1), (0.625, 3)])
def test_the_factor_multiplies_the_number(factor: float, expected: int, rng: np.random.Generator) -> None:
    """Four spots of 50 are found: a fifth cluster would have to halve one of them, and 25 is below 30."""
    samples = spots(50, 50, 50, 50) + 1e-3 * rng.random((200, 4))
    found = divide(samples, 30, seed=3, number=1, factor=factor)
    assert len(found.centres) == expected
    assert found.sizes.min() > 0
    again = kmeans(samples, expected, generator(3, 0, 1, Purpose.HIERARCHY, expected))
    assert np.array_equal(found.labels, again.labels)  # those of its own run


def test_seed_and_class_choose_the_start(rng: np.random.Generator) -> None:
    samples = rng.random((200, 3))
    found = {key: divide(samples, 5, seed=key[0], number=key[1]) for key in ((0, 0), (0, 1), (1, 0))}
    again = divide(samples, 5, seed=0, number=0)
    assert np.array_equal(again.centres, found[0, 0].centres)
    assert len({one.centres.tobytes() for one in found.values()}) == 3


def only(converging: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other numbers of clusters than these end after one iteration, before they converge."""

    def run(samples: NDArray[np.float64], count: int, rng: np.random.Generator) -> Clusters:
        return kmeans(samples, count, rng, 100 if count in converging else 1)

    monkeypatch.setattr(clusters, "kmeans", run)


@pytest.mark.parametrize(
    ("converging", "expected"),
    [
        ({2, 3, 4, 5}, 4),
        ({2, 4, 5}, 4),  # 3 is skipped, and does not end the search
        ({2, 3, 5}, 3),  # 4 is skipped, and 5 ends it
        ({3, 4, 6}, 4),  # 5 is skipped: 6 ends the search as well
        ({5}, 2),  # nothing converges but what ends it: the run of 2 clusters stays
    ],
)
def test_a_number_that_does_not_converge_is_skipped(
    converging: set[int], expected: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    only(converging, monkeypatch)
    samples = spots(50, 50, 50, 50) + 1e-3 * rng.random((200, 4))
    found = divide(samples, 30, seed=0, number=0)
    assert len(found.centres) == expected
    assert found.converged == (expected in converging)


@pytest.mark.slow
def test_100_iterations_can_be_too_few() -> None:
    """Samples on a line: 8 clusters still move after 100 iterations, although each is large enough."""
    samples = np.random.default_rng(0).random((20000, 1)) ** 2
    runs = {k: kmeans(samples, k, generator(0, 0, 0, Purpose.HIERARCHY, k)) for k in range(2, 10)}
    assert [k for k, run in runs.items() if not run.converged] == [8]
    assert [k for k, run in runs.items() if run.sizes.min() <= 1500] == [9]
    assert len(divide(samples, 1500, seed=0, number=0).centres) == 7
