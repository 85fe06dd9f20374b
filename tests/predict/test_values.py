"""Each kind of input gives the same pixels and labels as its RGB equivalent."""

import warnings
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from lstm2d.data.synth import draw_scene
from lstm2d.errors import ImageWarning
from lstm2d.io.given import photo_of
from lstm2d.io.photo import Reading
from lstm2d.predict import Predictor, load

Bytes = NDArray[np.uint8]
Twin = NDArray[Any]

EXACT = 0.0
FLOAT = 1e-4  # gray levels: what float32 rounds
LEVEL = 0.51  # what rounding to 8 bits takes

CLIPPED_1, CLIPPED_255 = "floats outside 0..1 are clipped", "floats outside 0..255 are clipped"
ON_WHITE = "transparent pixels are composited on white"


KEY = (30, 60, 90)  # a colour that gets transparent


def guessed(bits: int) -> str:
    white = 2**bits - 1
    return f"guessed from the largest value: {bits} significant bits, so {white} is white (option: bits)"


@cache
def scene() -> Bytes:
    """Return a small drawn photograph whose values include 0 and 255."""
    image, _ = draw_scene(1, 3, 48, 64)
    image = image.copy()
    image[0, 0], image[0, 1], image[5, 5] = 0, 255, KEY
    image.flags.writeable = False
    return image


def gray() -> Bytes:
    return np.ascontiguousarray(scene()[..., 1])


def three(values: Twin) -> Twin:
    return np.repeat(values[..., None], 3, axis=2)


def pillow() -> Image.Image:
    return Image.fromarray(scene())


def opacity() -> Bytes:
    """Return all opacities, from left to right."""
    rows, columns = scene().shape[:2]
    return np.broadcast_to(np.linspace(0, 255, columns).astype(np.uint8), (rows, columns))


def on_white(colors: Twin) -> Twin:
    share = opacity()[..., None] / 255
    return np.rint(colors * share + 255 * (1 - share))


def rgba() -> Bytes:
    return np.concatenate([scene(), opacity()[..., None]], axis=2)


class Tensor:
    """Behaves like a torch tensor that requires gradients."""

    def __init__(self, array: Twin, *, attached: bool = True) -> None:
        self._array, self._attached = array, attached

    def detach(self) -> "Tensor":
        return Tensor(self._array, attached=False)

    def cpu(self) -> "Tensor":
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Twin:
        if self._attached:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self._array


class Labelled:
    """Behaves like an array of xarray or pandas."""

    def __init__(self, array: Twin) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Twin:
        return self._array


def memory_map(folder: Path) -> Twin:
    scene().tofile(folder / "a.raw")
    return np.memmap(folder / "a.raw", np.uint8, "r", shape=scene().shape)


