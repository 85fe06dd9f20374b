"""Common classes: the most frequent ones, with the one that crosses the share."""

import pytest

from lstm2d.hierarchy.common import common_classes


@pytest.mark.parametrize(
    ("rho", "expected"),
    [
        (1, (2,)),
        (49, (2,)),  # 50 % is more than 49 %
        (50, (0, 2)),  # and not more than 50 %
        (79, (0, 2)),
        (80, (0, 2, 4)),
        (100, (0, 1, 2, 4)),  # the class that does not occur stays rare
    ],
)
def test_by_hand(rho: float, expected: tuple[int, ...]) -> None:
    assert common_classes([30, 5, 50, 0, 15], rho) == expected


def test_of_equally_frequent_classes_the_first() -> None:
    assert common_classes([10, 20, 20, 50], 60) == (1, 3)


def test_nothing_occurs() -> None:
    assert common_classes([0, 0], 93) == ()
