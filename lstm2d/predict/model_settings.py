"""Settings in the configuration of a model file, whose contents are not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstm2d.data.contrast import CONTRASTS
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.model_file import ModelFile
from lstm2d.io.photo import WHITE, Reading

if TYPE_CHECKING:
    from lstm2d.config.schema import CRFSection


def contrast_of(model: ModelFile, source: object) -> str:
    """Return the contrast normalisation of a model."""
    data = model.config.get("data", {})
    contrast = data.get("contrast", "none") if isinstance(data, dict) else None
    if contrast not in CONTRASTS:
        raise DataError(
            f"the model file has an unknown data.contrast ({contrast!r})",
            where=source,
            expected=" or ".join(CONTRASTS),
            hint="install a newer lstm2d",
        )
    return str(contrast)


def reading_of(model: ModelFile, source: object) -> Reading:
    """Return the settings for reading photographs in the configuration of a model."""
    data = model.config.get("data", {})
    bits, background = data.get("bits", 0), data.get("background", list(WHITE))
    try:
        red, green, blue = background
        return Reading(bits=bits or None, background=(red, green, blue))
    except (TypeError, ValueError, ConfigError) as e:
        raise DataError("the model file has a wrong data.bits or data.background", where=source) from e


def crf_of(model: ModelFile, source: object, crf: bool | str | CRFSection) -> CRFSection | None:
    """Return the settings of the CRF: the given ones, else those of the model."""
    if not crf or (crf is True and "crf" not in model.config):
        return None
    from lstm2d.config.crf import crf_settings  # loads pydantic

    if isinstance(crf, str):
        return crf_settings(crf)
    if crf is not True:
        return crf
    try:
        return crf_settings(dict(model.config["crf"]))
    except (ConfigError, TypeError, ValueError) as e:
        raise DataError(f"the model file has CRF settings that cannot be used ({e})", where=source) from e
