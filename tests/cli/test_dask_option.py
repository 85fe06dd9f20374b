"""The option ``--dask``: what does not go with it, and wrong addresses; no cluster is started."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dask", "local:0"], "'local:0' is not local:N"),
        (["--dask", "udp://host:1"], "'udp://host:1' is not local:N"),
        (["--dask", "local:2", "--stream"], "--dask together with --stream"),
        (["--dask", "local:2", "--gpu-memory", "2"], "--dask labels on CPUs"),
    ],
)
def test_what_is_refused(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", *more)
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "out").exists()


def test_a_gpu_is_refused(
    lstm2d: Callable, device: str, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    """Unless nobody asked for it: workers compute on CPUs."""
    line = [
        "predict",
        brightness_model,
        photos,
        "-o",
        tmp_path / "out",
        "--dask",
        "local:2",
        "--device",
        device,
    ]
    ran = lstm2d(*line)
    assert (ran.code, "--dask labels on CPUs" in ran.err) == (2, True)
