"""Rectangles of a convolution: every product inside of the image once, and no more copies than they save."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d.kernels.conv_parts import (
    COPY,
    Rectangle,
    add_to_weights,
    adjoint_parts,
    forward_parts,
    weights_of,
)

Products = Counter[tuple[tuple[int, ...], ...]]


def products(parts: list[Rectangle], source: tuple[int, int], target: tuple[int, int]) -> Products:
    """Count (target, tap, source) of all rectangles, those outside of the source left out."""
    found: Products = Counter()
    covered: Counter[tuple[int, int]] = Counter()
    for axes in parts:
        for t in product(*(range(axis.length) for axis in axes)):
            at = tuple(axis.first + axis.step * k for axis, k in zip(axes, t, strict=True))
            covered[at[0], at[1]] += 1
            for k in product(*(range(len(axis.taps)) for axis in axes)):
                seen = tuple(a.source_step * i + a.offsets[j] for a, i, j in zip(axes, t, k, strict=True))
                if all(0 <= s < n for s, n in zip(seen, source, strict=True)):
                    found[at, tuple(a.taps[j] for a, j in zip(axes, k, strict=True)), seen] += 1
    assert covered == Counter(product(*map(range, target)))
    return found


sides = st.tuples(st.integers(1, 9), st.integers(1, 9))
small = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=40)
@given(
    sides,
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    small,
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    small,
)
def test_every_product_is_made_once(size, kernel, stride, padding, dilation) -> None:  # type: ignore[no-untyped-def]
    spans = [dilation[k] * (kernel[k] - 1) + 1 for k in (0, 1)]
    n_out = tuple((size[k] + 2 * padding[k] - spans[k]) // stride[k] + 1 for k in (0, 1))
    if min(n_out) < 1:
        return
    expected: Products = Counter()
    for at, tap in product(product(*map(range, n_out)), product(*map(range, kernel))):
        seen = tuple(at[k] * stride[k] + tap[k] * dilation[k] - padding[k] for k in (0, 1))
        if all(0 <= seen[k] < size[k] for k in (0, 1)):
            expected[at, tap, seen] += 1
    args = size, n_out, kernel, stride, padding, dilation
    assert products(forward_parts(*args), size, n_out) == expected
    turned = Counter({(seen, tap, at): 1 for at, tap, seen in expected})
    assert products(adjoint_parts(*args), n_out, size) == turned


def taps(parts: list[Rectangle]) -> list[tuple[int, int, int, int]]:
    """Return rows, columns, and their taps, of each rectangle."""
    return [(a.length, b.length, len(a.taps), len(b.taps)) for a, b in parts]


@pytest.mark.parametrize(
    ("size", "dilation", "expected"),
    [
        # 20 pixels on either side see two of the three taps of an axis
        ((60, 70), 20, [(20, b, 2 + (k == 1), 2 + (b == 30)) for k in (0, 1, 2) for b in (20, 30, 20)]),
        ((60, 70), 1, [(60, 70, 3, 3)]),  # there are few of them
        ((3, 4), 2, [(3, 4, 3, 3)]),  # every row sees one tap or two: the copies cost more than that saves
    ],
)
def test_rectangles_by_hand(size: tuple[int, int], dilation: int, expected: list[tuple[int, ...]]) -> None:
    far = (dilation, dilation)
    assert taps(forward_parts(size, size, (3, 3), (1, 1), far, far)) == expected


def test_copies_of_the_weights_are_counted() -> None:
    """Of 7 x 7 positions under 7 x 7 taps 43 % of the products lie outside, each position with other taps."""
    assert taps(forward_parts((7, 7), (7, 7), (7, 7), (1, 1), (3, 3), (1, 1))) == [(7, 7, 7, 7)]
    rows = 4 * COPY  # of 4 columns that see 1 of 3 taps
    found = taps(forward_parts((rows, 1), (rows, 4), (1, 3), (1, 1), (0, 2), (1, 1)))
    assert found == [(rows, 1, 1, 1), (rows, 1, 1, 1), (rows, 1, 1, 1), (rows, 1, 1, 0)]


def test_weights_of_a_rectangle(rng: np.random.Generator) -> None:
    weight = rng.standard_normal((3, 3, 2, 4))
    whole, *pieces = (
        forward_parts((9, 9), (9, 9), (3, 3), (1, 1), (1, 1), (1, 1)),
        *forward_parts((60, 70), (60, 70), (3, 3), (1, 1), (20, 20), (20, 20)),
    )
    assert weights_of(whole[0], weight) is weight
    rows, columns = pieces[0]
    assert (weights_of(pieces[0], weight) == weight[1:, 1:]).all()
    assert (rows.taps, columns.taps) == ((1, 2), (1, 2))
    for rectangle, part in ((pieces[0], np.s_[1:, 1:]), (whole[0], np.s_[:, :])):
        grad, values = np.ones_like(weight), weights_of(rectangle, weight)
        expected = grad.copy()
        expected[part] += values
        add_to_weights(rectangle, values.reshape(-1, 4), grad)
        assert (grad == expected).all()
