"""Readers of model files, checkpoints and cached features."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import lstm2d
from lstm2d.io import model_file
from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_file import ModelFile, save_model
from lstm2d.io.safe_open import open_regular
from lstm2d.io.tensor_file import TensorFile, to_bytes
from lstm2d.models import build
from lstm2d.training import checkpoint
from lstm2d.training.contents import Contents
from lstm2d.training.feature_cache import FeatureCache
from lstm2d.training.progress import Progress
from tests.reliability.fuzz.forms import header_form, metadata_form, plain_form, signed
from tests.reliability.fuzz.made import bytes_of, in_memory
from tests.reliability.fuzz.target import Target

_KEY = "a" * 64
_WORDS = (
    b'"__metadata__"', b'"dtype":"F32"', b'"dtype":"I64"', b'"shape":[0]', b'"shape":[1,1,1,1,1,1,1,1,1]',
    b'"data_offsets"', b'"data_offsets":[0,0]', b'"kind":"reseg"', b'"kind":"renet"', b'"units":[1000000]',
    b'"window":[3,3]', b"\\u0000", b"\\ud800", b'"classes":[]', b'"format_version":99',
)  # fmt: skip


def _tensors() -> list[bytes]:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 2), np.int64)}
    return [to_bytes(arrays, {"key": "text"}), to_bytes({"x": np.float16([1])}, {})]


def _read_tensors(path: Path) -> None:
    with open_regular(path) as opened:
        file = TensorFile(opened, path)
        for name in file.tensors:
            file.read(name)


def _models() -> list[bytes]:
    return [
        bytes_of(lambda path, kind=kind: save_model(path, tiny_model(kind)))  # type: ignore[misc]
        for kind in ("lstm2d", "rcnn")
    ]


def tiny_model(kind: str) -> ModelFile:
    """Return a small model of a kind, with random weights."""
    section = {
        "lstm2d": {"window": 2, "units": [1], "features": []},
        "rcnn": {"kernels": [4, 3], "channels": [2, 2], "pools": [2, 1], "feedback": False, "instances": 1},
    }[kind] | {"kind": kind}
    state = build(section, 2, np.random.default_rng(0)).state_dict()
    return ModelFile(
        state=state,
        preset="",
        config={"preset": "", "model": section, "train": {"epochs": 1}},
        classes=(ClassInfo("sky", (1, 2, 3)), ClassInfo("Bäume", (4, 5, 6))),
        mean=(120.0, 118.0, 110.0),
        std=(60.0, 61.0, 62.0),
        ignore=255,
        library_version="0.1.0",
        seed=7,
        metrics={"validation": {"mean_iou": None}},
        trained_on="nothing",
        terms="free",
    )


def _load(path: Path) -> None:
    predictor = lstm2d.load(path)
    predictor.predict(np.zeros((4, 5, 3), np.uint8))


def _checkpoints() -> list[bytes]:
    contents = Contents()
    sample = SimpleNamespace(stem="a", image_digest=lambda: b"d" * 16)
    contents.see(sample, np.zeros((2, 2), np.uint8))  # type: ignore[arg-type]
    progress = Progress(stage=0, epoch=1, position=0, step=3)
    state = {
        "progress": progress.to_dict(),
        "data": {"classes": ["sky"]},
        "model": {},
        "run": "r",
        "settings": {},
    }
    tensors = {"weight": np.ones((2, 3), np.float32), **contents.to_tensors(["a"], [])}
    return [checkpoint.pack(checkpoint.Checkpoint(tensors, state))]


def _unpack(path: Path) -> None:
    checkpoint.unpack(path.read_bytes())


def _sign(data: bytes) -> bytes:
    """Return a checkpoint with the digest of its contents."""
    before, mark, after = data.partition(checkpoint.MARK)
    if not mark:
        return data
    digest = hashlib.sha256(before + mark + b"0" * 64 + after[64:]).hexdigest()
    return before + mark + digest.encode() + after[64:]


def _features() -> list[bytes]:
    with in_memory() as folder:
        cache = FeatureCache(folder, "0" * 32, "float16", 2**30)
        cache.get(_KEY, lambda: np.arange(12, dtype=np.float32).reshape(3, 4))
        return [cache._path(_KEY).read_bytes()]


def _read_features(path: Path) -> None:
    FeatureCache(path.parents[2], "0" * 32, "float16", 2**30).get(_KEY, lambda: np.zeros((1, 1), np.float32))


TARGETS = (
    Target("tensor file", _tensors, _read_tensors, words=_WORDS, forms=(header_form,)),
    Target(
        "model description",
        _models,
        model_file.read_header,
        words=_WORDS,
        forms=(header_form, metadata_form("lstm2d"), metadata_form("lstm2d")),
    ),
    Target(
        "model",
        _models,
        _load,
        file="model.safetensors",
        words=_WORDS,
        forms=(header_form, metadata_form("lstm2d"), metadata_form("lstm2d"), metadata_form("lstm2d")),
    ),
    Target(
        "checkpoint",
        _checkpoints,
        _unpack,
        words=_WORDS,
        forms=(signed(header_form, _sign), signed(metadata_form("state"), _sign), signed(plain_form, _sign)),
    ),
    Target(
        "cached features",
        _features,
        _read_features,
        file=f"cache/{'0' * 32}-float16/aa/{_KEY}.npy",
        words=(b"<f2", b"<f4"),
    ),
)
