"""Numbers that follow from the size of the image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.errors import ConfigError
from lstm2d.export.sizes import Size, find

ROWS, COLUMNS = (1, 2, 33, 7, 40), (7, 40, 2, 35, 1)
SHAPES = [[(1, h, w, 3), (1, h // 2 + 5, w, 3)] for h, w in zip(ROWS, COLUMNS, strict=True)]


def test_by_hand() -> None:
    assert find([5] * 5, SHAPES, [0], "x") == 5
    assert find([4, 6, 68, 16, 82], SHAPES, [0], "x") == Size(0, 1, 2, 2)
    assert find([9, 42, 4, 37, 3], SHAPES, [0], "x") == Size(0, 2, 1, 2)
    assert find([6, 7, 22, 9, 26], SHAPES, [0], "x") == Size(1, 1, 1, 1)  # of another value than the input
    assert find([0, 1, 16, 6, 16], SHAPES, [1], "x") == Size(0, 1, 1, -1, 16)
    with pytest.raises(ConfigError, match="crop: top depends on the size"):
        find([1, 4, 9, 16, 25], SHAPES, [0], "crop: top")


@given(st.integers(-5, 5), st.integers(-50, 50), st.sampled_from([1, 2]))
def test_any_linear_function(factor: int, offset: int, axis: int) -> None:
    sizes = [shapes[0][axis] for shapes in SHAPES]
    numbers = [factor * size + offset for size in sizes]
    found = find(numbers, SHAPES, [0], "x")
    assert found == (Size(0, axis, factor, offset) if factor else offset)


@given(st.integers(1, 16), st.integers(-4, 4))
def test_any_limit(limit: int, offset: int) -> None:
    numbers = [min(limit, size + offset) for size in ROWS]
    found = find(numbers, SHAPES, [0], "x")
    if isinstance(found, int):
        assert set(numbers) == {found}
    else:
        sizes = [shapes[found.value][found.axis] for shapes in SHAPES]
        assert [found.of(size) for size in sizes] == numbers
