"""Start a run from the weights of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lstm2d import kernels
from lstm2d.config import RunConfig
from lstm2d.errors import ConfigError
from lstm2d.io.model_file import Imported, ModelFile, load_model
from lstm2d.predict import find_model
from lstm2d.tensor import FloatArray
from lstm2d.training.events import Note, Report
from lstm2d.training.samples import TrainingData

MAX_DIFFERENCES = 4  # listed in a message


def start_from(
    path: Path,
    stored: Mapping[str, FloatArray],
    imported: Imported | None,
    data: TrainingData,
    config: RunConfig,
    report: Report,
) -> None:
    """Load weights by name, channel mean and deviation from a model file.

    Parameters
    ----------
    path : Path
        A model file, a run folder that holds one, or the name of a bundled model.
    stored : mapping of str to ndarray
        Arrays of the network that model files contain. All of them are set from the file, or, with
        ``train.init = "matching"``, those whose name and shape match.
    imported : Imported or None
        Imported layers of the network that are never trained.
    data : TrainingData
        Data of the run; its channel statistics are replaced by those the weights were trained with.
    config : RunConfig
        `data.mean` and `data.std` are used instead of the model's, if they are given.
    report : callable
        Gets a note about loaded and new layers, unless everything was loaded.

    Raises
    ------
    ConfigError
        If the model has another number of classes, other parameters or other imported weights; with
        "matching", if no parameter fits.
    DataError
        If the file is not a model.
    """
    model = load_model(find_model(path))
    fitting = [name for name, values in stored.items() if _shape(model, name) == values.shape]
    if config.train.init == "matching":
        text = _taken(path, model, stored, fitting)
        if imported is not None and model.imported not in (None, imported):
            text += f"\n  it was trained on other imported weights, {model.imported.digest}"
        report(Note(text=text))
    else:
        _check_all(path, model, stored, imported, data)
    for name in fitting:
        kernels.copy_into(stored[name], model.state[name])
    own = data.preprocessing
    data.use_statistics(
        own.mean if config.data.mean else model.mean, own.std if config.data.std else model.std
    )


def differences(state: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the names and shapes in which two sets of parameters differ, one line each."""
    found = [f"no {name}" for name in state if name not in expected]
    for name, shape in expected.items():
        if name not in state:
            found.append(f"{name} of shape {shape}")
        elif state[name].shape != shape:
            found.append(f"{name} of shape {shape} instead of {state[name].shape}")
    return found


def _check_all(
    path: Path,
    model: ModelFile,
    stored: Mapping[str, FloatArray],
    imported: Imported | None,
    data: TrainingData,
) -> None:
    """Make sure that a model has the classes and the parameters of the run."""
    if len(model.classes) != len(data.classes):
        raise ConfigError(
            f"`init_from` has {len(model.classes)} classes, the data has {len(data.classes)}",
            where=path,
            expected=", ".join(item.name for item in data.classes),
            hint='use a model with the same classes, or take what fits with train.init = "matching"',
        )
    wrong = differences(model.state, {name: values.shape for name, values in stored.items()})
    if wrong:
        raise ConfigError(
            "`init_from` has another architecture",
            where=path,
            expected="; ".join(wrong[:MAX_DIFFERENCES]) + ("; ..." if len(wrong) > MAX_DIFFERENCES else ""),
            hint="set [model] as in the file (`lstm2d inspect` shows it), or take what fits with "
            'train.init = "matching"',
        )
    if model.imported != imported:
        theirs = "none" if model.imported is None else model.imported.digest
        raise ConfigError(
            "`init_from` was trained on other imported weights",
            where=path,
            expected="none" if imported is None else imported.digest,
            hint=f"set model.weights as there; the file says {theirs}",
        )


def _taken(path: Path, model: ModelFile, stored: Mapping[str, FloatArray], fitting: list[str]) -> str:
    """Describe which layers "matching" loads and which it does not."""
    if not fitting:
        wrong = differences(model.state, {name: values.shape for name, values in stored.items()})
        raise ConfigError(
            "`init_from` has no parameter that fits", where=path, expected="; ".join(wrong[:MAX_DIFFERENCES])
        )
    new = [name for name in stored if name not in fitting]
    other = [name for name in new if name in model.state]
    unused = [name for name in model.state if name not in stored]
    lines = [
        f"{path}: {len(fitting)} of {len(stored)} arrays taken: {_parts(fitting)}",
        f"new: {_parts(new) or 'nothing'}" + (f" (of another shape: {_parts(other)})" if other else ""),
    ]
    return "\n  ".join(lines + [f"not used: {_parts(unused)}"] * bool(unused))


def _parts(names: Iterable[str]) -> str:
    """Return the layers that parameters belong to, each once."""
    return ", ".join(dict.fromkeys(name.rpartition(".")[0] or name for name in names))


def _shape(model: ModelFile, name: str) -> tuple[int, ...] | None:
    return model.state[name].shape if name in model.state else None
