"""Compare an ONNX file in onnxruntime with lstm2d's own probabilities.

Both compute in float32, and a deep recurrent network can amplify the rounding of either to 1e-4. So both are
compared with lstm2d's probabilities in float64.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lstm2d.errors import ConfigError, OutputError
from lstm2d.export.packages import optional
from lstm2d.kernels.threads import get_num_threads
from lstm2d.pipeline.finite import not_finite
from lstm2d.predict.predictor import Predictor
from lstm2d.tape import no_grad
from lstm2d.tensor import Tensor

SIZES = ((37, 53), (61, 29), (45, 91))  # rows and columns; no such image is traced
BATCHES = (1, 3)
TOLERANCE = 1e-4  # of a probability
AREA, NOISE, SOFT = 12, 12.0, 1.5  # of drawn images: side, deviation in gray levels, deviation in pixels
ERRORS_ONLY = 3  # level of onnxruntime's messages

Images = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Compared:
    """Images that were computed with onnxruntime and with lstm2d.

    Parameters
    ----------
    batch, rows, columns : int
        Number and size of the images.
    difference : float
        Largest difference of a probability in onnxruntime from lstm2d's in float64.
    float32 : float
        That of lstm2d's own probabilities in float32, which it predicts with.
    """

    batch: int
    rows: int
    columns: int
    difference: float
    float32: float


def compare(predictor: Predictor, data: bytes, source: object) -> list[Compared]:
    """Compare probabilities of images of three sizes, one and three at a time.

    Parameters
    ----------
    predictor : Predictor
        The model.
    data : bytes
        Its ONNX file.
    source : object
        Name of that file, for messages.

    Returns
    -------
    list of Compared
        One for each size and number of images.

    Raises
    ------
    OutputError
        If a probability differs by more than 1e-4.
    ConfigError
        If onnxruntime cannot run the file.
    DataError
        If the model's own output is not finite.
    """
    session = open_session(data)
    found = []
    for rows, columns in SIZES:
        images = draw(max(BATCHES), rows, columns)
        ours = probabilities(predictor, images)
        with in_float64(predictor):
            exact = probabilities(predictor, images, np.float64)
        for batch in BATCHES:
            difference = largest_difference(run(session, images[:batch]), exact[:batch])
            rounding = largest_difference(ours[:batch], exact[:batch])
            found.append(Compared(batch, rows, columns, difference, rounding))
    worst = max(found, key=lambda one: one.difference)
    if worst.difference > TOLERANCE:
        raise OutputError(
            f"a probability in onnxruntime differs by {worst.difference:.2g} from lstm2d's, on a batch of "
            f"{worst.batch} images of {worst.rows}x{worst.columns} pixels: the file was not written",
            where=source,
            expected=f"at most {TOLERANCE:g}",
            hint="report the model's preset and the versions that `lstm2d doctor` shows",
        )
    return found


def open_session(data: bytes | str | os.PathLike[str], *, threads: int | None = None) -> Any:
    """Open an ONNX file in onnxruntime, on the CPU.

    Parameters
    ----------
    data : bytes, str or path
        The file's contents, or its path.
    threads : int, optional
        The library's own number by default.

    Returns
    -------
    onnxruntime.InferenceSession
        Ready to run.

    Raises
    ------
    ConfigError
        If onnxruntime cannot run it.
    """
    runtime = optional("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    given = data if isinstance(data, bytes) else os.fspath(data)
    try:
        return runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as e:  # onnxruntime's own exceptions have no common base class
        raise _not_run(runtime, e) from e


def run(session: Any, images: Images) -> Images:
    """Return the probabilities (N, H, W, K) of images (N, H, W, 3) in an open session.

    Raises
    ------
    ConfigError
        If onnxruntime fails.
    """
    try:
        found: Images = session.run(["probabilities"], {"image": images})[0]
    except MemoryError:
        raise
    except Exception as e:  # as above
        raise _not_run(optional("onnxruntime"), e) from e
    return found


@contextmanager
def in_float64(predictor: Predictor) -> Iterator[None]:
    """Let the network of a model compute in float64 inside the block."""
    parameters = [p for _, p in predictor.network.named_parameters()]
    before = [p.data for p in parameters]
    try:
        for p in parameters:
            p.data = p.data.astype(np.float64)
        yield
    finally:
        for p, values in zip(parameters, before, strict=True):
            p.data = values


def probabilities(
    predictor: Predictor, images: Images, dtype: type = np.float32
) -> NDArray[np.floating[Any]]:
    """Return lstm2d's own probabilities (N, H, W, K) of images (N, H, W, 3), without resizing and CRF.

    Raises
    ------
    DataError
        If they are not finite.
    """
    height, width = images.shape[1:3]
    network, found = predictor.network, []
    for pixels in images:
        with np.errstate(over="ignore", invalid="ignore"), no_grad():
            x: NDArray[Any] = predictor.preprocessing.network_input(pixels).astype(dtype)
            result = network.class_probabilities(network.frozen(Tensor(x))).data[0, :height, :width]
        if not np.isfinite(result).all():
            raise not_finite(network, x, predictor.name)
        found.append(result)
    return np.stack(found)


def draw(count: int, rows: int, columns: int) -> Images:
    """Return images (count, rows, columns, 3) of areas with soft edges, 0..255; the same every time."""
    rng = np.random.default_rng([count, rows, columns])
    coarse = rng.uniform(0, 255, (count, -(-rows // AREA), -(-columns // AREA), 3))
    areas = coarse.repeat(AREA, axis=1).repeat(AREA, axis=2)[:, :rows, :columns]
    noisy = areas + rng.normal(0, NOISE, areas.shape)
    soft: NDArray[np.float64] = gaussian_filter(noisy, (0, SOFT, SOFT, 0))
    return np.clip(np.rint(soft), 0, 255).astype(np.float32)


def largest_difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference; infinity if one is NaN, and for another shape."""
    if found.shape != expected.shape:
        return float("inf")
    difference = float(np.abs(found - expected).max())
    return float("inf") if np.isnan(difference) else difference


def _not_run(runtime: Any, error: Exception) -> ConfigError:
    text = str(error).strip().partition("\n")[0]
    return ConfigError(
        f"onnxruntime {runtime.__version__} cannot run the file ({text})",
        hint="pip install -U 'lstm2d[onnx]'",
    )
