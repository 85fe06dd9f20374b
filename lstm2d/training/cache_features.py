"""Keep the features of a run's images before its first step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from lstm2d.config import RunConfig
from lstm2d.data.transforms import flip
from lstm2d.io.user_folders import cache_folder
from lstm2d.tensor import FloatArray
from lstm2d.training.events import Event, Report
from lstm2d.training.feature_cache import FeatureCache
from lstm2d.training.features import FrozenFeatures, frozen_digest, image_key
from lstm2d.training.samples import TrainingData


def open_stores(config: RunConfig, features: FrozenFeatures, report: Report) -> None:
    """Let the features of a run be kept on disk, where the configuration says so.

    Parameters
    ----------
    config : RunConfig
        ``data.feature_cache`` and ``data.feature_cache_gib``.
    features : FrozenFeatures
        Of the run; the values of the frozen parameters must be there. Gets its stores, unless it has one.
    report : callable
        Told about warnings.
    """
    kind = config.data.feature_cache
    if kind == "off" or not features.network.frozen_part or features.store is not None:
        return

    said = set()

    def warn(text: str) -> None:
        if text not in said:  # both stores are on one disk
            report(Event("warning", {"text": text}))
        said.add(text)

    folder, digest = cache_folder() / "features", frozen_digest(features.network)
    limit = int(config.data.feature_cache_gib * 2**30)
    features.store = FeatureCache(folder, digest, kind, limit, warn=warn)
    if kind != "float32":  # a validation gives the saved model's figures to the last bit
        features.exact = FeatureCache(folder, digest, "float32", limit, warn=warn)


def fill(
    features: FrozenFeatures,
    data: TrainingData,
    report: Report,
    record: Callable[[str, dict[str, Any]], None],
    why_stop: Callable[[], str],
) -> None:
    """Compute the features that a run will ask for again and again, as far as they are not kept already.

    Parameters
    ----------
    features : FrozenFeatures
        Of the run. Nothing happens unless its stores are caches on disk.
    data : TrainingData
        Its images.
    report : callable
        Told after each image that was computed, in an event of kind "features", how many are there.
    record : callable
        Told at the end, under the same kind, how many were computed and how long it took.
    why_stop : callable
        Says why to stop before the next image; "" to go on.
    """
    begun, computed, total = time.monotonic(), 0, _count(data)
    for done, (x, exact) in enumerate(_images(data), start=1):
        store = features.store_of(exact)
        if not isinstance(store, FeatureCache) or not store.writes or why_stop():
            break
        if image_key(x) not in store:
            features(x, again=True, exact=exact)
            if not store.writes:  # it found no room: the store has told why
                break
            computed += 1
            report(Event("features", {"done": done, "total": total}))
    if computed:
        record("features", {"computed": computed, "total": total, "seconds": time.monotonic() - begun})


def _count(data: TrainingData) -> int:
    training = len(data.training) * (2 if data.train.flip else 1)
    return training * data.repeats + len(data.validation)


def _images(data: TrainingData) -> Iterator[tuple[FloatArray, bool]]:
    """Yield each image as the network sees it, and whether its features must be exact."""
    network_input = data.preprocessing.network_input
    for sample in data.training if data.repeats else ():
        image, labels = data.dataset.load(sample)
        yield network_input(image), False
        if data.train.flip:
            yield network_input(flip(image, labels)[0]), False
    for sample in data.validation:
        yield network_input(data.validation_image(sample)[0]), True
