"""Arrays of every kind into the Python API: a result, or an error of the library; inputs stay as they are."""

import inspect
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstm2d
from lstm2d import ops
from lstm2d.data.arrays import ArrayDataset
from lstm2d.errors import ImageWarning, TrainingWarning
from lstm2d.predict.predictor import Predictor
from tests.reliability.anything import FLOATS, NUMBERS, TYPES, arrays, kept, own_error, shapes

EXAMPLES = 40
BUSY = [HealthCheck.too_slow]  # on a machine that does other work


@pytest.fixture(scope="module")
def model(brightness_model: Path) -> Predictor:
    return lstm2d.load(brightness_model)


def call(function: Callable[..., Any], *given: Any, allowed: tuple[type, ...] = (), **options: Any) -> Any:
    """Return a result, or None after an error of the library; nothing given may change."""
    before = [kept(value) for value in (*given, *options.values())]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for kind in (
                ImageWarning,
                TrainingWarning,
                *(kind for kind in allowed if issubclass(kind, Warning)),
            ):
                warnings.simplefilter("ignore", kind)
            return function(*given, **options)
    except Exception as error:
        if not own_error(error) and not isinstance(error, allowed):
            raise
        return None
    finally:
        assert [kept(value) for value in (*given, *options.values())] == before


@pytest.mark.slow
@settings(max_examples=4 * EXAMPLES, suppress_health_check=BUSY)
@given(image=arrays(), size=st.sampled_from(["auto", "native", 3, 0.5]))
def test_labels_of_an_image(model: Predictor, image: Any, size: Any) -> None:
    labels = call(model.predict, image, size=size)
    if labels is not None and not isinstance(labels, list):
        assert labels.dtype == np.uint8
        assert labels.max(initial=0) < 3


@settings(max_examples=EXAMPLES, suppress_health_check=BUSY)
@given(image=arrays(types=NUMBERS))
def test_probabilities_of_an_image(model: Predictor, image: Any) -> None:
    found = call(model.predict_proba, image)
    if isinstance(found, np.ndarray):
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)


@settings(max_examples=EXAMPLES, suppress_health_check=BUSY)
@given(
    size=st.one_of(
        st.floats(),
        st.integers(),
        st.text(max_size=3),
        st.none(),
        st.booleans(),
        arrays(),
        st.just(10**400),
        st.just([1]),
    )
)
def test_sizes(model: Predictor, size: Any) -> None:
    call(model.predict, np.zeros((3, 4, 3), np.uint8), size=size)


@settings(max_examples=2 * EXAMPLES, suppress_health_check=BUSY)
@given(
    images=st.one_of(arrays(), st.lists(arrays(), max_size=2)),
    masks=st.one_of(arrays(), st.lists(arrays(), max_size=2)),
    classes=st.sampled_from([None, ["a", "b"], ["a"], "ab", [], ["a", "a"], [1, 2], [None]]),
    ignore=st.sampled_from([255, 0, -1, 300, None, 1.5, "a"]),
)
def test_images_and_masks_to_train_on(images: Any, masks: Any, classes: Any, ignore: Any) -> None:
    def read() -> None:
        data = ArrayDataset(images, masks, classes=classes, ignore=ignore)
        for sample in data.samples:
            data.load(sample)

    before = kept(images), kept(masks)
    call(read)
    assert (kept(images), kept(masks)) == before


TRAINING = {"model": {}, "train": {"epochs": 1, "steps": 1}}


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=BUSY)
@given(
    images=arrays(shape=st.just((2, 5, 6, 3))),
    masks=arrays(types=("u1", "i8", "?", "f4", "O"), shape=st.just((2, 5, 6))),
)
def test_fit(images: Any, masks: Any) -> None:
    settings = {"model.units": [1], "model.features": [], "train.epochs": 1}
    call(lstm2d.fit, images, masks, preset="lstm2d-5x5", val=0.0, settings=settings)
    labeler = lstm2d.SceneLabeler(preset="lstm2d-5x5", val=0.0, settings=settings)
    if call(labeler.fit, images, masks) is not None:
        call(labeler.predict, images)


# of operations: wrong types of arrays and wrong values of options; NaN and infinity stay visible
WRONG = (TypeError, ValueError, RuntimeWarning)


@cache
def parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(getattr(ops, name)).parameters)


INTEGERS = st.integers(-2, 5)
TEXTS = st.sampled_from(["zero", "reflect", "sum", "mean", "tanh", "relu", "x", ""])
PLAIN = {  # by a word in the annotation of a parameter
    "Literal": TEXTS,
    "Activation": TEXTS,
    "Pair": st.one_of(INTEGERS, st.tuples(INTEGERS, INTEGERS)),
    "Sequence": st.lists(INTEGERS, max_size=4).map(tuple),
    "tuple": st.one_of(INTEGERS, st.tuples(INTEGERS, INTEGERS, INTEGERS, INTEGERS)),
    "float": st.floats(),
    "bool": st.booleans(),
    "int": INTEGERS,
}


def tensors(types: tuple[str, ...]) -> st.SearchStrategy[lstm2d.Tensor]:
    """Return tensors, as what the operations take: arrays that are not wrapped."""
    made = arrays(types=types, shape=shapes(axes=5, side=4), wrapped=False)
    return made.map(lambda values: lstm2d.Tensor(values, requires_grad=values.dtype.kind == "f"))


@pytest.mark.parametrize("name", ops.__all__)
@settings(max_examples=EXAMPLES, suppress_health_check=BUSY)
@given(data=st.data())
def test_operations(name: str, data: st.DataObject) -> None:
    types = data.draw(st.sampled_from([("f4",), ("f8",), FLOATS, TYPES]))
    given: dict[str, Any] = {}
    for parameter in parameters(name).values():
        if parameter.default is not parameter.empty and data.draw(st.booleans()):
            continue
        kind = str(parameter.annotation)
        if "Sequence[Tensor]" in kind:
            given[parameter.name] = data.draw(st.lists(tensors(types), max_size=3))
        elif "Tensor" in kind:
            given[parameter.name] = data.draw(tensors(types))
        elif "NDArray" in kind or "Array" in kind:
            given[parameter.name] = data.draw(arrays(shape=shapes(axes=4, side=4), wrapped=False))
        else:
            given[parameter.name] = data.draw(next(value for word, value in PLAIN.items() if word in kind))
    held = [value.data for value in given.values() if isinstance(value, lstm2d.Tensor)]
    before = [kept(values) for values in held]
    result = call(getattr(ops, name), allowed=WRONG, **given)
    if isinstance(result, lstm2d.Tensor) and result.requires_grad and result.data.size:
        call(lstm2d.backward, result, np.ones_like(result.data), allowed=WRONG)
    assert [kept(values) for values in held] == before
