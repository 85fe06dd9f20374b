"""The estimator: parameters, scores, and what scikit-learn does with it."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d import SceneLabeler
from lstm2d.config import dump_toml
from lstm2d.errors import ConfigError, DataError, Lstm2dError, ShapeError
from tests.training.runs import Configure

Images = NDArray[Any]


@pytest.fixture
def model(configure: Configure, tmp_path: Path) -> SceneLabeler:
    """Return an estimator of a small network."""
    path = tmp_path / "tiny.toml"
    path.write_text(dump_toml(configure("train.epochs=2")))
    return SceneLabeler(str(path), classes=["sky", "ground"])


@pytest.fixture
def scenes() -> tuple[Images, Images]:
    """Return nine images of two bands, and their masks."""
    rng = np.random.default_rng(5)
    y = np.zeros((9, 9, 12), int)
    for k in range(9):
        y[k, 3 + k % 4 :] = 1
    return np.clip(np.where(y[..., None] == 0, 200, 80) + rng.normal(0, 9, (*y.shape, 3)), 0, 255), y


def test_parameters_are_kept_as_given() -> None:
    settings = {"train.epochs": 3}
    model = SceneLabeler("lstm2d-3x3", max_time="1m", settings=settings, seed=0)
    assert set(vars(model)) == set(model.get_params())
    assert model.get_params()["settings"] is settings
    assert model.set_params(seed=4, val=0.2) is model
    assert (model.seed, model.val) == (4, 0.2)
    with pytest.raises(ValueError, match="no such parameter: epochs, vals"):
        model.set_params(seed=5, epochs=3, vals=1)
    assert model.seed == 4
    with pytest.raises(ConfigError):
        model.set_params(epochs=3)


def test_the_repr_is_the_call() -> None:
    assert repr(SceneLabeler()) == "SceneLabeler()"
    model = SceneLabeler("lstm2d-3x3", seed=0, classes=["a", "b"])
    assert repr(model) == "SceneLabeler(preset='lstm2d-3x3', classes=['a', 'b'], seed=0)"
    assert eval(repr(model)).get_params() == model.get_params()


def test_a_subclass_has_its_own_parameters(scenes: tuple[Images, Images], model: SceneLabeler) -> None:
    class Mine(SceneLabeler):
        def __init__(self, preset: str = "lstm2d-3x3", extra: int = 3) -> None:
            super().__init__(preset)
            self.extra = extra

    assert Mine(extra=4).get_params() == {"preset": "lstm2d-3x3", "extra": 4}
    mine = Mine(model.preset).fit(*scenes)
    assert mine.score(*scenes) > 0


def test_before_fit(model: SceneLabeler, scenes: tuple[Images, Images]) -> None:
    calls = (
        lambda: model.predict(scenes[0]),
        lambda: model.predict_proba([]),
        lambda: model.score([], []),
    )
    for call in calls:
        for kind in (ValueError, AttributeError, Lstm2dError):
            with pytest.raises(kind, match="SceneLabeler is not trained yet"):
                call()
    assert not model.__sklearn_is_fitted__()
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.fit(scenes[0], None)  # type: ignore[arg-type]


def test_arrays_and_lists(model: SceneLabeler, scenes: tuple[Images, Images]) -> None:
    X, y = scenes
    before = model.get_params()
    assert model.fit(X, y) is model
    assert model.get_params() == before
    assert model.classes_.tolist() == [0, 1]
    assert model.class_names_ == ["sky", "ground"]
    labels, shares = model.predict(X), model.predict_proba(X)
    assert (labels.shape, shares.shape) == (y.shape, (*y.shape, 2))
    np.testing.assert_array_equal(shares.argmax(axis=3), labels)
    cut = [X[0], X[1, :5]]
    for given in (cut, iter(cut)):
        first, second = model.predict(given)
        np.testing.assert_array_equal(first, labels[0])
        assert second.shape == (5, 12)
    with pytest.raises(ShapeError, match=r"a single one: \[image\]"):
        model.predict(X[0])
    listed = pickle.loads(pickle.dumps(model)).fit(list(X), list(y))
    np.testing.assert_array_equal(listed.predict(X), labels)  # the same weights


def test_the_score_counts_labelled_pixels(model: SceneLabeler, scenes: tuple[Images, Images]) -> None:
    X, y = scenes
    model.set_params(ignore=-1).fit(X, y)
    truth = y.copy()
    truth[0] = -1
    truth[1, :4] = -1
    known = truth >= 0
    expected = (model.predict(X) == y)[known].mean()
    assert model.score(X, truth) == pytest.approx(expected, rel=1e-12)
    assert model.score(list(X), list(truth)) == model.score(X, truth)
    assert np.isnan(model.score(X[:1], truth[:1]))
    with pytest.raises(DataError, match=r"mask value 2 at row 0, column 0 .*masks\[0\]"):
        model.score(X, y + 2)


def test_scikit_learn_is_not_imported() -> None:
    code = "import sys, lstm2d; repr(lstm2d.SceneLabeler(seed=1)); print('sklearn' in sys.modules)"
    run = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "False\n"


# Those of scikit-learn's checks that ask nothing of the data, or ask before the data is looked at
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_requires_y_none",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("name", CHECKS)
def test_checks_of_scikit_learn(name: str) -> None:
    """All others train on rows of random numbers, which are no images: `test_checks_need_rows`."""
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    if not hasattr(checks, name):
        pytest.skip(f"this version of scikit-learn has no {name}")
    getattr(checks, name)("SceneLabeler", SceneLabeler())


def test_checks_need_rows() -> None:
    """scikit-learn itself leaves an estimator alone whose tags say that its input is not a table."""
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    exceptions = pytest.importorskip("sklearn.exceptions")
    with pytest.warns(exceptions.SkipTestWarning, match="requires input"):
        checks.check_estimator(SceneLabeler())


def test_what_the_other_checks_ask_holds_for_images(
    model: SceneLabeler, scenes: tuple[Images, Images]
) -> None:
    """Fitting twice, from read-only arrays, gives the same; predicting changes nothing."""
    X, y = scenes
    X.flags.writeable = y.flags.writeable = False
    model.fit(X, y)
    first = model.predict(X)
    fitted = {name for name in vars(model) if name not in model.get_params()}
    assert all(name.endswith("_") and not name.startswith("_") for name in fitted)
    before = {name: id(value) for name, value in vars(model).items()}
    np.testing.assert_array_equal(model.predict(X[4:])[0], first[4])  # whatever the other images are
    model.score(X, y)
    assert {name: id(value) for name, value in vars(model).items()} == before
    np.testing.assert_array_equal(model.fit(X, y).predict(X), first)


def test_cross_validation(model: SceneLabeler, scenes: tuple[Images, Images]) -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    X, y = scenes
    scores = selection.cross_val_score(model, X, y, cv=3, error_score="raise")
    assert scores.shape == (3,)
    part = model.fit(X[3:], y[3:])
    assert scores[0] == part.score(X[:3], y[:3])
    sizes = [image[: 9 - k % 2] for k, image in enumerate(X)], [mask[: 9 - k % 2] for k, mask in enumerate(y)]
    assert selection.cross_val_score(model, *sizes, cv=3, error_score="raise").shape == (3,)
    search = selection.GridSearchCV(model, {"seed": [0, 1]}, cv=2, error_score="raise").fit(X, y)
    assert set(search.best_params_) == {"seed"}


def test_not_fitted_as_scikit_learn_says_it() -> None:
    exceptions = pytest.importorskip("sklearn.exceptions")
    with pytest.raises(exceptions.NotFittedError):
        SceneLabeler().predict([])
