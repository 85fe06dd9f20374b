"""What the ranks of a run do that do not lead it: they follow the orders of rank 0."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from lstm2d.config import from_dict
from lstm2d.kernels.threads import set_num_threads
from lstm2d.training.assemble import prepare
from lstm2d.training.events import silent
from lstm2d.training.feature_cache import FeatureCache
from lstm2d.training.fit_time import on_a_copy
from lstm2d.training.mpi import Together
from lstm2d.training.open_dataset import open_dataset
from lstm2d.training.passed_errors import packed
from lstm2d.training.ranks import Order
from lstm2d.training.run import Run
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.step import batch_gradient


def follow(ranks: Together) -> None:
    """Follow the orders of rank 0 until it ends the run.

    Parameters
    ----------
    ranks : Together
        The processes.
    """
    runs: list[Run] = []
    while True:
        order, numbers, text = ranks.next_order()
        match order:
            case Order.LEAVE:
                return
            case Order.PREPARE:
                runs = prepared(ranks, json.loads(text))
            case Order.SYNCHRONISE:
                runs[-1].share_network()
            case Order.STEP:
                run, (epoch, *examples) = runs[-1], numbers
                with np.errstate(over="ignore", invalid="ignore"):
                    batch_gradient(run.features, run.active, examples, epoch, ranks)
            case Order.NEXT_STAGE:
                runs[-1].next_stage()
            case Order.COPY:
                runs.append(on_a_copy(runs[-1]))
            case Order.DROP:
                runs.pop()
            case Order.TELL if numbers == [ranks.rank]:
                ranks.tell_failure()


def prepared(ranks: Together, given: dict[str, Any]) -> list[Run]:
    """Assemble a run as rank 0 does, and tell it the result; return the run, or nothing if it failed."""
    try:
        set_num_threads(given["threads"])
        config = from_dict(given["config"], "rank 0")
        run = prepare(
            config,
            open_dataset(Path(given["dataset"]), config, silent),
            RunFolder(Path(given["folder"])),
            resume=given["resume"],
            changes=given["changes"],
            init_from=None if given["init_from"] is None else Path(given["init_from"]),
        )
        digest = run.digest()
    except Exception as error:
        ranks.tell(packed(error))
        return []
    run.ranks = ranks
    for store in (run.features.store, run.features.exact):
        if isinstance(store, FeatureCache):
            store.writes = False  # rank 0 does
    ranks.tell({"digest": digest, "host": platform.node()})
    return [run]
