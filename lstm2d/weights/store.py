"""The store of imported weights of published networks.

A file in the store is a safetensors file whose description has a digest per layer. Any selection of layers
thus has a digest too: a model that needs conv1_1 to conv3_3 finds them in any file that has them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.atomic import make_folder, write_parts
from lstm2d.io.safe_open import open_regular
from lstm2d.io.safetensors_header import METADATA, canonical, parse_json, read_header
from lstm2d.io.tensor_file import TensorFile, bytes_of, to_parts
from lstm2d.io.user_folders import data_folder
from lstm2d.weights.lazy_array import damaged
from lstm2d.weights.networks import FIRST, NETWORKS
from lstm2d.weights.published import PARTS

Layers: TypeAlias = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]

MEANS = (123.68, 116.779, 103.939)
"""Subtracted from red, green and blue, 0..255, before a stored first layer."""

METADATA_KEY = "lstm2d_weights"
FORMAT_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")  # whole, or its beginning


@dataclass(frozen=True)
class Weights:
    """Layers of a published network.

    Parameters
    ----------
    digest : str
        SHA-256 of these layers, independent of the file they came from.
    layers : dict of str to (array, array)
        Filters of shape (kh, kw, in, out) for RGB input, 0..255 minus `MEANS`, and biases of shape (out,),
        both float32. Names and order are those of the network.
    """

    digest: str
    layers: Layers


@dataclass(frozen=True)
class StoredWeights:
    """The description in a file of weights.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        Its length in bytes.
    network : str
        Which network, a key of `lstm2d.weights.networks.NETWORKS`.
    name : str
        Its name in configurations.
    convention : str
        The input that the original filters expect.
    source : str
        Name of the file they were imported from.
    layers : dict of str to str
        SHA-256 of each layer, in the order of the network.
    """

    path: Path
    size: int
    network: str
    name: str
    convention: str
    source: str
    layers: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over all layers."""
        return _digest(self.layers)

    def digest_of(self, names: Collection[str]) -> str | None:
        """Return the SHA-256 over some of the layers; None if not all of them are here."""
        if not set(names) <= set(self.layers):
            return None
        return _digest({n: d for n, d in self.layers.items() if n in names})


def store_folder() -> Path:
    """Return the folder of the weights that the user imported; it may not exist."""
    return data_folder() / "weights"


