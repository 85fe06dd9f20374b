"""Random layers, their files as torch.save writes them (made without torch), and a comparison."""

import io
import struct
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lstm2d.weights.published import Shape
from lstm2d.weights.store import Layers

MAGIC = b"\x80\x02\x8a\n" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."


def text(value: str) -> bytes:
    """Return the instruction that pushes a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    """Return the instruction that pushes an integer below 2**31."""
    return b"J" + struct.pack("<i", value)


def integers(values: tuple[int, ...]) -> bytes:
    """Return the instructions that push a tuple."""
    return b"(" + b"".join(map(integer, values)) + b"t"


def tensor(key: str, values: NDArray[np.float32], *, legacy: bool = False) -> bytes:
    """Return the instructions that push a tensor whose numbers are storage `key`."""
    strides = tuple(n // values.itemsize for n in values.strides)
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    storage += integer(values.size) + (b"N" if legacy else b"") + b"tQ"
    rest = integer(0) + integers(values.shape) + integers(strides) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def state_dict(arrays: dict[str, NDArray[np.float32]], *, legacy: bool = False) -> bytes:
    """Return the pickle of an ordered dict of tensors, followed by torch's version attribute."""
    items = b"".join(text(n) + tensor(str(k), v, legacy=legacy) for k, (n, v) in enumerate(arrays.items()))
    notes = b"}" + text("_metadata") + b"}sb"
    return b"\x80\x02ccollections\nOrderedDict\n)Rq\x00(" + items + b"u" + notes + b"."


def torch_zip(
    arrays: dict[str, NDArray[np.float32]], *, pickle: bytes | None = None, compress: int = zipfile.ZIP_STORED
) -> bytes:
    """Return a file as torch.save writes it since 1.6."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as archive:
        archive.writestr("vgg16/data.pkl", state_dict(arrays) if pickle is None else pickle)
        archive.writestr("vgg16/byteorder", b"little")
        for key, values in enumerate(arrays.values()):
            # values are in memory order: a transposed array has other strides, not other values
            archive.writestr(f"vgg16/data/{key}", values.ravel(order="K").tobytes())
        archive.writestr("vgg16/version", b"3\n")
    return out.getvalue()


def torch_legacy(arrays: dict[str, NDArray[np.float32]]) -> bytes:
    """Return a file as torch.save wrote it before 1.6."""
    system = b"\x80\x02}(" + text("little_endian") + b"\x88u."
    keys = b"\x80\x02](" + b"".join(text(str(k)) for k in range(len(arrays))) + b"e."
    data = b"".join(struct.pack("<q", v.size) + v.ravel(order="K").tobytes() for v in arrays.values())
    return (
        MAGIC
        + b"\x80\x02M"
        + struct.pack("<H", 1001)
        + b"."
        + system
        + state_dict(arrays, legacy=True)
        + keys
        + data
    )


def random_layers(shapes: Mapping[str, Shape], rng: np.random.Generator) -> Layers:
    """Return random filters of these shapes, with their biases, as they are stored."""
    return {
        name: (
            rng.standard_normal(shape).astype(np.float32),
            rng.standard_normal(shape[3]).astype(np.float32),
        )
        for name, shape in shapes.items()
    }


def assert_equal(a: Layers, b: Layers) -> None:
    """Compare layers of weights, with their order and types."""
    assert list(a) == list(b)
    for name in a:
        for x, y in zip(a[name], b[name], strict=True):
            np.testing.assert_array_equal(x, y, strict=True)
