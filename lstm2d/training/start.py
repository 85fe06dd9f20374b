"""Start a run: assemble it on all ranks, and refuse what they cannot do."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from lstm2d.config import RunConfig
from lstm2d.data.dataset import Dataset
from lstm2d.errors import ConfigError, DataError
from lstm2d.kernels.threads import get_num_threads
from lstm2d.training.assemble import prepare
from lstm2d.training.events import Report
from lstm2d.training.memory import check_training_memory
from lstm2d.training.mpi import Together
from lstm2d.training.passed_errors import unpacked
from lstm2d.training.ranks import Order, Ranks
from lstm2d.training.resume import newest_checkpoint
from lstm2d.training.run import Run
from lstm2d.training.runfolder import RunFolder


def start(
    config: RunConfig,
    dataset: Dataset,
    folder: RunFolder,
    *,
    ranks: Ranks,
    max_memory: int | None,
    resume: bool = False,
    changes: Collection[str] = (),
    init_from: Path | None = None,
    device: str = "cpu",
    report: Report,
) -> Run:
    """Assemble a run on all ranks; on rank 0.

    Parameters
    ----------
    config : RunConfig
        All settings.
    dataset : Dataset
        Images and masks. Other ranks open its folder.
    folder : RunFolder
        The run folder; nothing is written.
    ranks : Ranks
        The processes.
    max_memory : int or None
        Largest memory of this process in bytes.
    resume : bool, default False
        As for `prepare`, like all that follow.
    changes : collection of str
        Settings that are changed on purpose.
    init_from : Path, optional
        Model to start from.
    device : str, default "cpu"
        Device to train on.
    report : callable
        Gets notes and warnings.

    Returns
    -------
    Run
        Ready for `Trainer`, and the same on all ranks.

    Raises
    ------
    ConfigError
        As `prepare`, and if several processes cannot train the network.
    DataError
        As `prepare`, and if a step takes too much memory, or a rank finds other files than rank 0.
    """
    if isinstance(ranks, Together):
        if device != "cpu":
            raise ConfigError(
                f"`device={device!r}` in {ranks.size} processes",
                expected="`device='cpu'`: the processes of one run compute on CPUs",
                hint="train on a GPU in one process, without mpiexec",
            )
        if resume:
            newest_checkpoint(folder, report)  # sets damaged ones aside, before others look
        ranks.order(Order.PREPARE, text=task(config, dataset.root, folder, resume, changes, init_from))
    try:
        run = prepare(
            config,
            dataset,
            folder,
            resume=resume,
            changes=changes,
            init_from=init_from,
            device=device,
            report=report,
        )
        run.ranks = ranks
        if ranks.size > 1 and run.network.joint:
            raise ConfigError(
                f"{ranks.size} processes cannot share the steps of this network, which normalises the images "
                "of a minibatch together",
                expected="a network that sees each image by itself",
                hint="train it in one process, without mpiexec",
            )
        if max_memory is not None:
            check_training_memory(run, max_memory)
    except Exception:
        if isinstance(ranks, Together):
            ranks.hear_all()
        raise
    if isinstance(ranks, Together):
        compare(ranks.hear_all(), run.digest())
        ranks.order(Order.SYNCHRONISE)
        run.share_network()
    return run


def task(
    config: RunConfig,
    dataset: Path,
    folder: RunFolder,
    resume: bool,
    changes: Collection[str],
    init_from: Path | None,
) -> str:
    """Return the arguments of `prepare`, and the number of threads, as text for the other ranks."""
    return json.dumps(
        {
            "config": config.model_dump(),
            "dataset": str(dataset),
            "folder": str(folder.path),
            "resume": resume,
            "changes": list(changes),
            "init_from": None if init_from is None else str(init_from),
            "threads": get_num_threads(),
        }
    )


def compare(found: list[dict[str, Any]], own: str) -> None:
    """Check that all ranks have assembled the same run.

    Parameters
    ----------
    found : list of mapping
        What each of the other ranks has told: its error, or digest and host.
    own : str
        Digest of the run on this rank.

    Raises
    ------
    Exception
        The error of the first rank that has failed.
    DataError
        If a rank has something else.
    """
    for rank, content in enumerate(found, start=1):
        if "kind" in content:
            raise unpacked(content, rank)
        if content["digest"] != own:
            raise DataError(
                f"rank {rank} on {content['host']} has other images, weights or settings than rank 0",
                expected="the same files on all machines",
                hint="keep dataset, imported weights and run folder where all machines find the same files",
            )


def shared_text(run: Run) -> str:
    """Return a line about the processes of a run that are of use, and those that are not; "" for one."""
    count, batch = run.ranks.size, max(stage.train.batch for stage in run.stages)
    if count == 1:
        return ""
    text = f"{count} processes share the images of each step"
    idle = count - batch
    if idle > 0:
        text += f"; train.batch is {batch}: {idle} process{'es have' if idle > 1 else ' has'} nothing to do"
    return text
