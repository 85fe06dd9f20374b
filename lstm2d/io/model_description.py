"""The description in a model file, and its JSON form."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.classes import MAX_CLASSES, ClassInfo, wrong_name
from lstm2d.io.safetensors_header import Json, broken, canonical, parse_json

METADATA_KEY = "lstm2d"  # of the description, in the metadata of a safetensors file
FORMAT_VERSION = 2
PLAIN_VERSION = 1  # for files with all layers and without float16
NATIVE = "native"
MAX_SIDE = 1e6  # pixels
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Imported:
    """Layers of a published network that are not stored in a model file.

    Parameters
    ----------
    digest : str
        SHA-256 of these layers, see `lstm2d.weights.store`.
    layers : tuple of str
        Their names in the published network.
    parameters : tuple of str
        Names of the corresponding parameters of the model.
    """

    digest: str
    layers: tuple[str, ...]
    parameters: tuple[str, ...]

    @classmethod
    def from_json(cls, value: Json) -> Imported | None:
        """Create an instance from the JSON value of `dataclasses.asdict`.

        Parameters
        ----------
        value : object
            Value from a file.

        Returns
        -------
        Imported or None
            None for None.

        Raises
        ------
        ValueError
            If the value is invalid.
        """
        if value is None:
            return None
        if not isinstance(value, dict) or set(value) != {"digest", "layers", "parameters"}:
            raise ValueError("invalid entry of imported layers")
        if not isinstance(value["digest"], str) or not _DIGEST.fullmatch(value["digest"]):
            raise ValueError("imported layers without a digest")
        return cls(value["digest"], _texts(value["layers"]), _texts(value["parameters"]))


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A trained model, as stored in a file.

    Parameters
    ----------
    state : dict of str to array
        Parameters by name, without those in `imported`; empty if only the header was read.
    preset : str
        Name of the preset the run started from.
    config : dict
        The complete configuration of the run.
    classes : tuple of ClassInfo
        Names and colours, in the order of the class numbers.
    mean, std : tuple of float
        Mean and standard deviation per channel of the training images, 0..255.
    ignore : int
        Label of pixels that losses and metrics ignore.
    library_version : str
        Version of the library that wrote the file.
    seed : int
        Seed of the run.
    metrics : dict
        Metrics at the time of saving.
    trained_on : str
        Description of the training images.
    terms : str
        Terms of use of those images and of the model.
    imported : Imported, optional
        Layers that are not stored.
    typical_size : float, optional
        Median of the square root of the pixel count of the training images; None if not stored.
    native : bool, default False
        Whether pixels have a fixed scale, so that photographs are labelled at their own size.
    """

    state: dict[str, NDArray[Any]] = field(repr=False)
    preset: str
    config: dict[str, Any]
    classes: tuple[ClassInfo, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    ignore: int
    library_version: str
    seed: int
    metrics: dict[str, Any]
    trained_on: str
    terms: str
    imported: Imported | None = None
    typical_size: float | None = None
    native: bool = False


def to_json(model: ModelFile) -> dict[str, Any]:
    """Return the JSON description of a model, without parameters and format version.

    Parameters
    ----------
    model : ModelFile
        The model.

    Returns
    -------
    dict
        JSON values, unless the configuration or the metrics hold others.
    """
    optional: dict[str, Any] = {}
    if model.imported is not None:
        optional["imported"] = dataclasses.asdict(model.imported)
    if model.typical_size is not None:
        optional["typical_size"] = float(model.typical_size)
    if model.native:
        optional["scale"] = NATIVE
    return {
        "preset": model.preset,
        "config": model.config,
        "classes": [{"name": c.name, "color": [int(v) for v in c.color]} for c in model.classes],
        "mean": [float(v) for v in model.mean],
        "std": [float(v) for v in model.std],
        "ignore": int(model.ignore),
        "library_version": model.library_version,
        "seed": int(model.seed),
        "metrics": model.metrics,
        "trained_on": model.trained_on,
        "terms": model.terms,
        **optional,
    }


def from_metadata(
    metadata: dict[str, str], state: dict[str, NDArray[Any]], path: object
) -> tuple[ModelFile, str, Json]:
    """Parse and check the description in a model file.

    Parameters
    ----------
    metadata : dict of str to str
        Metadata of a safetensors file.
    state : dict of str to array
        Its parameters.
    path : object
        The file, for messages.

    Returns
    -------
    model : ModelFile
        The model.
    text : str
        The text that the checksum covers besides the parameters.
    digest : object
        Its checksum; None if missing.

    Raises
    ------
    DataError
        If the file is not a model file, has a newer version or a damaged description.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        what = "this safetensors file is not an lstm2d model"
        raise DataError(what, where=path, expected="a file written by lstm2d train")
    value = parse_json(text, path)
    if not isinstance(value, dict):
        raise broken("its description is not a JSON object", path)
    digest = value.pop("sha256", None)
    version = value.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        what = f"model file of version {version}"
        raise DataError(
            what, where=path, expected=f"{FORMAT_VERSION} or lower", hint="install a newer lstm2d"
        )
    if isinstance(version, bool) or version not in (PLAIN_VERSION, FORMAT_VERSION):
        raise broken("it has no format version", path)
    take = _Fields(value, path)
    model = ModelFile(
        state=state,
        preset=take.text("preset"),
        config=take.table("config"),
        classes=take.classes(),
        mean=take.numbers("mean", positive=False),
        std=take.numbers("std", positive=True),
        ignore=take.integer("ignore", 0, 255),
        library_version=take.text("library_version"),
        seed=take.integer("seed", 0, 2**63 - 1),
        metrics=take.table("metrics"),
        trained_on=take.text("trained_on"),
        terms=take.text("terms"),
        imported=take.imported(),
        typical_size=take.typical_size(),
        native=take.native(),
    )
    if len(model.mean) != len(model.std):
        raise broken("it has a mean and a deviation of different lengths", path)
    return model, canonical(value), digest


class _Fields:
    """Typed access to the description; missing or wrong values raise DataError."""

    def __init__(self, values: dict[str, Json], path: object) -> None:
        self._values, self._path = values, path

    def _fail(self, key: str) -> DataError:
        return broken(f"its description lacks {key!r} or has a wrong value there", self._path)

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str):
            raise self._fail(key)
        return value

    def table(self, key: str) -> dict[str, Any]:
        value = self._values.get(key)
        if not isinstance(value, dict):
            raise self._fail(key)
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._fail(key)
        return value

    def numbers(self, key: str, *, positive: bool) -> tuple[float, ...]:
        value = self._values.get(key)
        if not isinstance(value, list) or not value:
            raise self._fail(key)
        numbers = []
        for v in value:
            if not isinstance(v, int | float) or isinstance(v, bool) or abs(v) > 1e9 or (positive and v <= 0):
                raise self._fail(key)
            numbers.append(float(v))
        return tuple(numbers)

    def imported(self) -> Imported | None:
        try:
            return Imported.from_json(self._values.get("imported"))
        except ValueError as e:
            raise self._fail("imported") from e

    def typical_size(self) -> float | None:
        value = self._values.get("typical_size")
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= MAX_SIDE:
            raise self._fail("typical_size")
        return float(value)

    def native(self) -> bool:
        value = self._values.get("scale")
        if value not in (None, NATIVE):
            raise self._fail("scale")
        return value == NATIVE

    def classes(self) -> tuple[ClassInfo, ...]:
        value = self._values.get("classes")
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_CLASSES:
            raise self._fail("classes")
        return tuple(self._class(v) for v in value)

    def _class(self, value: Json) -> ClassInfo:
        name = value.get("name") if isinstance(value, dict) else None
        color = value.get("color") if isinstance(value, dict) else None
        if not isinstance(name, str) or wrong_name(name) or not isinstance(color, list) or len(color) != 3:
            raise self._fail("classes")
        channels = [c for c in color if isinstance(c, int) and not isinstance(c, bool) and 0 <= c <= 255]
        if len(channels) != 3:
            raise self._fail("classes")
        return ClassInfo(name, (channels[0], channels[1], channels[2]))


def _texts(value: Json) -> tuple[str, ...]:
    texts = tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()
    if not isinstance(value, list) or not texts or len(texts) != len(value):
        raise ValueError("invalid list of imported layers")
    return texts
