"""A trained model that labels images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ImageWarning
from lstm2d.io.given import photo_of
from lstm2d.pipeline.preprocess import LARGE, UNKNOWN_SIZE, Size, parse_size
from lstm2d.predict.batches import OnError, each, images_in
from lstm2d.predict.in_words import in_words
from lstm2d.predict.pixels import FloatArray, LabelArray, PixelPredictor

Several = list[Any] | tuple[Any, ...]


class Predictor(PixelPredictor):
    """Label images with a trained model.

    Parameters
    ----------
    model : ModelFile
        The model.
    source : str or path, optional
        Its file, for messages.
    crf : bool, str or CRFSection, default True
        The fully connected CRF after the network: True for that of the model's configuration, if it has
        one, False for none, the name of a set (`lstm2d.config.crf.CRF_SETS`), or the settings.
    device : str, default "cpu"
        Where the network and the CRF compute: "auto", "cpu", "cuda" or "cuda:N".
    resolution : str or int, optional
        For recurrent convolutional networks and patch networks: "1/4" or 4 computes one pixel in 4x4, and the
        others get the label of the nearest one. At most the network's stride, after the last of `instances`.
        The default is that of the network: 1/8 for patch networks, else 1.
    instances : int, sequence of int or str, optional
        For these networks: predict the labels after so many instances, at most those that were trained,
        which is the default. With several, such as (1, 2, 3), `predict` returns the last ones and
        `predict_instances` all.

    Attributes
    ----------
    model : ModelFile
        As given.
    device : str
        "cpu" or "cuda:N".
    crf : CRFSection or None
        The CRF's settings, None for none. May be replaced.
    name : str
        Name of a bundled model, of a run's folder or of a model file without its ending; without a source the
        name of the preset.
    classes : tuple of ClassInfo
        Names and colours of the K classes; labels are numbers 0 to K - 1 in this order.
    preprocessing : Preprocessing
        Preprocessing of photographs for the network.
    reading : Reading
        How photographs are read, as the model's configuration says. May be replaced.
    max_memory : int or None
        Largest memory of the process in bytes: images that would take more are refused before anything is
        computed. None, the default, for no limit. May be replaced.
    resolution : int
        Pixels from one computed pixel to the next.
    instances : tuple of int
        The instances whose labels are predicted, ascending; (1,) for a network without instances.
    trained : int
        Instances that were trained; 1 for a network without.

    Raises
    ------
    DataError
        If the parameters do not match the configuration of the model, or imported weights that it needs are
        not in the user's store.
    ConfigError
        If there is no such set, the device cannot be used, or resolution or instances do not fit the model.

    Notes
    -----
    The labels of an image depend only on the image, the model, the size and the device; not on other images
    or the number of threads.
    """

    def __repr__(self) -> str:
        """Return name, classes, typical size of photographs and number of parameters, in one line."""
        side = self.preprocessing.typical_size
        facts = [] if side is None or self.preprocessing.native else [f"~{side:.0f} px"]
        facts.append(f"{self.parameters:,} parameters")
        return in_words(type(self).__name__, self.name, facts, [info.name for info in self.classes])

    @overload
    def predict(self, image: Several, *, size: Size = ..., on_error: OnError = ...) -> list[Any]: ...

    @overload
    def predict(self, image: Any, *, size: Size = ..., on_error: OnError = ...) -> LabelArray: ...

    def predict(self, image: Any, *, size: Size = "auto", on_error: OnError = "raise") -> Any:
        """Return the most likely class of every pixel, of one image or of several.

        Parameters
        ----------
        image : array, PIL image or path; or a list of these, or an array of shape (N, H, W, C)
            What `lstm2d.io.given.photo_of` reads: (H, W, 3), (H, W, 4) or (H, W); integers or floats. The
            images of a list may have any sizes. They are labelled one by one.
        size : "auto", "native" or float, default "auto"
            The size at which the network sees the photograph, as the square root of its pixel count. "auto":
            the size of the model's training images if the photograph is more than 1.5 times larger or
            smaller, else its own. "native": its own.
        on_error : {"raise", "skip"}, default "raise"
            For several images: raise the error of the first that cannot be labelled; or warn, and label the
            others.

        Returns
        -------
        array of shape (H, W), uint8
            Class numbers at the photograph's own size; ties go to the lowest number. A list of these for a
            list, an array of shape (N, H, W) for an array; with "skip" always a list, with None for images
            that cannot be labelled.

        Raises
        ------
        ShapeError
            If the array has another shape.
        DataError
            If the file cannot be read, the values are not those of an image, or the output is not finite.
        ConfigError
            If there is no such size.
        Lstm2dError
            If memory runs out.

        Warns
        -----
        ImageWarning
            If something about the image was guessed, converted or left out; with "skip" also for each image
            that cannot be labelled.

        Examples
        --------
        >>> import lstm2d, numpy
        >>> images = numpy.zeros((2, 30, 40, 3), numpy.uint8)
        >>> lstm2d.load("outdoor").predict(images).shape
        (2, 30, 40)
        """
        return self._labelled(image, size, on_error, self.labels_of)

    @overload
    def predict_proba(self, image: Several, *, size: Size = ..., on_error: OnError = ...) -> list[Any]: ...

    @overload
    def predict_proba(self, image: Any, *, size: Size = ..., on_error: OnError = ...) -> FloatArray: ...

    def predict_proba(self, image: Any, *, size: Size = "auto", on_error: OnError = "raise") -> Any:
        """Return the probability of every class at every pixel, of one image or of several.

        Parameters
        ----------
        image : array, PIL image or path; or a list of these, or an array of shape (N, H, W, C)
            As for `predict`.
        size : "auto", "native" or float, default "auto"
            As for `predict`.
        on_error : {"raise", "skip"}, default "raise"
            As for `predict`.

        Returns
        -------
        array of shape (H, W, K), float32
            In 0..1; they sum to 1 at every pixel. A list of these for a list, an array of shape (N, H, W, K)
            for an array; with "skip" always a list, as for `predict`.

        Raises
        ------
        ShapeError, DataError, ConfigError, Lstm2dError
            As `predict` raises them.

        Warns
        -----
        ImageWarning
            As for `predict`.
        """
        return self._labelled(image, size, on_error, lambda *a: self.labels_and_probabilities(*a)[1])

    def predict_instances(self, image: object, *, size: Size = "auto") -> dict[int, LabelArray]:
        """Return the most likely class of every pixel after each of `instances`, from one forward pass.

        Parameters
        ----------
        image : array, PIL image or path
            As for `predict`.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Returns
        -------
        dict of int to array of shape (H, W), uint8
            Class numbers by the number of instances, ascending: the last are those of `predict`.

        Raises
        ------
        ShapeError, DataError, ConfigError, Lstm2dError
            As `predict` raises them.

        Warns
        -----
        ImageWarning
            As for `predict`.
        """
        return self.labels_after(self._read(image, size), size)

    def features(self, image: object, *, size: Size = "auto") -> dict[str, FloatArray]:
        """Return the activations of every layer.

        Parameters
        ----------
        image : array, PIL image or path
            As for `predict`.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Returns
        -------
        dict of str to array of shape (rows, columns, channels), float32
            By the name of the layer, first to last; the last is "scores". Positions that lie in the padding
            of the image entirely are left out.

        Raises
        ------
        ShapeError, DataError, ConfigError, Lstm2dError
            As `predict` raises them; DataError also if activations of any layer are not finite.

        Warns
        -----
        ImageWarning
            As for `predict`.
        """
        return {layer.name: layer.values for layer in self.layers_of(self._read(image, size), size)}

    def _labelled(
        self, given: Any, size: Size, on_error: OnError, label: Callable[[NDArray[Any], Size], NDArray[Any]]
    ) -> Any:
        """Apply `label` to the pixels of an image, or of each image of a batch."""
        if isinstance(given, memoryview):  # one of several axes cannot be listed
            given = np.asarray(given)
        images = images_in(given)
        if images is None:
            return label(self._read(given, size, stacklevel=4), size)
        return each(images, given, lambda one: label(self._read(one, size, stacklevel=6), size), on_error)

    def _read(self, image: object, size: Size, *, stacklevel: int = 3) -> NDArray[Any]:
        """Read a caller's image; warn about guesses."""
        size = parse_size(size)
        photo = photo_of(image, self.reading)
        notes = list(photo.notes)
        if size == "auto" and photo.pixels[:, :, 0].size > LARGE and self.size_is_unknown:
            notes.append(UNKNOWN_SIZE)
        for note in notes:
            warnings.warn(note, ImageWarning, stacklevel=stacklevel)
        return photo.pixels
