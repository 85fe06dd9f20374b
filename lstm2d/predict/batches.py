"""Several images in one call."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, ImageWarning, Lstm2dError

T = TypeVar("T", bound=NDArray[Any])
OnError = Literal["raise", "skip"]

THREE_GRAY = (
    "a list of three gray images is a batch; red, green and blue of one image: np.stack(images, axis=2)"
)
_CHANNELS = (1, 3, 4)
_CALLER = 4  # frames from here to the code that called `predict`


def images_in(given: Any) -> Sequence[Any] | None:
    """Return the images of a batch, one by one.

    Parameters
    ----------
    given : object
        What the caller gave.

    Returns
    -------
    sequence or None
        The images of a list or tuple of paths, Pillow images or arrays, or of an array with four axes. None
        for a single image, which may also be a list: of rows of numbers.
    """
    if isinstance(given, list | tuple):
        if not given or any(map(_is_image, given)):
            return given
        shapes: list[Any] = [getattr(item, "shape", None) for item in given]
        if any(shape is None or len(shape) != 2 for shape in shapes):
            return None
        rows_of_one = len(set(shapes)) == 1 and shapes[0][1] in _CHANNELS
        if len(set(shapes)) == 1 and len(shapes) == 3 and not rows_of_one:
            warnings.warn(THREE_GRAY, ImageWarning, stacklevel=_CALLER)
        return None if rows_of_one else given
    shape = getattr(given, "shape", ())
    if isinstance(shape, tuple) and len(shape) == 4 and shape[0] > 0:
        return [given[k] for k in range(shape[0])]
    return None


def each(images: Sequence[Any], given: object, label: Callable[[Any], T], on_error: OnError) -> Any:
    """Apply a function to the images of a batch.

    Parameters
    ----------
    images : sequence
        Output of `images_in`.
    given : object
        Its argument.
    label : callable
        Returns an array for an image.
    on_error : {"raise", "skip"}
        What to do if an image cannot be labelled.

    Returns
    -------
    list of array, or array
        A list for a list, an array for an array. "skip" always returns a list, with None for images that
        failed, each of which is an `ImageWarning`.

    Raises
    ------
    ConfigError
        If `on_error` is another value, or as `label` raises it.
    Lstm2dError
        As `label` raises it for the first image that fails; the message has its number, from 0.
    """
    if on_error not in ("raise", "skip"):
        raise ConfigError("no such `on_error`", where=repr(on_error), expected="'raise' or 'skip'")
    results: list[T | None] = []
    for number, image in enumerate(images):
        try:
            results.append(label(image))
        except ConfigError:  # not of the image
            raise
        except Lstm2dError as error:
            if on_error == "raise":
                raise _of_image(error, number) from error
            reason = str(_of_image(error, number)).partition("\n")[0]
            warnings.warn(f"not labelled: {reason}", ImageWarning, stacklevel=_CALLER)
            results.append(None)
    if isinstance(given, list | tuple) or on_error == "skip":
        return results
    return np.stack([result for result in results if result is not None])


def _is_image(item: Any) -> bool:
    """Return whether an item of a list is an image whatever the others are."""
    pillow = sys.modules.get("PIL.Image")  # if Pillow is not loaded, nothing is a Pillow image
    if isinstance(item, str | os.PathLike) or (pillow is not None and isinstance(item, pillow.Image)):
        return True
    depth = 0
    while isinstance(item, list | tuple) and item:
        item, depth = item[0], depth + 1
    return depth + len(getattr(item, "shape", ())) >= 3


def _of_image(error: Lstm2dError, number: int) -> Lstm2dError:
    """Return an error with the number of the image it is about."""
    where = f"images[{number}]" + ("" if error.where is None else f", {error.where}")
    return type(error)(error.what, where=where, expected=error.expected, hint=error.hint)
