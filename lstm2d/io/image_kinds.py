"""Unsupported image formats, with advice on how to convert them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageKind:
    """An unsupported kind of image file.

    Parameters
    ----------
    name : str
        For example "HEIC file".
    advice : str
        How to get such files labelled.
    many : str
        Plural of the name; "" appends an s.
    endings : tuple of str
        File name endings in lower case, with the dot.
    inside_tiff : bool
        Whether such files are TIFF files whose image is a preview or a sensor mosaic.
    """

    name: str
    advice: str
    many: str = ""
    endings: tuple[str, ...] = ()
    inside_tiff: bool = False


HEIC = ImageKind("HEIC file", "save as JPEG or PNG", endings=(".heic", ".heif", ".hif", ".heics", ".heifs"))
AVIF = ImageKind("AVIF file", "save as JPEG or PNG", endings=(".avif", ".avifs"))
JPEG_XL = ImageKind("JPEG XL file", "save as JPEG or PNG", endings=(".jxl",))
RAW = ImageKind(
    "camera raw file",
    "develop to JPEG, or to TIFF of 8 or 16 bits",
    endings=(
        ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef",
        ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf",
        ".srw", ".x3f",
    ),
    inside_tiff=True,
)  # fmt: skip
KINDS = (
    HEIC,
    AVIF,
    JPEG_XL,
    RAW,
    ImageKind("SVG drawing", "export as PNG", endings=(".svg", ".svgz")),
    ImageKind("Photoshop file", "export as PNG", endings=(".psd", ".psb")),
    ImageKind("GIMP file", "export as PNG", endings=(".xcf",)),
    ImageKind("OpenEXR file", "save as PNG, or as TIFF with values in 0..1", endings=(".exr",)),
    ImageKind("Radiance file", "save as PNG, or as TIFF with values in 0..1", endings=(".hdr",)),
    ImageKind("Targa file", "save as PNG", endings=(".tga",)),
    ImageKind("icon", "save as PNG", endings=(".ico", ".cur", ".icns")),
    ImageKind("PCX file", "save as PNG", endings=(".pcx",)),
    ImageKind("DDS file", "save as PNG", endings=(".dds",)),
    ImageKind("PostScript file", "export as PNG", endings=(".eps", ".ps", ".ai")),
    ImageKind(
        "JPEG file with an unusual ending",
        "rename to .jpg",
        many="JPEG files with an unusual ending",
        endings=(".jfif", ".jpe", ".jif"),
    ),
    ImageKind("PNM file", "rename to .ppm", endings=(".pnm",)),
    ImageKind(
        "JPEG 2000 file of an unusual kind",
        "save as .jp2",
        many="JPEG 2000 files of an unusual kind",
        endings=(".j2k", ".j2c", ".jpc", ".jpx", ".jpf"),
    ),
    ImageKind("DICOM file", "export as PNG or TIFF", endings=(".dcm", ".dicom")),
    ImageKind("FITS file", "export as TIFF", endings=(".fits", ".fts")),
    ImageKind(
        "microscope file", "export as TIFF", endings=(".czi", ".lif", ".lsm", ".nd2", ".oib", ".oif", ".vsi")
    ),
    ImageKind("slide", "export as TIFF", endings=(".mrxs", ".ndpi", ".svs")),
    ImageKind("MrSID or ECW file", "save as TIFF", endings=(".ecw", ".sid")),
)
_BY_ENDING = {ending: kind for kind in KINDS for ending in kind.endings}
_HEADS = (
    (re.compile(rb"....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)", re.DOTALL), HEIC),
    (re.compile(rb"....ftyp(avif|avis)", re.DOTALL), AVIF),
    (re.compile(rb"....ftypcrx ", re.DOTALL), RAW),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", re.DOTALL), JPEG_XL),
)
HEAD_BYTES = 16
# a letter after the dot: "12.05" and "2024.07.01" have no ending
_ENDING = re.compile(r"[^.].*\.[A-Za-z]\w{0,9}", re.DOTALL)
# magic bytes that plain text may start with count only with the bytes that must follow
_DOUBTFUL = re.compile(rb"BM(?!.{4}\0\0\0\0)|P[1-6](?!\s)|RIFF(?!.{4}WEBP)", re.DOTALL)


def kind_not_read(
    path: str | os.PathLike[str], head: bytes = b"", *, readable: bool = False
) -> ImageKind | None:
    """Return the kind of an unsupported image file.

    Parameters
    ----------
    path : str or path
        File name.
    head : bytes
        The first `HEAD_BYTES` bytes. They take precedence over the name: phones write JPEG files that end in
        .heic.
    readable : bool, default False
        Whether `head` is that of a supported format.

    Returns
    -------
    ImageKind or None
        None for supported formats and for files that are not images.
    """
    for pattern, kind in _HEADS:
        if pattern.match(head):
            return kind
    by_name = _BY_ENDING.get(os.path.splitext(os.fspath(path))[1].lower())
    if by_name is not None and readable:
        return by_name if by_name.inside_tiff and head.startswith((b"II", b"MM")) else None
    return by_name


def has_ending(name: str) -> bool:
    """Return whether a file name has an ending: a dot and a letter."""
    return _ENDING.fullmatch(name) is not None


def is_doubtful(head: bytes) -> bool:
    """Return whether the magic bytes of an image format may also be plain text."""
    return _DOUBTFUL.match(head) is not None
