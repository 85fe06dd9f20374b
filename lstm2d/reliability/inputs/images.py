"""Cases of images of the kinds that are read, and of those that are not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lstm2d.reliability.inputs import bombs, tiff_bombs
from lstm2d.reliability.inputs.case import Case, Place
from lstm2d.reliability.inputs.drawn import SIZE, labels_of, odd_photo, photo_of
from lstm2d.reliability.inputs.rows import bad, bad_image, case, good_image, ok

ORIENTATION = 274  # tag of EXIF
MEGAPIXELS_400 = (20_000, 20_000)
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, content: bytes, *, wrong: int = 0) -> bytes:
    """Return a chunk of a PNG file.

    Parameters
    ----------
    kind : bytes
        Its name.
    content : bytes
        Its content.
    wrong : int, default 0
        Added to its checksum.

    Returns
    -------
    bytes
        The chunk.
    """
    checksum = (zlib.crc32(kind + content) + wrong) % 2**32
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(values: NDArray[Any], *, bits: int = 8, kind: int = 2, wrong: int = 0, more: bytes = b"") -> bytes:
    """Return a PNG file of any depth, which Pillow cannot write.

    Parameters
    ----------
    values : array of shape (H, W) or (H, W, C)
        Samples of 8 or 16 bits.
    bits : int, default 8
        Bits of each.
    kind : int, default 2
        0 gray, 2 RGB, 4 gray with alpha, 6 RGBA.
    wrong : int, default 0
        Added to the checksum of the pixels.
    more : bytes, optional
        Chunks before the pixels.

    Returns
    -------
    bytes
        The file.
    """
    height, width = values.shape[:2]
    big = values.astype(f">u{bits // 8}").reshape(height, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in big)
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows), wrong=wrong)
    return SIGNATURE + header + more + pixels + chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as a file of some kind."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def odd() -> Image.Image:
    """Return the image that a case replaces."""
    return Image.fromarray(odd_photo())


def jpeg(**options: Any) -> bytes:
    """Return the odd image as JPEG."""
    return encoded(odd(), "JPEG", quality=95, subsampling=0, **options)


def sixteen(channels: int) -> NDArray[np.uint16]:
    """Return the odd image with 16 bits per sample, of which all are used."""
    low = np.random.default_rng(0).integers(0, 256, odd_photo().shape, dtype=np.uint16)
    deep = odd_photo().astype(np.uint16) * np.uint16(256) + low
    if channels in (2, 4):
        deep = np.concatenate([deep, np.full((*SIZE, 1), 65535, np.uint16)], axis=2)
    return deep if channels >= 3 else deep[..., -channels:]


def file(ending: str, content: Callable[[], bytes]) -> Callable[[Place], None]:
    """Return a function that writes the odd image."""

    def write(place: Place) -> None:
        place.image(ending).write_bytes(content())

    return write


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    """Return a TIFF file of any kind of samples."""
    import tifffile

    stream = BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def float_photo(*, spoiled: float | None = None) -> NDArray[np.float32]:
    """Return the odd image in 0..1, with one spoiled sample if asked for."""
    values: NDArray[np.float32] = odd_photo().astype(np.float32) / np.float32(255)
    if spoiled is not None:
        values[2, 3, 1] = spoiled
    return values


def turned(orientation: int, kind: str) -> bytes:
    """Return the odd image as it is stored for an EXIF orientation: upright again once it is turned."""
    steps = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    image = odd()
    for step in steps.get(orientation, []):
        image = image.transpose(step)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return encoded(image, kind, exif=exif, **options)


def of_size(rows: int, columns: int) -> Callable[[Place], None]:
    """Return a function that writes an image of some size, with its mask."""

    def write(place: Place) -> None:
        labels = (np.indices((rows, columns)).sum(axis=0) // 7 % 2).astype(np.uint8)
        Image.fromarray(photo_of(labels)).save(place.image())
        Image.fromarray(labels).save(place.mask())
        place.truth["odd.png"] = labels

    return write


def constant(place: Place) -> None:
    """Write an image of one colour, with its mask."""
    Image.new("RGB", SIZE[::-1], (9, 9, 9)).save(place.image())
    place.truth["odd.png"] = np.zeros(SIZE, np.uint8)
    Image.fromarray(place.truth["odd.png"]).save(place.mask())


def palette_with_alpha() -> bytes:
    """Return a palette image whose dark entry is half transparent and still dark on white."""
    image = Image.fromarray(labels_of("odd")).convert("P")
    image.putpalette([0, 0, 0, 250, 250, 250])
    return encoded(image, "PNG", transparency=bytes([200, 255]))


def rgba() -> bytes:
    """Return an image that is transparent where it is bright."""
    alpha = np.where(labels_of("odd") == 1, 100, 255).astype(np.uint8)
    return encoded(Image.fromarray(np.dstack([odd_photo(), alpha])), "PNG")


def lab() -> bytes:
    """Return the odd image in CIE L*a*b*."""
    values = np.full((*SIZE, 3), 0, np.uint8)
    values[..., 0] = odd_photo()[..., 0]
    return encoded(Image.fromarray(values, "LAB"), "TIFF")


def several(kind: str) -> bytes:
    """Return a file of two pictures."""
    other = Image.new("RGB", SIZE[::-1])
    return encoded(odd().quantize(64) if kind == "GIF" else odd(), kind, save_all=True, append_images=[other])


def expanding_text() -> bytes:
    """Return a PNG file with a comment that becomes 50 MB."""
    return png(odd_photo(), more=chunk(b"zTXt", b"Comment\0\0" + tiff_bombs.zeros(50)))


def page_loop() -> bytes:
    """Return a TIFF file whose only page names itself as the next one."""
    gray = odd_photo()[..., 0].tobytes()
    tags = tiff_bombs.page(
        SIZE[1], SIZE[0], samples=1, compression=tiff_bombs.NO_COMPRESSION, stored=len(gray)
    )
    data = tiff_bombs.tiff(tags, gray)
    (directory,) = struct.unpack_from("<I", data, 4)
    following = directory + 2 + 12 * len(tags)
    return data[:following] + struct.pack("<I", directory) + data[following + 4 :]


def folder_for_an_image(place: Place) -> None:
    """Make a folder of an image's name, with an image inside."""
    path = place.image()
    path.mkdir()
    odd().save(path / "inside.png")
    del place.truth["odd.png"]
    place.truth["odd.png/inside.png"] = labels_of("odd")


