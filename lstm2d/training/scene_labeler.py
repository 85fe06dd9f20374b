"""An estimator with the interface of scikit-learn, which need not be installed."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from lstm2d.data.arrays import ArrayDataset, listed
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import ConfigError, Lstm2dError
from lstm2d.io.classes import ClassInfo
from lstm2d.metrics.confusion import Confusion
from lstm2d.training.fit import Progress, TrainedPredictor, fit


class NotFittedError(Lstm2dError, ValueError, AttributeError):
    """A model was used before its training; also scikit-learn's `NotFittedError`, if that is loaded."""


class ParameterError(ConfigError, ValueError):
    """A parameter of an estimator cannot be used."""


class SceneLabeler:
    """Label every pixel of images: an estimator for scikit-learn.

    Parameters
    ----------
    preset : str or path, default "lstm2d-5x5"
        Name of a preset, or path of a TOML file.
    max_time : str or float, optional
        Longest training time, such as "30m", or a number of seconds.
    classes : sequence of str or ClassInfo, optional
        Names of the K classes. By default the masks decide; give them for cross-validation, where a fold may
        lack the last class.
    ignore : int, default 255
        Value of pixels in `y` that count in no loss and no score.
    val : float, optional
        Share of the training images to hold out, which choose the best weights; by default that of the
        preset, 0.1.
    seed : int, optional
        Seed of the training; by default that of the preset, 0.
    init_from : str or path, optional
        Model whose weights training starts from.
    settings : mapping, optional
        Other values of the configuration by dotted key, such as ``{"train.epochs": 20}``.
    device : str, default "cpu"
        Where to train and predict.
    progress : bool or callable, default False
        As for `lstm2d.fit`.

    Attributes
    ----------
    predictor_ : TrainedPredictor
        The trained model.
    classes_ : array of shape (K,), int
        The class numbers 0 to K - 1, the last axis of `predict_proba`.
    class_names_ : list of str
        Their names.

    See Also
    --------
    lstm2d.fit : The same as a function.

    Notes
    -----
    Parameters are checked by `fit`. There is no `n_features_in_`: images may have any size.

    Examples
    --------
    >>> import numpy
    >>> from lstm2d import SceneLabeler
    >>> y = numpy.zeros((4, 20, 30), int)
    >>> y[:, 10:] = 1
    >>> X = (100 + 100 * y[..., None].repeat(3, axis=3)).astype(numpy.uint8)
    >>> model = SceneLabeler(classes=["dark", "bright"], settings={"train.epochs": 1}).fit(X, y)
    >>> model.predict(X).shape
    (4, 20, 30)
    >>> 0 <= model.score(X, y) <= 1
    True
    """

    def __init__(
        self,
        preset: str = "lstm2d-5x5",
        *,
        max_time: str | float | None = None,
        classes: Sequence[str | ClassInfo] | None = None,
        ignore: int = IGNORE,
        val: float | None = None,
        seed: int | None = None,
        init_from: str | None = None,
        settings: Mapping[str, Any] | None = None,
        device: str = "cpu",
        progress: Progress = False,
    ) -> None:
        self.preset = preset
        self.max_time = max_time
        self.classes = classes
        self.ignore = ignore
        self.val = val
        self.seed = seed
        self.init_from = init_from
        self.settings = settings
        self.device = device
        self.progress = progress

    def fit(self, X: Iterable[object], y: Iterable[object]) -> Self:
        """Train on images and masks.

        Parameters
        ----------
        X : list of array, PIL image or path, or array of shape (N, H, W, 3)
            Photographs of any sizes.
        y : list of array or path, or array of shape (N, H, W)
            Class number of each pixel, or `ignore`.

        Returns
        -------
        SceneLabeler
            This object.

        Raises
        ------
        Lstm2dError
            As `lstm2d.fit` raises it.
        """
        if y is None:
            raise ParameterError("requires y to be passed, but the target y is None", expected="masks")
        self.predictor_: TrainedPredictor = fit(
            X,
            y,
            preset=self.preset,
            max_time=self.max_time,
            classes=self.classes,
            ignore=self.ignore,
            val=self.val,
            seed=self.seed,
            init_from=self.init_from,
            settings=self.settings,
            device=self.device,
            progress=self.progress,
        )
        self.classes_ = np.arange(len(self.predictor_.classes))
        self.class_names_ = [info.name for info in self.predictor_.classes]
        return self

    def predict(self, X: Any) -> Any:
        """Return the most likely class of every pixel.

        Parameters
        ----------
        X : list of array, PIL image or path, or array of shape (N, H, W, 3)
            Photographs of any sizes.

        Returns
        -------
        list of array of shape (H, W), uint8
            Class numbers; for an array an array of shape (N, H, W).

        Raises
        ------
        NotFittedError
            Before `fit`.
        Lstm2dError
            As `Predictor.predict` raises it.
        """
        return self._trained("predict").predict(_several(X))

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of every class at every pixel.

        Parameters
        ----------
        X : list of array, PIL image or path, or array of shape (N, H, W, 3)
            Photographs of any sizes.

        Returns
        -------
        list of array of shape (H, W, K), float32
            In 0..1; for an array an array of shape (N, H, W, K).

        Raises
        ------
        NotFittedError
            Before `fit`.
        Lstm2dError
            As `Predictor.predict_proba` raises it.
        """
        return self._trained("predict_proba").predict_proba(_several(X))

    def score(self, X: Iterable[object], y: Iterable[object]) -> float:
        """Return the pixel accuracy: the share of all labelled pixels with the right class.

        Parameters
        ----------
        X : list of array, PIL image or path, or array of shape (N, H, W, 3)
            Photographs of any sizes.
        y : list of array or path, or array of shape (N, H, W)
            Class number of each pixel, or `ignore`.

        Returns
        -------
        float
            In 0..1; NaN if no pixel is labelled.

        Raises
        ------
        NotFittedError
            Before `fit`.
        Lstm2dError
            If images and masks cannot be used.
        """
        model = self._trained("score")
        data = ArrayDataset(X, y, classes=model.classes, ignore=self.ignore, reading=model.reading)
        confusion = Confusion(len(model.classes), data.ignore)
        for sample in data.samples:
            image, labels = data.load(sample)
            confusion.add(labels, model.labels_of(image))
        accuracy = confusion.pixel_accuracy
        return float("nan") if accuracy is None else accuracy

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default True
            Without effect, as no parameter is an estimator; scikit-learn passes it.

        Returns
        -------
        dict
            Parameter name -> value.
        """
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        Parameters
        ----------
        **params : object
            New values by name.

        Returns
        -------
        SceneLabeler
            This object.

        Raises
        ------
        ConfigError
            If there is no such parameter; nothing is set then.
        """
        known = self._defaults()
        unknown = [name for name in params if name not in known]
        if unknown:
            raise ParameterError(f"no such parameter: {', '.join(unknown)}", expected=", ".join(known))
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Return the call that makes this object, without default values."""
        given = self._defaults()
        changed = {k: v for k, v in self.get_params().items() if not _same(v, given[k])}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in changed.items())})"

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether `fit` has succeeded."""
        return hasattr(self, "predictor_")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks about an estimator."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,  # neither classes of images nor numbers: a label for every pixel
            target_tags=TargetTags(required=True, multi_output=True, two_d_labels=False),
            non_deterministic=False,
            input_tags=InputTags(two_d_array=False, three_d_array=False),
        )

    def _defaults(self) -> dict[str, Any]:
        """Return the parameters, also those of a subclass, and their default values."""
        parameters = inspect.signature(type(self).__init__).parameters.values()
        return {item.name: item.default for item in parameters if item.name != "self"}

    def _trained(self, method: str) -> TrainedPredictor:
        if hasattr(self, "predictor_"):
            return self.predictor_
        kind: type[Any] = NotFittedError
        theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", None)
        if theirs is not None:
            kind = type("NotFittedError", (NotFittedError, theirs), {})
        raise kind(f"this {type(self).__name__} is not trained yet", hint=f"call fit(X, y) before {method}")


def _same(value: object, default: object) -> bool:
    """Return whether a parameter has its default value, which is never an array."""
    return value is default or (type(value) is type(default) and value == default)


def _several(images: Any) -> Any:
    """Return images as `Predictor.predict` takes several."""
    return images if len(getattr(images, "shape", ())) == 4 else listed(images, "images")
