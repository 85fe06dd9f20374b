"""The order in which gradients are added, on one rank and on several."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.tensor import Tensor
from lstm2d.training.mpi import Together
from lstm2d.training.ranks import Ranks
from lstm2d.training.sgd import SGD
from lstm2d.training.tree_sum import spare_sums, tree_sum
from tests.training.threads_as_ranks import on_all

# by hand: brackets around what is added first
BRACKETS = {
    1: 0,
    2: (0, 1),
    3: ((0, 1), 2),
    4: ((0, 1), (2, 3)),
    5: (((0, 1), (2, 3)), 4),
    6: (((0, 1), (2, 3)), (4, 5)),
    7: (((0, 1), (2, 3)), ((4, 5), 6)),
    9: ((((0, 1), (2, 3)), ((4, 5), (6, 7))), 8),
}
Values = NDArray[np.float32]


def values(count: int, seed: int) -> Values:
    """Return gradients of two parameters, of values whose sum depends on the order of adding."""
    rng = np.random.default_rng(seed)
    found = (rng.standard_normal((count, 5)) * 10.0 ** rng.integers(-4, 4, (count, 5))).astype(np.float32)
    found[rng.random(found.shape) < 0.1] = -0.0
    return found


def summed(gradients: Values, ranks: Ranks) -> tuple[bytes, tuple[float, float]]:
    """Return the bits of the sum on rank 0, and its figures; the bias has no gradient in odd places."""
    first, second = Tensor(np.zeros((1, 3), np.float32)), Tensor(np.zeros(2, np.float32))
    optimizer = SGD({"a.weight": first, "b.bias": second})

    def example(position: int) -> tuple[float, float]:
        assert first.grad is None
        first.grad = gradients[position, :3].reshape(1, 3).copy()
        second.grad = None if position % 2 else gradients[position, 3:].copy()
        return 0.1 * position, 1.0

    figures = tree_sum(len(gradients), example, optimizer, ranks)
    if ranks.rank == 0:
        assert first.grad is not None
        assert second.grad is not None
        assert not optimizer.gradient[3:16].any()  # between the parameters
        return first.grad.tobytes() + second.grad.tobytes(), figures
    return b"", figures


def added(brackets: object, gradients: Values) -> Values:
    if isinstance(brackets, tuple):
        found: Values = added(brackets[0], gradients) + added(brackets[1], gradients)
        return found
    return gradients[brackets]  # type: ignore[index]


@pytest.mark.parametrize("count", BRACKETS)
def test_the_order_is_that_worked_out_by_hand(count: int) -> None:
    gradients = values(count, count)
    gradients[1::2, 3:] = 0
    bits, (loss, terms) = summed(gradients, Ranks())
    assert bits == added(BRACKETS[count], gradients).tobytes()
    assert loss == pytest.approx(0.1 * sum(range(count)))
    assert terms == count


@settings(max_examples=40)
@given(count=st.integers(1, 40), size=st.integers(2, 7), seed=st.integers(0, 99))
def test_any_number_of_ranks_gives_the_same_bits(count: int, size: int, seed: int) -> None:
    gradients = values(count, seed)
    alone = summed(gradients, Ranks())
    total = gradients.astype(np.float64)
    total[1::2, 3:] = 0
    bound = 1e-6 * np.abs(total).sum(0)
    assert (np.abs(np.frombuffer(alone[0], np.float32) - total.sum(0)) <= bound).all()
    owned: list[int] = []

    def work(ranks: Together) -> tuple[bytes, tuple[float, float]]:
        owned.extend(ranks.owned(count))
        assert all(ranks.owner(position, count) == ranks.rank for position in ranks.owned(count))
        return summed(gradients, ranks)

    results = on_all(size, work)
    assert results[0] == alone
    assert all(isinstance(result, tuple) for result in results)
    assert sorted(owned) == list(range(count))


@settings(max_examples=40)
@given(count=st.integers(1, 20), size=st.integers(1, 5), failing=st.sets(st.integers(0, 19), min_size=1))
def test_the_first_error_is_raised_on_rank_0_after_the_step(count: int, size: int, failing: set[int]) -> None:
    gradients = values(count, 0)
    failing = {position % count for position in failing}

    def work(ranks: Together) -> object:
        parameter = Tensor(np.zeros(5, np.float32))
        optimizer = SGD({"a.weight": parameter})

        def example(position: int) -> tuple[float, float]:
            if position in failing:
                raise OSError(5, "broken", f"image {position}")
            parameter.grad = gradients[position]
            return 0.0, 0.0

        if ranks.rank:
            tree_sum(count, example, optimizer, ranks)
            while (found := ranks.next_order())[1] and found[1] != [ranks.rank]:
                pass
            if found[1]:
                ranks.tell_failure()
        else:
            try:
                tree_sum(count, example, optimizer, ranks)
            except OSError as error:
                return error.errno, error.filename
            finally:
                ranks.dismiss(0)
        return None

    first, *others = on_all(size, work)
    assert first == (5, f"image {min(failing)}")
    assert others == [None] * (size - 1)


def test_few_vectors_are_held_at_a_time() -> None:
    several = Ranks()
    several.size = 2
    assert [spare_sums(count, Ranks()) for count in (1, 2, 3, 4, 5, 8, 9)] == [0, 0, 1, 1, 2, 2, 3]
    assert [spare_sums(count, several) for count in (1, 2, 4, 5)] == [0, 1, 3, 5]
