"""Write a trained model as an ONNX file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lstm2d
from lstm2d.errors import ConfigError
from lstm2d.export.check import Compared, compare
from lstm2d.export.graph import Graph, Value
from lstm2d.export.packages import optional
from lstm2d.export.photograph import network_input, without_padding
from lstm2d.export.trace import operations_of
from lstm2d.export.writers import write
from lstm2d.io.atomic import check_writable, write_bytes
from lstm2d.models import Network
from lstm2d.pipeline.preprocess import MAX_ENLARGEMENT, TOLERANCE, Preprocessing
from lstm2d.predict import load
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.zoo import find_model

OPSET, IR_VERSION = 17, 8  # of 2022: every onnxruntime since 1.12 reads them
MAX_BYTES = 2**31 - 2**20  # of a file, which is one message of Protocol Buffers
CHANNELS = ("red", "green", "blue")
FREE = ("batch", "height", "width")  # names of the dimensions of any size
FLOAT = 1  # ONNX's number of float32


@dataclass(frozen=True)
class Exported:
    """An ONNX file that was written.

    Parameters
    ----------
    path : Path
        The file.
    bytes : int
        Its size.
    opset : int
        Version of ONNX's operators.
    compared : tuple of Compared
        What was computed with onnxruntime and with lstm2d.
    crf : bool
        Whether the model has a CRF after its network; the file does not.
    """

    path: Path
    bytes: int
    opset: int
    compared: tuple[Compared, ...]
    crf: bool

    @property
    def difference(self) -> float:
        """Largest difference of a probability in onnxruntime from lstm2d's in float64."""
        return max(one.difference for one in self.compared)

    @property
    def float32(self) -> float:
        """Largest difference of lstm2d's own probabilities in float32, which it predicts with."""
        return max(one.float32 for one in self.compared)


def export_onnx(
    path_or_name: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    resolution: str | int | None = None,
    instances: int | None = None,
) -> Exported:
    """Write a trained model as an ONNX file of standard operators, and check it in onnxruntime.

    The input ``image`` has the shape (batch, height, width, 3): float32, red, green, blue in 0..255, at the
    size at which the network shall see the photograph. The output ``probabilities`` has the shape (batch,
    height, width, classes). Batch, height and width are free. Normalisation and padding are inside the
    graph; resizing of the photograph and a CRF are not.

    Parameters
    ----------
    path_or_name : str or path
        As for `lstm2d.load`.
    path : str or path
        File to write; it is replaced. Its folder must exist.
    resolution : str or int, optional
        As for `lstm2d.load`: "1/4" computes one pixel in 4x4.
    instances : int, optional
        As for `lstm2d.load`: number of the instance of a recurrent convolutional network that is exported.

    Returns
    -------
    Exported
        Size of the file, and the differences from lstm2d on images of three sizes.

    Raises
    ------
    ConfigError
        If the packages of ``lstm2d[onnx]`` are missing, an operation of the network has no ONNX form, the
        file would exceed 2 GiB or replace the model, or `resolution` or `instances` do not fit the model.
    DataError
        If there is no such model, its file is damaged, or its output is not finite.
    OutputError
        If a probability differs by more than 1e-4 from lstm2d's in float64, or the file cannot be written. No
        file is left behind.

    Examples
    --------
    >>> import lstm2d
    >>> lstm2d.export_onnx("outdoor", "outdoor.onnx").difference < 1e-4  # doctest: +SKIP
    True
    """
    for package in ("onnx", "onnxruntime"):
        optional(package)
    model = find_model(path_or_name)
    if os.path.exists(path) and os.path.samefile(model, path):
        raise ConfigError("the ONNX file would replace the model", where=path, hint="give another name")
    predictor = load(model, crf=False, resolution=resolution, instances=instances)
    check_writable(path)
    data = to_bytes(predictor.network, predictor.preprocessing, metadata(predictor))
    compared = compare(predictor, data, path)
    write_bytes(path, data)
    return Exported(Path(path), len(data), OPSET, tuple(compared), "crf" in predictor.model.config)


def to_bytes(network: Network, preprocessing: Preprocessing, properties: Mapping[str, str]) -> bytes:
    """Return the ONNX file of a network; the same bytes every time.

    Parameters
    ----------
    network : Network
        With its weights, on the host.
    preprocessing : Preprocessing
        What is done to an image before it.
    properties : mapping from str to str
        The file's metadata.

    Returns
    -------
    bytes
        The file, accepted by ONNX's checker.

    Raises
    ------
    ConfigError
        As for `export_onnx`.
    """
    _refuse_too_large(network)
    helper, channels = optional("onnx.helper"), len(preprocessing.mean)
    g = Graph()
    image = Value(g, "image")
    values = [network_input(g, image, preprocessing)]
    for operation in operations_of(network, channels):
        values.append(write(g, operation, values))
    last = without_padding(g, values[-1], image, preprocessing)
    g.nodes.append(helper.make_node("Identity", [last], ["probabilities"], name="probabilities"))
    sides = [
        helper.make_tensor_value_info(name, FLOAT, [*FREE, size])
        for name, size in (("image", channels), ("probabilities", network.n_classes))
    ]
    graph = helper.make_graph(g.nodes, "lstm2d", sides[:1], sides[1:], initializer=g.initializers)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lstm2d",
        producer_version=lstm2d.__version__,
    )
    helper.set_model_props(model, dict(properties))
    optional("onnx.checker").check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def metadata(predictor: Predictor) -> dict[str, str]:
    """Return what the file says about the model: each value is JSON.

    Parameters
    ----------
    predictor : Predictor
        The model.

    Returns
    -------
    dict of str to str
        ``classes`` (names), ``palette`` (red, green and blue of each), ``channels``, ``size`` (how to choose
        the size of the network's input), ``model``, ``preset``, ``lstm2d_version``, ``trained_on`` and
        ``terms``; ``resolution`` and ``instances`` if they are not the default.
    """
    model, preprocessing = predictor.model, predictor.preprocessing
    rule = "native" if preprocessing.native or preprocessing.typical_size is None else "auto"
    values: dict[str, Any] = {
        "classes": [info.name for info in predictor.classes],
        "palette": [info.color for info in predictor.classes],
        "channels": CHANNELS,
        "size": {
            "rule": rule,
            "typical_size": preprocessing.typical_size,
            "tolerance": TOLERANCE,
            "max_enlargement": MAX_ENLARGEMENT,
        },
        "model": predictor.name,
        "preset": model.preset,
        "lstm2d_version": lstm2d.__version__,
        "trained_on": model.trained_on,
        "terms": model.terms,
        **predictor.selection,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def _refuse_too_large(network: Network) -> None:
    total = sum(values.nbytes for values in network.arrays().values())
    if total > MAX_BYTES:
        raise ConfigError(
            f"the parameters take {total / 2**30:.1f} GiB",
            expected="less than 2 GiB, the limit of an ONNX file",
            hint="train with a smaller model.width",
        )