def weights_digest(layers: Layers) -> str:
    """Return the SHA-256 over layers.

    Parameters
    ----------
    layers : dict of str to (array, array)
        As in `Weights`.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return _digest({name: _layer_digest(*arrays) for name, arrays in layers.items()})


def store_weights(
    layers: Layers, *, name: str, convention: str, source: str, network: str = FIRST
) -> StoredWeights:
    """Write weights to the store.

    Parameters
    ----------
    layers : dict of str to (array, array)
        As in `Weights`.
    name : str
        Their name in configurations.
    convention : str
        The input that the original filters expect.
    source : str
        Name of the file they came from.
    network : str, default "vgg16"
        Which network, a key of `lstm2d.weights.networks.NETWORKS`.

    Returns
    -------
    StoredWeights
        The file in the store.

    Raises
    ------
    ConfigError
        If the name cannot be a file name, or looks like a digest.
    OutputError
        If the file cannot be written.
    """
    if not _NAME.fullmatch(name) or _DIGEST.fullmatch(name):
        raise ConfigError(
            f"weights cannot be called {name!r}", expected="letters, digits, '-', '_' and '.', no digest"
        )
    folder = make_folder(store_folder())
    layers = {layer: layers[layer] for layer in NETWORKS[network].layers if layer in layers}
    digests = {layer: _layer_digest(*arrays) for layer, arrays in layers.items()}
    path = folder / f"{name}-{_digest(digests)[:16]}.safetensors"
    description = {
        "format_version": FORMAT_VERSION,
        **({} if network == FIRST else {"network": network}),
        "name": name,
        "input": "RGB, 0..255, minus " + ", ".join(map(str, MEANS)),
        "convention": convention,
        "source": source,
        "layers": digests,
    }
    arrays = {
        f"{layer}.{part}": np.asarray(values, np.float32)
        for layer, pair in layers.items()
        for part, values in zip(PARTS, pair, strict=True)
    }
    write_parts(path, to_parts(arrays, {METADATA_KEY: canonical(description)}))
    return read_stored(path)


def stored_weights() -> tuple[list[StoredWeights], list[DataError]]:
    """List the store.

    Returns
    -------
    found : list of StoredWeights
        Sorted by file name.
    problems : list of DataError
        One per unusable file.
    """
    found, problems = [], []
    for path in sorted(store_folder().glob("*.safetensors")):
        try:
            found.append(read_stored(path))
        except DataError as error:
            problems.append(error)
    return found, problems


def is_stored(path: str | os.PathLike[str]) -> bool:
    """Return whether `store_weights` wrote a file, which may be damaged since.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    bool
        False for files of any other kind.

    Raises
    ------
    DataError
        If the file is missing or not readable.
    """
    with open_regular(path) as file:
        try:
            metadata = read_header(file, os.fstat(file.fileno()).st_size, path).get(METADATA)
        except DataError:
            return False
    return isinstance(metadata, dict) and METADATA_KEY in metadata


def read_stored(path: str | os.PathLike[str]) -> StoredWeights:
    """Read the description in a file of weights.

    Parameters
    ----------
    path : str or path
        A file that `store_weights` wrote.

    Returns
    -------
    StoredWeights
        The description. Its digests are checked when the layers are read.

    Raises
    ------
    DataError
        If the file is missing, damaged or not a file of weights.
    """
    with open_regular(path) as file:
        return _described(TensorFile(file, path), path)


def load_stored(path: str | os.PathLike[str], names: Collection[str] | None = None) -> Weights:
    """Read layers from a file of weights.

    Parameters
    ----------
    path : str or path
        A file that `store_weights` wrote.
    names : collection of str, optional
        Which layers; all by default.

    Returns
    -------
    Weights
        The layers, verified by their digests.

    Raises
    ------
    DataError
        If the file is damaged or lacks a layer.
    """
    with open_regular(path) as opened:
        file = TensorFile(opened, path)
        stored = _described(file, path)
        absent = [n for n in names or () if n not in stored.layers]
        if absent:
            raise DataError(f"these weights lack {', '.join(absent)}", where=path)
        digests = {n: d for n, d in stored.layers.items() if names is None or n in names}
        layers: Layers = {}
        for name, digest in digests.items():
            filters, bias = (file.read(f"{name}.{part}").astype(np.float32, copy=False) for part in PARTS)
            if _layer_digest(filters, bias) != digest:
                raise _damaged(f"the checksum of {name} does not match its values", path)
            layers[name] = (filters, bias)
    return Weights(_digest(digests), layers)


def find_weights(
    name_or_digest: str, names: Collection[str] | None = None, *, partial: bool = False
) -> Weights:
    """Read weights from the store.

    Parameters
    ----------
    name_or_digest : str
        A name given at the import; or the digest of a stored file, or of the layers `names` of it, or the
        first 8 or more digits of either.
    names : collection of str, optional
        Which layers; all by default.
    partial : bool, default False
        Whether layers may be missing.

    Returns
    -------
    Weights
        Only these layers, with their digest.

    Raises
    ------
    ConfigError
        If different weights have that name.
    DataError
        If there are no such weights, or they lack a layer or are damaged.
    """
    found, problems = stored_weights()
    if _DIGEST.fullmatch(name_or_digest):
        fitting = [s for s in found if _has_digest(s, name_or_digest, names)]
    else:
        fitting = [s for s in found if s.name == name_or_digest]
    if not fitting:
        raise _not_found(name_or_digest, names, found, problems)
    if partial and names is not None:
        held = {n for s in fitting for n in s.layers}
        names = [n for n in names if n in held]
    complete = [s for s in fitting if names is None or s.digest_of(names)]
    if not complete:
        lacking = [n for n in names or () if n not in fitting[0].layers]
        raise DataError(
            f"the weights {name_or_digest!r} lack {', '.join(lacking)}",
            where=fitting[0].path,
            expected=", ".join(names or ()),
            hint="import a file that has these layers: lstm2d weights import FILE",
        )
    if len({s.digest if names is None else s.digest_of(names) for s in complete}) > 1:
        raise ConfigError(
            f"different weights are called {name_or_digest!r}",
            where=store_folder(),
            expected="one of the digests " + ", ".join(s.digest[:16] for s in complete),
            hint="set model.weights to a digest, or delete a file",
        )
    return load_stored(complete[0].path, names)


def _has_digest(stored: StoredWeights, digest: str, names: Collection[str] | None) -> bool:
    part = stored.digest_of(names) if names is not None else None
    return stored.digest.startswith(digest) or (part is not None and part.startswith(digest))


def _not_found(
    wanted: str, names: Collection[str] | None, found: list[StoredWeights], problems: list[DataError]
) -> DataError:
    what = f"weights {wanted!r} are not here" + (f" (layers {', '.join(names)})" if names else "")
    if problems:
        what += f"; {len(problems)} damaged in the store"
    known = ", ".join(sorted({f"{s.name} ({s.digest[:16]})" for s in found})) or "nothing was imported yet"
    hint = "lstm2d weights import FILE"
    return DataError(what, where=store_folder(), expected=f"imported weights; there: {known}", hint=hint)


def _described(file: TensorFile, path: str | os.PathLike[str]) -> StoredWeights:
    """Return the description in a file; the shapes of its tensors agree with it."""
    if METADATA_KEY not in file.metadata:
        what = "this is not a file of imported weights"
        raise DataError(what, where=path, hint="lstm2d weights import FILE")
    value = parse_json(file.metadata[METADATA_KEY], path)
    if not isinstance(value, dict) or value.get("format_version") != FORMAT_VERSION:
        raise _damaged("its description is of another version", path)
    texts = {key: v for key in ("name", "convention", "source") if isinstance(v := value.get(key), str)}
    key, digests = value.get("network", FIRST), value.get("layers")
    if not isinstance(key, str) or key not in NETWORKS:
        raise _damaged("it is of an unknown network", path)
    shapes = NETWORKS[key].layers
    if len(texts) != 3 or not isinstance(digests, dict) or not set(digests) <= set(shapes):
        raise _damaged("its description is not complete", path)
    layers = {n: d for n in shapes if isinstance(d := digests.get(n), str)}
    for layer in layers:
        for part, expected in zip(PARTS, (shapes[layer], shapes[layer][3:]), strict=True):
            tensor = file.tensors.get(f"{layer}.{part}")
            if tensor is None or tensor.shape != expected or tensor.dtype != "<f4":
                raise _damaged(f"layer {layer} is missing or has a wrong shape", path)
    return StoredWeights(path=Path(path), size=file.size, network=key, layers=layers, **texts)


def _damaged(reason: str, path: object) -> DataError:
    error = damaged(reason, path)
    return DataError(error.what, where=path, hint="import it again: lstm2d weights import FILE")


def _layer_digest(filters: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
    digest = hashlib.sha256(repr(tuple(filters.shape)).encode())
    for values in (filters, bias):
        digest.update(bytes_of(np.ascontiguousarray(values, dtype="<f4")))
    return digest.hexdigest()


def _digest(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 over layers from those of each, in the order of the network."""
    text = "".join(f"{name} {digest}\n" for name, digest in digests.items())
    return hashlib.sha256(text.encode()).hexdigest()
