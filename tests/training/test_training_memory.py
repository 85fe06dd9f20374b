"""Runs whose steps would take too much memory are refused before the first one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig, resolve
from lstm2d.errors import DataError
from lstm2d.predict.memory import MemoryUse
from lstm2d.training import memory
from lstm2d.training.assemble import prepare
from lstm2d.training.loop import train
from lstm2d.training.memory import check_training_memory, step_use
from lstm2d.training.open_dataset import open_dataset
from lstm2d.training.run import Run
from lstm2d.training.runfolder import RunFolder


@pytest.fixture
def ready(dataset: Path, tmp_path: Path) -> Callable[..., Run]:
    """Return a function from settings to a run on images of 10x4 pixels."""

    def make(*settings: str) -> Run:
        config = resolve("lstm2d-5x5", [(one, "test") for one in settings])
        return prepare(config, open_dataset(dataset, config, lambda event: None), RunFolder(tmp_path))

    return make


def weights(run: Run) -> dict[str, np.ndarray]:
    return {name: values.copy() for name, values in run.network.state_dict().items()}


def test_the_rehearsal_leaves_no_trace(ready: Callable[..., Run]) -> None:
    run = ready()
    before = weights(run)
    use = step_use(run)
    assert 150 < use.per_pixel < memory.NEVER_MORE
    assert all((weights(run)[name] == values).all() for name, values in before.items())
    assert all(parameter.grad is None for parameter in run.network.parameters())


def test_the_largest_image_counts(ready: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = ready()
    monkeypatch.setattr(memory, "step_use", lambda run: MemoryUse(0, 1000))
    monkeypatch.setattr(memory, "resident", lambda: 0)
    rows, columns = max(run.data.sizes, key=lambda size: size[0] * size[1])
    check_training_memory(run, 1000 * rows * columns)
    with pytest.raises(DataError, match="a training step takes about") as e:
        check_training_memory(run, 1000 * rows * columns - 1)
    assert f"{columns}x{rows} pixels, 1000 bytes per pixel" in str(e.value)
    assert e.value.exit_code == 3
    cropped = ready("train.crop=[2, 3]")
    check_training_memory(cropped, 6000)
    with pytest.raises(DataError, match="3x2 pixels"):
        check_training_memory(cropped, 5999)


def test_nothing_is_written(dataset: Path, tmp_path: Path) -> None:
    config: RunConfig = resolve("lstm2d-5x5", [])
    run = partial(train, config, dataset, tmp_path / "run")
    with pytest.raises(DataError, match="larger `max_memory`"):
        run(max_memory=1_000_000)
    assert not (tmp_path / "run").exists()
