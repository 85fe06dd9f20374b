"""The settings that labels depend on, as a line of text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm2d.pipeline.preprocess import Size
    from lstm2d.predict.predictor import Predictor

_PLAIN = re.compile(r"[\w.+-]+")
# possessive, and only at the beginning of a word: the text comes from a file, and time must be linear
_PART = re.compile(r'(?<!\S)([^\s=]++)=((?:"(?:[^"\\]|\\.)*+"|[^\s"])++)')


def label_settings(
    predictor: Predictor, size: Size = "auto", format: str = "palette", *, legend: bool = False
) -> dict[str, object]:
    """Return the settings, besides the model, that label files depend on.

    Parameters
    ----------
    predictor : Predictor
        The model, with its settings.
    size : "auto", "native" or float, default "auto"
        Size at which the network sees the images.
    format : str, default "palette"
        Format of the label files.
    legend : bool, default False
        Whether overlays have a legend.

    Returns
    -------
    dict
        Keys without blanks, and JSON values. Labels made with other values are replaced.
    """
    reading = predictor.reading
    settings: dict[str, object] = {
        "background": f"#{bytes(reading.background).hex()}",
        "bits": reading.bits or "auto",
        "format": format,
        "legend": legend,
        "size": size,
        **predictor.selection,
    }
    if predictor.crf is None:
        return settings | {"crf": "off"}
    return settings | {f"crf.{key}": value for key, value in predictor.crf.model_dump().items()}


def settings_text(settings: Mapping[str, object]) -> str:
    """Return settings as KEY=VALUE, sorted by key and separated by blanks.

    Parameters
    ----------
    settings : mapping
        Keys without blanks, and JSON values. Equal settings give equal texts.

    Returns
    -------
    str
        One line. Plain words are written unchanged, other values as JSON.
    """
    return " ".join(f"{key}={_value_text(settings[key])}" for key in sorted(settings))


def changed_keys(before: str, now: str) -> list[str]:
    """Return the keys whose values differ.

    Parameters
    ----------
    before, now : str
        Texts of `settings_text`.

    Returns
    -------
    list of str
        Sorted; including keys that only one text has. If one text has "crf" and the other "crf.KEY", only
        "crf" is listed.
    """
    one, other = dict(_PART.findall(before)), dict(_PART.findall(now))
    changed = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return sorted(key for key in changed if key.rpartition(".")[0] not in changed)


def _value_text(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
