"""Small image files that claim, or expand to, far more than they hold; all are made in code."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lstm2d.reliability.inputs import tiff_bombs


@dataclass(frozen=True, slots=True)
class Bomb:
    """An image file that would take far more memory or time than its size suggests.

    Parameters
    ----------
    name : str
        File name.
    make : callable
        Returns its bytes.
    message : str
        Part of the error that refuses it, a regular expression; "" if it is read without harm.
    """

    name: str
    make: Callable[[], bytes]
    message: str


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 16, height: int = 16, pixels: bytes | None = None) -> bytes:
    """Return a gray PNG of 8 bits; `chunks` stand before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(17 * 16)) if pixels is None else pixels
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", rows), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_claims(width: int = 30_000, height: int = 30_000) -> bytes:
    """Return a PNG whose header claims 900 megapixels."""
    return png(width=width, height=height)


def png_text(megabytes: int = 500) -> bytes:
    """Return a PNG with a text that expands to 500 MB."""
    return png(png_chunk(b"zTXt", b"Comment\0\0" + tiff_bombs.zeros(megabytes)))


def png_international_text(megabytes: int = 500) -> bytes:
    """Return the same with the chunk for texts in other languages."""
    return png(png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + tiff_bombs.zeros(megabytes)))


def png_profile(megabytes: int = 500) -> bytes:
    """Return a PNG with a colour profile that expands to 500 MB."""
    return png(png_chunk(b"iCCP", b"profile\0\0" + tiff_bombs.zeros(megabytes)))


def png_pixels(megabytes: int = 500) -> bytes:
    """Return 16x16 pixels whose data expand to 500 MB."""
    return png(pixels=tiff_bombs.zeros(megabytes))


def png_chunk_claims() -> bytes:
    """Return a PNG with a chunk that claims 2 GB and holds nothing."""
    data = png()
    return data[:33] + struct.pack(">I", 2**31 - 1) + b"tEXt" + data[33:]


def png_many_texts() -> bytes:
    """Return a PNG with 100 texts of nearly 1 MB each, in 100 kB."""
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes((1 << 20) - 100), 9))
    return png(*[text] * 100)


def animated_png() -> bytes:
    """Return a PNG with 1,000,000 frames announced, the second of them 65,000x65,000 pixels."""
    first = struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 1, 0, 0)
    second = struct.pack(">IIIIIHHBB", 1, 65_000, 65_000, 0, 0, 1, 1, 0, 0)
    rows = zlib.compress(bytes(17 * 16))
    data = png(png_chunk(b"acTL", struct.pack(">II", 1_000_000, 0)), png_chunk(b"fcTL", first))
    further = png_chunk(b"fcTL", second) + png_chunk(b"fdAT", struct.pack(">I", 2) + rows)
    return data[:-12] + further + data[-12:]


def exif(entries: int = 60_000, count: int = 700_000) -> bytes:
    """Return EXIF data whose 60,000 entries claim the same 700 kB: 42 GB."""
    parts = [struct.pack("<HHII", k + 1, 7, count, 8) for k in range(entries)]
    return b"II*\0" + struct.pack("<IH", 8, entries) + b"".join(parts) + bytes(4)


def png_exif() -> bytes:
    """Return a PNG with such EXIF data."""
    return png(png_chunk(b"eXIf", exif()))


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(width: int, height: int, *scans: bytes, progressive: bool = False, extra: bytes = b"") -> bytes:
    """Return a gray JPEG: two Huffman tables of one code each, and these scans."""
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    parts = [
        jpeg_segment(0xDB, b"\0" + bytes([1] * 64)),
        jpeg_segment(0xC2 if progressive else 0xC0, frame),
        jpeg_segment(0xC4, b"\x00" + bytes([1] + [0] * 15) + b"\x00"),  # DC: no difference
        jpeg_segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + (b"\xe0" if progressive else b"\x00")),
    ]
    return b"\xff\xd8" + extra + b"".join(parts) + b"".join(scans) + b"\xff\xd9"


def jpeg_scan(first: int, last: int, data: bytes) -> bytes:
    """Return a scan with the coefficients `first` to `last`."""
    return jpeg_segment(0xDA, bytes([1, 1, 0x00, first, last, 0x00])) + data


