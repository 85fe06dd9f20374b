"""K-means: plain Lloyd iterations from the same start give the same clusters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.hierarchy.kmeans import Clusters, kmeans
from tests.callers import kernel_threads

Array = NDArray[np.float64]


def nearest(samples: Array, centres: Array) -> NDArray[np.int64]:
    return np.asarray(((samples[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1))


def means(samples: Array, labels: NDArray[np.int64], centres: Array) -> Array:
    full = centres.copy()
    for cluster in np.unique(labels):
        full[cluster] = samples[labels == cluster].mean(axis=0)
    return full


def lloyd(samples: Array, first: Clusters, iterations: int) -> Clusters:
    """Continue from the first iteration, step by step."""
    labels, centres = first.labels, first.centres
    for _ in range(iterations - 1):
        moved = nearest(samples, centres)
        if np.array_equal(moved, labels):
            return Clusters(labels, centres, True)
        labels, centres = moved, means(samples, moved, centres)
    return Clusters(labels, centres, False)


@given(st.integers(1, 300), st.integers(1, 9), st.integers(1, 5), st.sampled_from([1, 2, 5, 100]), st.data())
def test_as_plain_iterations(n: int, count: int, size: int, iterations: int, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**20))
    samples = np.random.default_rng(seed).random((n, size))
    first = kmeans(samples, count, np.random.default_rng(seed), 1)
    found = kmeans(samples, count, np.random.default_rng(seed), iterations)
    expected = lloyd(samples, first, iterations)
    assert np.array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.centres, expected.centres, atol=1e-8)
    assert found.converged == expected.converged
    assert found.sizes.tolist() == np.bincount(expected.labels, minlength=len(found.centres)).tolist()


def test_the_first_iteration_assigns_to_the_start(rng: np.random.Generator) -> None:
    """The start is one of the samples each; the first assignment alone is not convergence."""
    samples = rng.random((50, 3))
    first = kmeans(samples, 50, np.random.default_rng(1), 1)
    assert sorted(first.labels.tolist()) == list(range(50))  # every sample is a centre
    assert not first.converged
    assert kmeans(samples, 50, np.random.default_rng(1), 2).converged


def test_converged_means_that_nothing_moved(rng: np.random.Generator) -> None:
    samples = rng.random((400, 2))
    found = kmeans(samples, 6, np.random.default_rng(0))
    assert found.converged
    assert np.array_equal(nearest(samples, found.centres), found.labels)
    np.testing.assert_allclose(means(samples, found.labels, found.centres), found.centres, atol=1e-8)


def test_equal_samples_have_one_cluster() -> None:
    found = kmeans(np.full((7, 2), 0.3), 3, np.random.default_rng(0))
    assert found.labels.tolist() == [0] * 7
    assert found.centres == pytest.approx(np.array([[0.3, 0.3]]), abs=1e-8)
    assert found.converged


def test_the_start_prefers_distant_samples() -> None:
    """Two spots: the second centre is never in the spot of the first."""
    samples = np.repeat([[0.0, 1.0], [1.0, 0.0]], [99, 1], axis=0)
    for seed in range(50):
        assert sorted(kmeans(samples, 2, np.random.default_rng(seed), 1).sizes.tolist()) == [1, 99]


def test_any_number_of_threads_gives_the_same_bits(rng: np.random.Generator) -> None:
    samples = rng.random((9000, 7))
    found = []
    for threads in (1, 2, 3):
        with kernel_threads(threads):
            found.append(kmeans(samples, 5, np.random.default_rng(2), 12))
    assert all(f.centres.tobytes() == found[0].centres.tobytes() for f in found)
    assert all(f.labels.tobytes() == found[0].labels.tobytes() for f in found)