def beside(name: str, content: bytes) -> Callable[[Place], None]:
    """Return a function that adds a file among the images."""

    def write(place: Place) -> None:
        place.put(f"images/{name}", content)

    return write


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(40)
NO_IMAGE = "this is no image"
TRUNCATED = "cannot decode the image"
SEVERAL = "several pictures: only the first is read"
WHITE = "transparent pixels are composited on white"
TOO_LARGE = "pixels"

DAMAGED: tuple[Case, ...] = (
    bad_image("zero bytes", file(".png", lambda: b""), "the file is empty", found="0 bytes"),
    bad_image("text named .png", file(".png", lambda: b"not found\n"), NO_IMAGE),
    bad_image("SVG named .png", file(".png", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"), NO_IMAGE),
    bad_image("JPEG cut in half", file(".jpg", lambda: jpeg()[: len(jpeg()) // 2]), TRUNCATED),
    bad_image("PNG cut in half", file(".png", lambda: png(odd_photo())[:700]), TRUNCATED),
    bad_image("PNG of 20 bytes", file(".png", lambda: png(odd_photo())[:20]), TRUNCATED),
    bad_image("PNG with a wrong CRC", file(".png", lambda: png(odd_photo(), wrong=1)), "checksum"),
    bad_image("PNG of no rows", file(".png", lambda: bombs.png_claims(24, 0)), TRUNCATED),
    bad_image("TIFF cut in half", file(".tif", lambda: tiff(odd_photo())[:600]), TRUNCATED),
    bad_image(
        "float TIFF with NaN", file(".tif", lambda: tiff(float_photo(spoiled=np.nan))), "row 2, column 3"
    ),
    bad_image("float TIFF with infinity", file(".tif", lambda: tiff(float_photo(spoiled=np.inf))), "row 2"),
    bad_image("float TIFF below zero", file(".tif", lambda: tiff(float_photo(spoiled=-1))), "odd.tif"),
    bad_image("TIFF of complex numbers", file(".tif", lambda: tiff(float_photo()[..., 0] * 1j)), "odd.tif"),
    bad_image("HEIC named .jpg", file(".jpg", lambda: HEIC), "files of this kind are not read (HEIC"),
    bad_image(
        "header that claims 400 Mpixel", file(".png", lambda: bombs.png_claims(*MEGAPIXELS_400)), TOO_LARGE
    ),
    bad_image(
        "header that claims 2^62 pixels",
        file(".png", lambda: bombs.png_claims(2**31 - 1, 2**31 - 1)),
        TOO_LARGE,
    ),
    bad_image("TIFF with a larger tile", file(".tif", tiff_bombs.huge_tile), "pixels"),
    bad_image("TIFF of 50,000 samples per pixel", file(".tif", tiff_bombs.many_samples), "odd.tif"),
    bad_image(
        "JPEG of 1000 scans",
        file(".jpg", partial(bombs.jpeg_scans, side=16)),
        "a JPEG of more than 100 scans",
    ),
    bad_image("PNG with a text of 50 MB", file(".png", expanding_text), TRUNCATED),
    case(
        "folder named x.png",
        folder_for_an_image,
        check=bad("this is a folder"),
        train=bad("this is a folder"),
        evaluate=bad("this is a folder"),
        predict=ok(),
    ),
)
UNUSUAL: tuple[Case, ...] = (
    good_image("JPEG", file(".jpg", jpeg)),
    good_image("progressive JPEG", file(".jpg", lambda: jpeg(progressive=True))),
    good_image("gray JPEG", file(".jpg", lambda: encoded(odd().convert("L"), "JPEG", quality=95))),
    good_image("CMYK JPEG", file(".jpg", lambda: encoded(odd().convert("CMYK"), "JPEG", quality=95))),
    good_image("JPEG with a tail", file(".jpg", lambda: jpeg() + b"tail" * 99)),
    good_image("JPEG with damaged EXIF", file(".jpg", lambda: jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))),
    good_image("JPEG of orientation 99", file(".jpg", lambda: turned(99, "JPEG"))),
    good_image("PNG named .jpg", file(".jpg", lambda: png(odd_photo()))),
    good_image("PNG with a tail", file(".png", lambda: png(odd_photo()) + b"tail" * 99)),
    good_image("16-bit RGB", file(".png", lambda: png(sixteen(3), bits=16))),
    good_image("16-bit RGBA", file(".png", lambda: png(sixteen(4), bits=16, kind=6))),
    good_image("16-bit gray", file(".png", lambda: png(sixteen(1), bits=16, kind=0))),
    good_image("16-bit gray with alpha", file(".png", lambda: png(sixteen(2), bits=16, kind=4))),
    good_image("1-bit", file(".png", lambda: encoded(Image.fromarray(labels_of("odd") == 1), "PNG"))),
    good_image("palette with alpha", file(".png", palette_with_alpha), WHITE),
    good_image("RGBA", file(".png", rgba), WHITE),
    good_image("LAB TIFF", file(".tif", lab)),
    good_image("float TIFF", file(".tif", lambda: tiff(float_photo()))),
    good_image("big-endian TIFF", file(".tif", lambda: tiff(sixteen(3), byteorder=">", photometric="rgb"))),
    good_image("TIFF whose page follows itself", file(".tif", page_loop)),
    good_image(
        "multi-page TIFF", file(".tif", lambda: several("TIFF")), "several pages: only the first is read"
    ),
    good_image("animated GIF", file(".gif", lambda: several("GIF")), SEVERAL),
    good_image("animated PNG", file(".png", lambda: several("PNG")), SEVERAL),
    good_image("BMP", file(".bmp", lambda: encoded(odd(), "BMP"))),
    good_image("WebP", file(".webp", lambda: encoded(odd(), "WEBP", lossless=True))),
    good_image("PPM", file(".ppm", lambda: encoded(odd(), "PPM"))),
    good_image("JPEG 2000", file(".jp2", lambda: encoded(odd(), "JPEG2000"))),
    *(good_image(f"JPEG of orientation {n}", file(".jpg", partial(turned, n, "JPEG"))) for n in range(2, 9)),
    good_image("PNG of orientation 6", file(".png", lambda: turned(6, "PNG"))),
    good_image("TIFF of orientation 8", file(".tif", lambda: turned(8, "TIFF"))),
    good_image("1x1", of_size(1, 1), found="1x1 pixels"),
    good_image("one row", of_size(1, 40), found="40x1 pixels"),
    good_image("one column", of_size(40, 1), found="1x40 pixels"),
    good_image("65500x3", of_size(3, 65500), found="65500x3 pixels"),
    good_image("constant image", constant, found="all pixels are"),
    good_image("HEIC among the images", beside("phone.heic", HEIC), found="HEIC"),
    good_image("text among the images", beside("notes.txt", b"nothing\n")),
)
IMAGES = (*DAMAGED, *UNUSUAL)