def jpeg_scans(side: int = 8000, count: int = 1000) -> bytes:
    """Return a progressive JPEG of 8000x8000 pixels with 1000 scans that change nothing."""
    blocks = (side // 8) ** 2
    runs = -(-blocks // 2**14)  # a code says that the next 2**14 blocks are empty: a zero, 14 more zeros
    empty = jpeg_scan(1, 63, bytes(-(-15 * runs // 8)))
    return jpeg(side, side, jpeg_scan(0, 0, bytes(-(-blocks // 8))), *[empty] * (count - 1), progressive=True)


def jpeg_claims() -> bytes:
    """Return a JPEG whose header claims 65,500x65,500 pixels."""
    return jpeg(65_500, 65_500, jpeg_scan(0, 63, bytes(100)))


def jpeg_exif() -> bytes:
    """Return a JPEG of 16x16 pixels with the same EXIF data, in several segments."""
    data = exif()
    pieces = [data[at : at + 60_000] for at in range(0, len(data), 60_000)]
    extra = b"".join(jpeg_segment(0xE1, b"Exif\0\0" + piece) for piece in pieces)
    # two bits for each block: no difference, and the end of the block
    return jpeg(16, 16, jpeg_scan(0, 63, bytes(1)), extra=extra)


def gif(canvas: tuple[int, int], frame: tuple[int, int], *, frames: int = 1) -> bytes:
    """Return a GIF whose frames have another size than its canvas."""
    # codes of 3 bits: clear, colour 0, end
    block = b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + bytes(6)
    return head + block * frames + b"\x3b"


def webp(canvas: tuple[int, int], *, animated: bool = False) -> bytes:
    """Return a WebP of 16x16 pixels that claims a larger canvas."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "WEBP", lossless=True)
    picture = buffer.getvalue()[12:]
    width, height = ((side - 1).to_bytes(3, "little") for side in canvas)
    head = b"VP8X" + struct.pack("<IB3x", 10, 0x02 if animated else 0) + width + height
    if animated:
        frame = bytes(6) + (15).to_bytes(3, "little") * 2 + (100).to_bytes(3, "little") + b"\0" + picture
        loop = b"ANIM" + struct.pack("<IIH", 6, 0, 0)
        picture = loop + (b"ANMF" + struct.pack("<I", len(frame)) + frame) * 2
    body = b"WEBP" + head + picture
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp(width: int, height: int, *, compression: int = 0, data: bytes = b"") -> bytes:
    """Return a BMP of 8 bits with a palette of one colour."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(data), 0, 0, 1, 0)
    head = b"BM" + struct.pack("<IHHI", 58 + len(data), 0, 0, 58)
    return head + info + bytes(4) + data


def bmp_jump() -> bytes:
    """Return a BMP of 40,000,000x1 pixels whose compressed data jump 255 rows ahead: 10 GB."""
    return bmp(40_000_000, 1, compression=1, data=b"\x00\x02\xff\xff\x00\x01")


def ppm(width: int, height: int, kind: str = "P6") -> bytes:
    """Return a PPM that has a header alone."""
    return f"{kind}\n{width} {height}\n255\n".encode()


def jpeg2000(**changed: int) -> bytes:
    """Return a JPEG 2000 file of 16x16 pixels whose code stream claims other sizes.

    Parameters
    ----------
    **changed : int
        Fields of the segment SIZ: width, height, tile_width, tile_height, components.

    Returns
    -------
    bytes
        The file; b"" where Pillow has no encoder for it.
    """
    from PIL import Image, features

    if not features.check("jpg_2000"):
        return b""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG2000")
    data = bytearray(buffer.getvalue())
    header, at = data.index(b"ihdr") + 4, data.index(b"\xff\x4f\xff\x51") + 8  # after length and capabilities
    places = {"width": (0, header + 4), "height": (4, header), "tile_width": (16,), "tile_height": (20,)}
    for name, value in changed.items():
        if name == "components":
            struct.pack_into(">H", data, at + 32, value)
            continue
        stream, *boxed = places[name]
        for place in (at + stream, *boxed):
            struct.pack_into(">I", data, place, value)
    return bytes(data)


def icon() -> bytes:
    """Return an icon, which Pillow reads and the program does not."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, 100, 22) + png()


TOO_LARGE, DAMAGED = "too large", "cannot decode"
TEXT, EXPANDS = "expands to more than 1 MB", "more than its pixels"
BOMBS = (
    Bomb("tile.tif", tiff_bombs.huge_tile, TOO_LARGE),
    Bomb("tile-raw.tif", partial(tiff_bombs.huge_tile, tiff_bombs.NO_COMPRESSION), TOO_LARGE),
    Bomb("tile-lzw.tif", partial(tiff_bombs.huge_tile, tiff_bombs.LZW), TOO_LARGE),
    Bomb("wide-tiles.tif", tiff_bombs.wide_tiles, TOO_LARGE),
    Bomb("samples.tif", tiff_bombs.many_samples, "50000 samples"),
    Bomb("planes.tif", tiff_bombs.many_planes, "50000 samples"),
    Bomb("bits.tif", tiff_bombs.many_bits, "size differs"),
    Bomb("strips.tif", tiff_bombs.many_strips, "1000000 strips"),
    Bomb("depth.tif", tiff_bombs.deep_image, ""),
    Bomb("strip.tif", tiff_bombs.float_strip, EXPANDS),
    Bomb("strip-lzma.tif", partial(tiff_bombs.float_strip, packed="lzma", megabytes=64), EXPANDS),
    Bomb("tag.tif", tiff_bombs.long_tag, ""),
    Bomb("pages.tif", tiff_bombs.many_pages, ""),
    Bomb("endless-pages.tif", tiff_bombs.endless_pages, ""),
    Bomb("jpeg.tif", lambda: tiff_bombs.jpeg_inside(jpeg_claims()), DAMAGED),
    Bomb("jpeg-scans.tif", lambda: tiff_bombs.jpeg_inside(jpeg_scans(side=16)), DAMAGED),
    Bomb("claims.png", png_claims, TOO_LARGE),
    Bomb("text.png", png_text, TEXT),
    Bomb("international-text.png", png_international_text, TEXT),
    Bomb("texts.png", png_many_texts, TEXT),
    Bomb("profile.png", png_profile, TEXT),
    Bomb("pixels.png", png_pixels, ""),
    Bomb("chunk.png", png_chunk_claims, DAMAGED),
    Bomb("animated.png", animated_png, ""),
    Bomb("exif.png", png_exif, "EXIF data claim"),
    Bomb("claims.jpg", jpeg_claims, TOO_LARGE),
    Bomb("scans.jpg", jpeg_scans, "more than 100 scans"),
    Bomb("exif.jpg", jpeg_exif, "EXIF data claim"),
    Bomb("canvas.gif", partial(gif, (65_000, 65_000), (16, 16)), TOO_LARGE),
    Bomb("frame.gif", partial(gif, (16, 16), (65_000, 65_000)), TOO_LARGE),
    Bomb("frames.gif", partial(gif, (16, 16), (1, 1), frames=200_000), ""),
    Bomb("canvas.webp", partial(webp, (16_384, 16_384)), DAMAGED),
    Bomb("animated.webp", partial(webp, (16_384, 16_384), animated=True), TOO_LARGE),
    Bomb("claims.bmp", partial(bmp, 40_000, 40_000), TOO_LARGE),
    Bomb("upside-down.bmp", partial(bmp, 40_000, -40_000), TOO_LARGE),
    Bomb("jump.bmp", bmp_jump, TOO_LARGE),
    Bomb("claims.ppm", partial(ppm, 40_000, 40_000), TOO_LARGE),
    Bomb("plain.ppm", partial(ppm, 9_000, 9_000, "P3"), DAMAGED),
    Bomb("claims.jp2", partial(jpeg2000, width=60_000, height=60_000), TOO_LARGE),
    Bomb("tiles.jp2", partial(jpeg2000, width=256, height=255, tile_width=1, tile_height=1), "65280 tiles"),
    Bomb("components.jp2", partial(jpeg2000, components=16_384), DAMAGED),
    Bomb("icon.png", icon, "no image"),
    Bomb("icon.ico", icon, "not read"),
)
