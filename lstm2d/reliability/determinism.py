"""Compare the bits of trainings and predictions that are computed in different ways."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.config import preset_names, resolve
from lstm2d.data.synth import draw_scene, write_dataset
from lstm2d.io.model_file import load_model
from lstm2d.kernels.dispatch import CPU_ORDER
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.predict import Predictor, bundled_models
from lstm2d.reliability.small_networks import SMALL, random_store
from lstm2d.training.loop import train

FAST = CPU_ORDER[:-1]
BEST = ""  # the backend that is chosen for each family of kernels
CRF = "outdoor + CRF"  # a bundled model with a CRF, which is computed by another backend than the network
SIZES = ((24, 32), (33, 21), (40, 52), (28, 28))  # rows and columns of the images, in turn
PROCESSES, PYTHON_THREADS, BATCH = 2, 3, 3

Images = list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Bits of one computation, computed in several ways.

    Parameters
    ----------
    model : str
        Preset or bundled model.
    backend : str
        Backend of all kernels; "best" if each family had its best one.
    task : str
        "train" or "predict".
    ways : tuple of str
        The ways, each compared with one thread.
    different : tuple of str
        Those that gave other bits.
    """

    model: str
    backend: str
    task: str
    ways: tuple[str, ...]
    different: tuple[str, ...]


def names() -> list[str]:
    """Return all presets, the bundled models that need no imported weights, and `CRF`."""
    bundled = [name for name, path in bundled_models().items() if load_model(path).imported is None]
    return [*preset_names(), *bundled, CRF]


def compare(
    folder: Path,
    *,
    steps: int,
    images: int,
    models: Sequence[str] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> Iterator[Comparison]:
    """Train and predict with 1, 2 and 3 threads, in other processes and Python threads, and again.

    Parameters
    ----------
    folder : Path
        An empty folder; everything is written to it.
    steps : int
        Steps of each training.
    images : int
        Images to predict.
    models : sequence of str, optional
        Some of `names`; by default all.
    progress : callable, optional
        Called with a line before each comparison.

    Yields
    ------
    Comparison
        One for each model, task and fast backend that has all kernels for it.

    Raises
    ------
    ConfigError
        If there is no such preset.
    """
    data = folder / "data"
    write_dataset(data, count=10, seed=0, height=24, width=32)
    photos = [draw_scene(1, k, *SIZES[k % len(SIZES)])[0] for k in range(images)]
    spawn = multiprocessing.get_context("spawn")
    with random_store(folder / "user"), ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        for name in models or names():
            progress(name)
            yield from _of_model(name, folder, steps, photos, pool)


def _of_model(name: str, folder: Path, steps: int, photos: Images, pool: Executor) -> Iterator[Comparison]:
    if name == CRF or name in bundled_models():
        path = bundled_models()[name.split()[0]]
        for backend in [BEST] if name == CRF else FAST:
            found = _predictions(path, name == CRF, photos, backend, pool)
            if found is not None:
                yield _comparison(name, backend, "predict", found)
        return
    for backend in FAST:
        # every training has a folder of its own
        parent = folder / f"{name}{backend}"
        run = partial(trained, name, folder / "data", steps=steps, backend=backend)
        if not (found := _trainings(run, parent, pool)):
            continue
        yield _comparison(name, backend, "train", found)
        predicted = _predictions(parent / "first" / "model.safetensors", False, photos, backend, pool)
        if predicted is not None:
            yield _comparison(name, backend, "predict", predicted)


def _comparison(name: str, backend: str, task: str, found: dict[str, object]) -> Comparison:
    first, *ways = found
    different = tuple(way for way in ways if found[way] != found[first])
    return Comparison(name, backend.strip("_") or "best", task, tuple(ways), different)


def _trainings(run: Callable[..., str], parent: Path, pool: Executor) -> dict[str, object]:
    """Return digests of the trained models by way; nothing if the backend does not have all kernels."""
    try:
        found: dict[str, object] = {"first": run(parent / "first", threads=1)}
    except ImportError:
        return {}
    other = pool.submit(run, parent / "process", threads=1)
    found["again"] = run(parent / "again", threads=1)
    for threads in (2, 3):
        found[f"{threads} threads"] = run(parent / f"threads-{threads}", threads=threads)
    found["another process"] = other.result()
    return found


def _predictions(
    path: Path, crf: bool, photos: Images, backend: str, pool: Executor
) -> dict[str, object] | None:
    """Return digests of probabilities by way; None if the backend does not have all kernels."""
    run = partial(predicted, path, crf, backend=backend)
    try:
        found: dict[str, object] = {"first": (first := run(photos, threads=1))}
    except ImportError:
        return None
    shares = [photos[k::PROCESSES] for k in range(PROCESSES)]
    others = [pool.submit(run, share, threads=1) for share in shares]
    found["again"] = run(photos, threads=1)
    for threads in (2, 3):
        found[f"{threads} threads"] = run(photos, threads=threads)
    for batch in (BATCH, len(photos)):
        found[f"batches of {batch}"] = run(photos, threads=1, batch=batch)
    found[f"{PYTHON_THREADS} Python threads"] = run(photos, threads=2, callers=PYTHON_THREADS)
    parts = [other.result() for other in others]
    together = [parts[k % PROCESSES][k // PROCESSES] for k in range(len(first))]
    return found | {f"{PROCESSES} processes": together}


def trained(preset: str, data: Path, out: Path, *, steps: int, backend: str, threads: int) -> str:
    """Train a small network of a preset.

    Parameters
    ----------
    preset : str
        Name of the preset.
    data : Path
        The dataset.
    out : Path
        The run folder.
    steps : int
        Steps of each stage.
    backend : str
        Backend of all kernels.
    threads : int
        Threads of the kernels.

    Returns
    -------
    str
        SHA-256 of the model file.

    Raises
    ------
    ImportError
        If the backend does not have all kernels.
    """
    sets = [f"train.steps={steps}", f"train.epochs={steps}", f"train.validate_every={steps}"]
    config = resolve(preset, [(item, "") for item in (*sets, *SMALL.get(preset, ()))])
    with _threads(threads), kernels.use(backend):
        train(config, data, out)
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def predicted(
    model: Path, crf: bool, photos: Images, *, backend: str, threads: int, batch: int = 1, callers: int = 1
) -> list[str]:
    """Compute class probabilities.

    Parameters
    ----------
    model : Path
        Model file.
    crf : bool
        Apply the usual CRF.
    photos : list of array
        The images.
    backend : str
        Backend of all kernels; `BEST` for the best one of each family.
    threads : int
        Threads of the kernels, in each of the `callers`.
    batch : int, default 1
        Images per call.
    callers : int, default 1
        Python threads that call the predictor at the same time.

    Returns
    -------
    list of str
        SHA-256 of the probabilities of each image.

    Raises
    ------
    ImportError
        If the backend does not have all kernels.
    """
    predictor = Predictor(load_model(model), source=model, crf="krahenbuehl" if crf else False)

    def call(start: int) -> list[str]:
        with kernels.use(backend) if backend else nullcontext():  # the choice belongs to a Python thread
            found = predictor.predict_proba(photos[start : start + batch], size="native")
        return [hashlib.sha256(p.tobytes()).hexdigest() for p in found]

    starts = range(0, len(photos), batch)
    with _threads(threads):
        if callers == 1:
            return [digest for start in starts for digest in call(start)]
        with ThreadPoolExecutor(callers) as threads_of_python:
            return [digest for part in threads_of_python.map(call, starts) for digest in part]


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)
