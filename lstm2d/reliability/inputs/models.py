"""Cases of model files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from lstm2d.reliability.inputs.case import Case, Expected, Place
from lstm2d.reliability.inputs.rows import bad, bad_model, case

Change = Callable[[bytes], bytes]


def changed(change: Change) -> Callable[[Place], None]:
    """Return a function that changes the bytes of the model file."""

    def write(place: Place) -> None:
        path = place.given / "model.safetensors"
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(change(content))

    return write


def with_header(change: Callable[[dict[str, Any]], object]) -> Change:
    """Return a function that changes the header of a model file."""

    def edit(content: bytes) -> bytes:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        change(header)
        return with_text(json.dumps(header).encode(), content[8 + length :])

    return edit


def with_text(header: bytes, data: bytes) -> bytes:
    """Return a model file of a header and data."""
    padded = header + b" " * (-len(header) % 8)
    return struct.pack("<Q", len(padded)) + padded + data


def tensor(header: dict[str, Any]) -> Any:
    """Return the description of the first array."""
    return header[sorted(name for name in header if name != "__metadata__")[0]]


def overlapping(header: dict[str, Any]) -> None:
    """Give one array the place of another of the same size."""
    arrays = [one for name, one in sorted(header.items()) if name != "__metadata__"]
    sizes = [end - begin for begin, end in (one["data_offsets"] for one in arrays)]
    first = next(k for k, size in enumerate(sizes) if sizes.count(size) > 1)
    second = sizes.index(sizes[first], first + 1)
    arrays[second]["data_offsets"] = arrays[first]["data_offsets"]


def flipped(content: bytes) -> bytes:
    """Return a model file with one wrong bit among its weights: the sign of the last one's exponent."""
    return content[:-1] + bytes([content[-1] ^ 0x40])


def not_finite(content: bytes) -> bytes:
    """Return a model file whose last weight is NaN."""
    return content[:-4] + struct.pack("<f", float("nan"))


def other_classes(place: Place) -> None:
    """Add a class to the dataset that the model does not have."""
    text = (place.data / "dataset.toml").read_text()
    place.put("dataset.toml", text + '[[classes]]\nname = "sky"\ncolor = [0, 0, 255]\n')


def run_without_model(place: Place) -> None:
    """Name a folder without a model."""
    place.model = str(place.given / "run")
    (place.given / "run").mkdir()


def named(name: str) -> Callable[[Place], None]:
    """Return a function that names another model."""

    def write(place: Place) -> None:
        place.model = name

    return write


PICKLE = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
FILE = "model.safetensors"
MODELS: tuple[Case, ...] = (
    bad_model("model of zero bytes", changed(lambda old: b""), FILE),
    bad_model("model of text", changed(lambda old: b"weights\n" * 99), FILE),
    bad_model("model that is a pickle", changed(lambda old: PICKLE), FILE),
    bad_model("model cut in half", changed(lambda old: old[: len(old) // 2]), FILE),
    bad_model("model without its last byte", changed(lambda old: old[:-1]), FILE),
    bad_model("model with a tail", changed(lambda old: old + b"\0" * 64), FILE),
    bad_model(
        "model with a header of 2^63 bytes", changed(lambda old: struct.pack("<Q", 2**63) + old[8:]), FILE
    ),
    bad_model("model with a header of no JSON", changed(lambda old: old[:8] + b"x" + old[9:]), FILE),
    bad_model("model with a deep header", changed(lambda old: with_text(b"[" * 100_000, b"")), FILE),
    bad_model("model without metadata", changed(with_header(lambda h: h.pop("__metadata__"))), FILE),
    bad_model("model of another format", changed(with_header(lambda h: h["__metadata__"].clear())), FILE),
    bad_model(
        "model of a huge array", changed(with_header(lambda h: tensor(h).update(shape=[2**40, 2**40]))), FILE
    ),
    bad_model(
        "model of overlapping arrays",
        changed(with_header(overlapping)),
        FILE,
    ),
    bad_model(
        "model of unknown types", changed(with_header(lambda h: tensor(h).update(dtype="OBJECT"))), FILE
    ),
    bad_model("model without an array", changed(with_header(lambda h: h.pop("feedforward.0.bias"))), FILE),
    bad_model("model with a wrong bit", changed(flipped), FILE),
    bad_model("model with a weight of NaN", changed(not_finite), FILE),
    bad_model("model that does not exist", named("nothing.safetensors"), "no such model"),
    bad_model("model of a long name", named("x" * 300), "no such model"),
    bad_model("model with a slip", named("outdor"), "did you mean 'outdoor'"),
    bad_model("run without a model", run_without_model, "no model.safetensors in this folder"),
    case("dataset of other classes", other_classes, evaluate=bad("classes"), predict=Expected(0)),
)