def stored(kind: str, image: Image.Image, **options: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"a.{kind.lower()}"
        image.save(path, kind, **options)
        return path

    return write


def tiff(values: Twin, **options: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        options.setdefault("photometric", "rgb" if values.shape[-1] in (3, 4) else "minisblack")
        tifffile.imwrite(folder / "a.tif", values, **options)
        return folder / "a.tif"

    return write


def overshooting() -> NDArray[np.float64]:
    values = scene() / 255
    values[0, 0], values[0, 1] = -0.1, 1.2
    return values


def turned() -> Image.Image:
    exif = Image.Exif()
    exif[274] = 6
    buffer = BytesIO()
    Image.fromarray(np.rot90(scene())).save(buffer, "PNG", exif=exif)
    return Image.open(buffer)


def lab() -> Image.Image:
    return ImageCms.profileToProfile(
        pillow(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )


def indexed(**transparency: Any) -> Image.Image:
    image = pillow().quantize(16, method=Image.Quantize.MEDIANCUT)
    image.info.update(transparency)
    return image


def indexed_twin() -> Twin:
    """Return the colours of `indexed` with index 0 on white, by hand."""
    image = indexed()
    colors, numbers = np.array(image.convert("RGB")), np.array(image)
    colors[numbers == 0] = 255
    return colors


def key_twin() -> Twin:
    colors = scene().copy()
    colors[(scene() == KEY).all(axis=2)] = 255
    return colors


def as_file(image: Image.Image, folder: Path) -> Path:
    image.save(folder / "a.png")
    return folder / "a.png"


def spread(white: int, dtype: Any) -> Twin:
    """Return the photograph with a white level other than 255."""
    return np.rint(scene() / 255 * white).astype(dtype)


def sixteen() -> Image.Image:
    return Image.fromarray(gray().astype(np.uint16) * 257)


def twelve() -> Image.Image:
    return Image.fromarray(spread(4095, np.uint16)[..., 1])


def gray_alpha() -> Image.Image:
    return Image.fromarray(np.stack([gray(), opacity()], 2), "LA")


WIDE = scene().astype(np.uint16)
GRAY = three(gray())
KEPT = {"lossless": True, "exact": True}

# name, what is given (or a writer of a file), its RGB twin, tolerance in gray levels, notes
ROWS: list[tuple[str, Any, Twin, float, tuple[str, ...]]] = [
    # arrays: kinds of values
    ("uint8", scene(), scene(), EXACT, ()),
    ("lists", scene().tolist(), scene(), EXACT, ()),
    ("int64", scene().astype(np.int64), scene(), EXACT, ()),
    ("int16", scene().astype(np.int16), scene(), EXACT, ()),
    ("uint16, whole range", WIDE * 257, scene(), FLOAT, ()),
    ("uint16, big-endian", (WIDE * 257).astype(">u2"), scene(), FLOAT, ()),
    ("uint16, 8 bits", WIDE, scene(), EXACT, (guessed(8),)),
    ("uint16, 10 bits", spread(1023, np.uint16), scene(), LEVEL, (guessed(10),)),
    ("uint16, 12 bits", spread(4095, np.uint16), scene(), LEVEL, (guessed(12),)),
    ("uint16, 14 bits", spread(16383, np.uint16), scene(), LEVEL, (guessed(14),)),
    ("int32, 12 bits", spread(4095, np.int32), scene(), LEVEL, (guessed(12),)),
    ("uint32, 16 bits", scene().astype(np.uint32) * 257, scene(), FLOAT, (guessed(16),)),
    ("booleans", gray() > 127, three((gray() > 127) * np.uint8(255)), EXACT, ()),
    ("float64 in 0..1", scene() / 255, scene(), FLOAT, ()),
    ("float32 in 0..1", (scene() / 255).astype(np.float32), scene(), FLOAT, ()),
    ("float16 in 0..1", (scene() / 255).astype(np.float16), scene(), 0.07, ()),
    ("a rounding above 1", scene() / 255 * 1.0000000000000004, scene(), FLOAT, ()),
    ("a rounding below 0", scene() / 255 - 1e-9, scene(), FLOAT, ()),
    ("overshoot of 0..1", overshooting(), scene(), FLOAT, (CLIPPED_1,)),
    ("float32 in 0..255", scene().astype(np.float32), scene(), EXACT, ()),
    ("overshoot of 0..255", overshooting() * 255, scene(), FLOAT, (CLIPPED_255,)),
    ("float32 of 12 bits", scene() / 255 * 4095, scene(), FLOAT, (guessed(12),)),
    # arrays: shapes and containers
    ("(H, W)", gray(), GRAY, EXACT, ()),
    ("(H, W, 1)", gray()[..., None], GRAY, EXACT, ()),
    ("(3, H, W)", np.moveaxis(scene(), 2, 0), scene(), EXACT, ("channels first",)),
    ("(1, H, W)", gray()[None], GRAY, EXACT, ("channels first",)),
    ("(1, H, W, 3)", scene()[None], scene(), EXACT, ()),
    ("(1, 3, H, W)", np.moveaxis(scene(), 2, 0)[None], scene(), EXACT, ("channels first",)),
    ("(H, W, 4)", rgba(), on_white(scene()), LEVEL, (ON_WHITE,)),
    ("(H, W, 4), opaque", np.array(pillow().convert("RGBA")), scene(), EXACT, ()),
    ("(H, W, 4) in 0..1", rgba() / 255, on_white(scene()), LEVEL, (ON_WHITE,)),
    ("(H, W, 4), uint16", rgba().astype(np.uint16) * 257, on_white(scene()), LEVEL, (ON_WHITE,)),
    ("tensor", Tensor(np.moveaxis(scene() / 255, 2, 0)), scene(), FLOAT, ("channels first",)),
    ("array of another library", Labelled(scene()), scene(), EXACT, ()),
    ("memory map", memory_map, scene(), EXACT, ()),
    ("view", np.repeat(scene(), 2, axis=1)[:, ::2], scene(), EXACT, ()),
    ("masked array, nothing masked", np.ma.MaskedArray(scene()), scene(), EXACT, ()),
    # Pillow images
    ("mode 1", pillow().convert("1"), np.array(pillow().convert("1").convert("RGB")), EXACT, ()),
    ("mode L", Image.fromarray(gray()), GRAY, EXACT, ()),
    ("mode LA", gray_alpha(), on_white(GRAY), LEVEL, (ON_WHITE,)),
    ("mode La", gray_alpha().convert("La"), on_white(GRAY), 1.01, (ON_WHITE,)),
    ("mode P", indexed(), np.array(indexed().convert("RGB")), EXACT, ()),
    ("mode P, index transparent", indexed(transparency=0), indexed_twin(), EXACT, (ON_WHITE,)),
    ("mode P, opacities", indexed(transparency=b"\0"), indexed_twin(), EXACT, (ON_WHITE,)),
    ("mode PA", indexed().convert("PA"), np.array(indexed().convert("RGB")), EXACT, ()),
    ("mode RGB", pillow(), scene(), EXACT, ()),
    ("mode RGBA", Image.fromarray(rgba()), on_white(scene()), LEVEL, (ON_WHITE,)),
    ("mode RGBa", Image.fromarray(rgba()).convert("RGBa"), on_white(scene()), 1.01, (ON_WHITE,)),
    ("mode RGBX", pillow().convert("RGBX"), scene(), EXACT, ()),
    ("mode CMYK", pillow().convert("CMYK"), scene(), EXACT, ()),
    ("mode YCbCr", pillow().convert("YCbCr"), np.array(pillow().convert("YCbCr").convert("RGB")), EXACT, ()),
    ("mode HSV", pillow().convert("HSV"), np.array(pillow().convert("HSV").convert("RGB")), EXACT, ()),
    ("mode LAB", lab(), scene(), 12, ()),
    ("mode I", Image.fromarray(gray().astype(np.int32)), GRAY, EXACT, ()),
    ("mode I;16", sixteen(), GRAY, FLOAT, ()),
    ("mode F", Image.fromarray((gray() / 255).astype(np.float32)), GRAY, FLOAT, ()),
    ("EXIF orientation", turned(), scene(), EXACT, ("turned upright",)),
    # files
    ("PNG", stored("PNG", pillow()), scene(), EXACT, ()),
    ("PNG, gray", stored("PNG", Image.fromarray(gray())), GRAY, EXACT, ()),
    ("PNG, palette", stored("PNG", indexed()), np.array(indexed().convert("RGB")), EXACT, ()),
    ("PNG, transparent index", stored("PNG", indexed(), transparency=0), indexed_twin(), EXACT, (ON_WHITE,)),
    ("PNG, RGBA", stored("PNG", Image.fromarray(rgba())), on_white(scene()), LEVEL, (ON_WHITE,)),
    ("PNG, transparent colour", stored("PNG", pillow(), transparency=KEY), key_twin(), EXACT, (ON_WHITE,)),
    ("PNG, 16 bits", stored("PNG", sixteen()), GRAY, FLOAT, ()),
    ("PNG, 12 of 16 bits", stored("PNG", twelve()), GRAY, LEVEL, (guessed(12),)),
    ("WebP, RGBA", stored("WEBP", Image.fromarray(rgba()), **KEPT), on_white(scene()), LEVEL, (ON_WHITE,)),
    ("GIF, transparent index", stored("GIF", indexed(), transparency=0), indexed_twin(), EXACT, (ON_WHITE,)),
    ("BMP", stored("BMP", pillow()), scene(), EXACT, ()),
    ("PPM", stored("PPM", pillow()), scene(), EXACT, ()),
    ("JPEG 2000", stored("JPEG2000", pillow(), irreversible=False), scene(), EXACT, ()),
    ("TIFF", tiff(scene()), scene(), EXACT, ()),
    ("TIFF, CMYK", stored("TIFF", pillow().convert("CMYK")), scene(), EXACT, ()),
    ("TIFF, floats", tiff((scene() / 255).astype(np.float32)), scene(), FLOAT, ()),
    ("TIFF, a rounding above 1", tiff(scene() / 255 * 1.0000000000000004), scene(), FLOAT, ()),
    ("TIFF, overshoot", tiff(overshooting()), scene(), FLOAT, (CLIPPED_1,)),
    ("TIFF, 12 of 16 bits", tiff(spread(4095, np.uint16)), scene(), LEVEL, (guessed(12),)),
    ("TIFF, opacity", tiff(rgba(), extrasamples=["unassalpha"]), on_white(scene()), LEVEL, (ON_WHITE,)),
    ("TIFF, a fourth band", tiff(rgba(), extrasamples=["unspecified"]), scene(), EXACT, ("a further band",)),
]  # fmt: skip


@pytest.fixture(scope="module")
def outdoor() -> Predictor:
    """Return the bundled model, whose CRF would hide small differences."""
    return load("outdoor", crf=False)


@pytest.mark.parametrize(
    ("given", "twin", "tolerance", "notes"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_pixels_and_labels_of_the_rgb_twin(
    tmp_path: Path, outdoor: Predictor, given: Any, twin: Twin, tolerance: float, notes: tuple[str, ...]
) -> None:
    image = given(tmp_path) if callable(given) else given
    photo = photo_of(image)
    assert photo.pixels.shape == scene().shape
    assert photo.pixels.dtype in (np.uint8, np.float32)
    np.testing.assert_allclose(photo.pixels.astype(np.float64), twin, rtol=0, atol=tolerance)
    assert len(photo.notes) == len(notes)
    for note, expected in zip(photo.notes, notes, strict=True):
        assert expected.replace("channels first", "channels come first") in note
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ImageWarning)
        labels = outdoor.predict(image)
    assert len(warned) == bool(notes)
    assert all(note in str(w.message) for note in photo.notes for w in warned)
    expected_labels = outdoor.predict(twin.astype(np.uint8))
    assert len(np.unique(expected_labels)) > 1
    differing = (labels != expected_labels).mean()
    assert differing == 0 if tolerance <= FLOAT else differing < 0.02


def test_the_table_is_long_enough() -> None:
    assert len(ROWS) >= 40
    assert len({row[0] for row in ROWS}) == len(ROWS)


def test_an_image_of_pillow_is_left_as_it_was() -> None:
    image = indexed(transparency=0)
    before = image.info.copy(), image.mode, image.tobytes()
    photo_of(image)
    assert (image.info, image.mode, image.tobytes()) == before


@pytest.mark.parametrize("as_array", [True, False])
def test_bits_and_background_rule_arrays_and_files_alike(tmp_path: Path, as_array: bool) -> None:
    twelve = gray().astype(np.uint16)  # 8 bits of 12: the guess would be 8
    image: Any = twelve if as_array else tiff(twelve)(tmp_path)
    found = photo_of(image, Reading(bits=12))
    assert found.notes == ()
    np.testing.assert_allclose(found.pixels, three(gray()) * (255 / 4095), rtol=1e-6)
    np.testing.assert_allclose(photo_of(image, Reading(bits=16)).pixels, three(gray()) / 257, rtol=1e-6)
    image = rgba() if as_array else as_file(Image.fromarray(rgba()), tmp_path)
    share = opacity()[..., None] / 255
    blue = photo_of(image, Reading(background=(0, 0, 250)))
    np.testing.assert_allclose(blue.pixels, scene() * share + np.array([0, 0, 250]) * (1 - share), atol=LEVEL)
    assert blue.notes == ("transparent pixels are composited on (0, 0, 250)",)
