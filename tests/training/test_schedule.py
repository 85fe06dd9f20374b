"""Values of the learning-rate schedules."""

import pytest

from lstm2d.training.schedule import learning_rate


def rates(steps: int, **options: object) -> list[float]:
    return [learning_rate(t, steps, rate=8.0, **options) for t in range(steps + 1)]  # type: ignore[arg-type]


def test_constant() -> None:
    assert rates(3, schedule="constant") == [8, 8, 8, 8]


def test_linear() -> None:
    assert rates(4, schedule="linear") == [8, 6, 4, 2, 0]


def test_cosine() -> None:
    # 4 (1 + cos(k pi / 4))
    assert rates(4, schedule="cosine") == pytest.approx(
        [8, 6.82842712474619, 4, 1.17157287525381, 0], abs=1e-12
    )


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_warmup_rises_linearly_then_the_schedule_begins_at_its_top(schedule: str) -> None:
    values = rates(8, schedule=schedule, warmup_steps=4)
    assert values[:5] == [2, 4, 6, 8, 8]
    without = rates(4, schedule=schedule)
    assert values[4:] == pytest.approx(without)


def test_warmup_longer_than_the_run() -> None:
    assert rates(2, schedule="linear", warmup_steps=8) == [1, 2, 3]


def test_rate_after_the_end_is_not_negative() -> None:
    for schedule in ("linear", "cosine"):
        assert learning_rate(11, 10, rate=1.0, schedule=schedule) == 0


def test_step_after_every_so_many_steps() -> None:
    assert rates(6, schedule="step", step_factor=2, step_every=2) == [8, 8, 4, 4, 2, 2, 1]


def test_step_at_fractions_of_the_run() -> None:
    assert rates(6, schedule="step", step_factor=4, step_at=[1 / 3, 2 / 3]) == [8, 8, 2, 2, 0.5, 0.5, 0.5]
    for total in (7, 30, 999, 12_000, 40_001):  # a third that was written with ten digits
        options = {"rate": 1.0, "schedule": "step", "step_at": [0.3333333333]}
        third = -(-total // 3)
        assert learning_rate(third - 1, total, **options) == 1  # type: ignore[arg-type]
        assert learning_rate(third, total, **options) == 0.1  # type: ignore[arg-type]


def test_steps_count_from_the_end_of_the_warmup() -> None:
    assert rates(6, schedule="step", step_every=2, warmup_steps=2) == pytest.approx(
        [4, 8, 8, 8, 0.8, 0.8, 0.08]
    )
    assert rates(6, schedule="step", step_at=[0.5], warmup_steps=2) == pytest.approx(
        [4, 8, 8, 8, 0.8, 0.8, 0.8]
    )


def test_unknown_schedule() -> None:
    with pytest.raises(ValueError, match="staircase"):
        learning_rate(0, 1, rate=1.0, schedule="staircase")
