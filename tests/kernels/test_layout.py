"""Arrays that reach compiled loops are in order and aligned, and what is cached cannot be changed."""

from importlib.resources import files
from math import prod
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.hierarchy.gist import gabor_bank
from lstm2d.kernels.arrays import contiguous
from lstm2d.kernels.taps import bilinear_places, bilinear_taps, cubic_taps, shrinking_taps
from lstm2d.kernels.winograd import transforms
from lstm2d.selftest import CASES, Case, evaluate, typed


def unaligned(values: np.ndarray) -> np.ndarray:
    """Return a copy at an odd address."""
    found = np.frombuffer(bytearray(values.nbytes + 1), values.dtype, values.size, 1).reshape(values.shape)
    found[...] = values
    assert not found.flags.aligned or values.itemsize == 1 or not values.size
    return found


def test_an_array_in_order_is_not_copied() -> None:
    for array in (np.ones((2, 3)), np.ones((2, 3), np.float32)[1:], np.ones(0), np.ones(3, np.uint8)[1:]):
        assert contiguous(array) is array


@pytest.mark.parametrize(
    "array", [unaligned(np.arange(6.0)), np.arange(6.0).repeat(2)[::2], np.arange(6.0)[::-1].copy()[::-1]]
)
def test_others_are_copied_into_order(array: np.ndarray) -> None:
    found = contiguous(array)
    assert found.flags.aligned
    assert found.flags.c_contiguous
    assert found.tolist() == [0, 1, 2, 3, 4, 5]
    assert contiguous(array, np.float32).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unaligned_arrays_give_the_same_bits(dtype: type) -> None:
    def bring(values: np.ndarray, changed: bool) -> np.ndarray:
        values = typed(dtype)(values, changed)
        return values if changed else unaligned(values)

    for case in filter(_is_small, CASES):
        for backend in case.backends()[:-1]:
            with kernels.use(backend):
                found, expected = evaluate(case, bring), evaluate(case, typed(dtype))
            for name, values in expected.items():
                assert np.asarray(found[name]).tobytes() == np.asarray(values).tobytes(), (case.name, name)


def _is_small(case: Case) -> bool:
    # the CRF is compiled for each layout of its arrays; vectors of the optimizers are refused
    return (
        "cuda" in case.users
        and case.family not in ("crf", "update")
        and sum(map(prod, (*case.shapes, *case.products))) < 10_000
    )


def test_compiled_kernels_put_arrays_in_order_in_one_way() -> None:
    folder = files("lstm2d.kernels") / "_cython"
    sources = [path for path in folder.iterdir() if path.name.endswith((".pyx", ".py"))]
    assert len(sources) > 15
    assert [path.name for path in sources if "ascontiguousarray" in path.read_text("utf-8")] == []


@pytest.mark.parametrize(
    "arrays",
    [
        bilinear_places(4, 9),
        bilinear_taps(4, 9),
        cubic_taps(4, 9),
        shrinking_taps(9, 4),
        transforms(4, np.dtype(np.float32)),
        (gabor_bank(64),),
    ],
)
def test_nobody_can_change_what_is_cached(arrays: tuple[Any, ...]) -> None:
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
