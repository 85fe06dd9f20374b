"""Cache the features of the images of a run before its first step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from lstm2d.config import RunConfig
from lstm2d.io.user_folders import cache_folder
from lstm2d.tensor import FloatArray
from lstm2d.training.events import FeaturesDone, FeaturesFilled, Report, Warned
from lstm2d.training.feature_cache import FeatureCache
from lstm2d.training.features import FrozenFeatures, frozen_digest, image_key
from lstm2d.training.run import Run
from lstm2d.training.samples import TrainingData


def open_stores(config: RunConfig, features: FrozenFeatures, report: Report) -> None:
    """Cache the features of a run on disk, if the configuration says so.

    Parameters
    ----------
    config : RunConfig
        ``data.feature_cache`` and ``data.feature_cache_gib``.
    features : FrozenFeatures
        Of the run, with the values of the frozen parameters. Gets its stores, unless it has one.
    report : callable
        Gets warnings.
    """
    kind = config.data.feature_cache
    if kind == "off" or not features.network.frozen_part or features.store is not None:
        return

    reported = set()

    def warn(text: str) -> None:
        if text not in reported:  # both stores are on the same disk
            report(Warned(text=text))
        reported.add(text)

    folder, digest = cache_folder() / "features", frozen_digest(features.network)
    limit = int(config.data.feature_cache_gib * 2**30)
    features.store = FeatureCache(folder, digest, kind, limit, warn=warn)
    if kind != "float32":  # validation metrics must equal those of the saved model exactly
        features.exact = FeatureCache(folder, digest, "float32", limit, warn=warn)


def fill(run: Run, tell: Report, why_stop: Callable[[], str]) -> None:
    """Compute the features that epochs and validations use more than once, unless they are cached already.

    Parameters
    ----------
    run : Run
        The run. Nothing happens unless the stores of its features are caches on disk.
    tell : callable
        Gets a `FeaturesDone` after each computed image, and a `FeaturesFilled` at the end.
    why_stop : callable
        Returns the reason to stop before the next image; "" to continue.
    """
    features, source, data = run.features, run.active.source, run.data
    begun, computed = time.monotonic(), 0
    count, inputs = source.inputs() if source.repeats else (0, iter(()))
    total = count + len(data.validation)
    for done, (x, exact) in enumerate(_all_inputs(inputs, data), start=1):
        store = features.store_of(exact)
        if not isinstance(store, FeatureCache) or not store.writes or why_stop():
            break
        if image_key(x) not in store:
            features(x, keep=True, exact=exact)
            if not store.writes:  # no room: the store has warned about it
                break
            computed += 1
            tell(FeaturesDone(done=done, total=total))
    caches = [store for store in (features.store, features.exact) if isinstance(store, FeatureCache)]
    for cache in caches:
        cache.record_use(run.folder.path, data.dataset.root)
    if computed:
        tell(
            FeaturesFilled(
                step=run.progress.step,
                computed=computed,
                total=total,
                seconds=time.monotonic() - begun,
                folder=str(caches[0].root),
                bytes=sum(cache.bytes_on_disk() for cache in caches),
            )
        )


def _all_inputs(inputs: Iterator[FloatArray], data: TrainingData) -> Iterator[tuple[FloatArray, bool]]:
    """Yield each input of the network, and whether its features must be exact."""
    for x in inputs:
        yield x, False
    for sample in data.validation:
        yield data.preprocessing.network_input(data.validation_image(sample)[0]), True
