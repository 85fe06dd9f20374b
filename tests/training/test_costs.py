"""The time of a number of steps, worked out by hand, and the largest number that fits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.training.costs import StageCost, steps_that_fit


def test_steps_alone() -> None:
    cost = StageCost(steps=10, epoch_steps=4, step=0.5)
    assert [cost.seconds(n) for n in (0, 1, 7, 10, 11)] == [0, 0.5, 3.5, 5, 5]


def test_validations_and_checkpoints() -> None:
    """Of 9 steps, 4 an epoch: epochs end after 4, 8 and 9; every second one is validated, and the last."""
    cost = StageCost(steps=99, epoch_steps=4, step=1.0, validation=10.0, validate_every=2, checkpoint=100.0)
    assert cost.seconds(4) == 4 + 10 + 2 * 100
    assert cost.seconds(8) == 8 + 10 + 3 * 100
    assert cost.seconds(9) == 9 + 2 * 10 + 5 * 100
    timed = StageCost(steps=99, epoch_steps=99, step=1.0, checkpoint=2.0, checkpoint_every=10.0)
    assert timed.seconds(50) == 50 + 2 * (2 + 50 / 10)


def test_features() -> None:
    """As long as no example comes twice, only the features of those that are used are computed."""
    cost = StageCost(
        steps=99,
        epoch_steps=5,
        step=1.0,
        feature=100.0,
        absent=20.0,
        absent_validation=3.0,
        examples=10,
        batch=2,
    )
    assert cost.seconds(2) == 2 + 100 * (4 + 3)
    assert cost.seconds(5) == 5 + 100 * (10 + 3)
    assert cost.seconds(6) == 6 + 100 * (20 + 3)


def test_a_stage_with_a_time_of_its_own() -> None:
    cost = StageCost(steps=99, epoch_steps=9, step=1.0, longest=30.0)
    assert [cost.seconds(n) for n in (29, 30, 31, 99)] == [29, 30, 30, 30]


def test_one_stage() -> None:
    cost = StageCost(steps=100, epoch_steps=10, step=2.0)
    found = [steps_that_fit([cost], seconds) for seconds in (0.1, 2, 3.9, 4, 199, 200, 1e9)]
    assert found == [1, 1, 1, 2, 99, 100, 100]


def test_stages_have_the_same_number_of_steps_or_their_own_length() -> None:
    short, long = StageCost(steps=10, epoch_steps=5, step=1.0), StageCost(steps=50, epoch_steps=5, step=2.0)
    assert steps_that_fit([short, long], 30) == 10
    assert steps_that_fit([short, long], 31) == 10
    assert steps_that_fit([short, long], 32) == 11
    assert steps_that_fit([short, long], 110) == 50
    assert steps_that_fit([StageCost(steps=0, epoch_steps=5, step=0.0), long], 30) == 15


TIMES = st.floats(0, 3)
COSTS = st.builds(
    StageCost,
    steps=st.integers(0, 60),
    epoch_steps=st.integers(1, 9),
    step=st.floats(1e-3, 3),
    validation=TIMES,
    validate_every=st.integers(1, 3),
    checkpoint=TIMES,
    checkpoint_every=st.sampled_from([1.0, 20.0, math.inf]),
    feature=TIMES,
    absent=st.integers(0, 20),
    absent_validation=st.integers(0, 5),
    examples=st.integers(1, 30),
    batch=st.integers(1, 4),
    longest=st.sampled_from([5.0, 50.0, math.inf]),
)


@given(st.lists(COSTS, min_size=1, max_size=4), st.floats(0, 400))
def test_the_largest_number_that_fits(stages: list[StageCost], seconds: float) -> None:
    longest = max(stage.steps for stage in stages)
    if not longest:
        return
    totals = [sum(stage.seconds(n) for stage in stages) for n in range(longest + 1)]
    assert totals == pytest.approx(sorted(totals))
    fitting = [n for n, total in enumerate(totals) if n and total <= seconds]
    assert steps_that_fit(stages, seconds) == max(fitting, default=1)
