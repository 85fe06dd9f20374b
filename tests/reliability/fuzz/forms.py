"""Mutations of parts of a file that keep the rest valid."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from tests.reliability.fuzz.target import Form, Mutate

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 256, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30,
    10**400, 0.0, -0.0, 0.5, 1.0, 1e308, -1e308, 1e-320, float("nan"), float("inf"), "", "a", "0", "\0",
    "\n", "\ud800", "../../x", "/etc/passwd", "." * 300, "a" * 5000, "<b>", "=1+1", [], {}, [[]], [0],
    [1, 2], {"a": 1}, [None] * 50, [0] * 1000, [[[[[[[[]]]]]]]],
)  # fmt: skip
_TAGS = (  # numbers of tags of TIFF and of types, counts and values in them
    0, 1, 2, 3, 4, 5, 8, 12, 16, 32, 64, 255, 256, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 324,
    325, 338, 339, 347, 530, 33922, 34675, 32773, 32946, 65535, 12000, 2**31, 2**32 - 1,
)  # fmt: skip


def json_form(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    """Replace, remove, copy or nest a value in JSON."""
    return _dumped(_changed(_loaded(data), rng))


def line_json_form(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    """Change one line of JSON among several."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = json_form(lines[at], rng, mutate)
    return b"\n".join(lines)


def header_form(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    """Change the header of a safetensors file, as JSON or as bytes; its length fits again."""
    header, body = _header(data)
    header = _dumped(_changed(_loaded(header), rng)) if rng.random() < 0.8 else mutate(header)
    return len(header).to_bytes(8, "little") + header + body


def metadata_form(key: str) -> Form:
    """Return a form that changes JSON in the metadata of a safetensors file."""

    def change(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
        header, body = _header(data)
        content = _loaded(header)
        try:
            text = content["__metadata__"][key].encode("utf-8", "surrogatepass")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("no such metadata") from error
        text = json_form(text, rng, mutate) if rng.random() < 0.8 else mutate(text)
        content["__metadata__"][key] = text.decode("utf-8", "replace")
        header = _dumped(content)
        return len(header).to_bytes(8, "little") + header + body

    return change


def signed(form: Form, sign: Callable[[bytes], bytes]) -> Form:
    """Return a form whose result gets a valid digest again."""
    return lambda data, rng, mutate: sign(form(data, rng, mutate))


def plain_form(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    """Change any bytes; for `signed`."""
    return mutate(data)


def png_form(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    """Change, copy or remove a chunk of a PNG, or its pixels before they are compressed."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        raise ValueError("no PNG")
    k = rng.randrange(len(chunks))
    kind, content = chunks[k]
    choice = rng.random()
    if choice < 0.1:
        del chunks[k]
    elif choice < 0.2:
        chunks.insert(rng.randrange(len(chunks) + 1), chunks[k])
    elif kind == b"IDAT" and choice < 0.6:
        try:
            chunks[k] = kind, zlib.compress(mutate(zlib.decompress(content)))
        except zlib.error as error:
            raise ValueError("damaged pixels") from error
    elif choice < 0.7:
        new = rng.choice(
            (b"tRNS", b"sBIT", b"gAMA", b"eXIf", b"acTL", b"fcTL", b"iCCP", b"PLTE", b"tEXt", b"zTXt")
        )
        chunks.insert(k, (new, content[: rng.randrange(64)] if rng.random() < 0.5 else rng.randbytes(6)))
    else:
        chunks[k] = kind, mutate(content)
    return data[:8] + b"".join(
        struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks
    )


def tiff_form(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    """Change number, type, count or value of an entry in the first folder of a TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        raise ValueError("no TIFF")
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    if first + 14 > len(data):
        raise ValueError("no folder")
    (count,) = struct.unpack_from(f"{order}H", data, first)
    at = first + 2 + 12 * rng.randrange(max(1, min(count, (len(data) - first - 2) // 12)))
    changed = bytearray(data)
    part, width = rng.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H")))
    value = rng.choice((*_TAGS, len(data))) % (65536 if width == "H" else 2**32)
    struct.pack_into(order + width, changed, at + part, value)
    return bytes(changed)


def zip_form(data: bytes, rng: random.Random, mutate: Mutate) -> bytes:
    """Change a member of a zip file; its checksum fits again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception as error:  # zipfile raises many
        raise ValueError("no zip file") from error
    if not members:
        raise ValueError("no members")
    k = rng.randrange(len(members))
    name, content = members[k]
    members[k] = (
        (name, mutate(content)) if rng.random() < 0.9 else (mutate(name.encode()).decode("latin-1"), content)
    )
    out = io.BytesIO()
    how = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", how) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members with the same name
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name[:999] or "x"), content)
    return out.getvalue()


def _header(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError("no header")
    return data[8 : 8 + length], data[8 + length :]


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _dumped(value: Any) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":")).encode()  # as safetensors writes it
    except RecursionError as error:
        raise ValueError("too deep") from error


def _changed(content: Any, rng: random.Random) -> Any:
    """Return a copy of a JSON value with one change at a random place."""
    places = list(_places([content]))
    holder, key = rng.choice(places)
    value = holder[key]
    choice = rng.random()
    if choice < 0.55 or (choice < 0.75 and holder is places[0][0]):
        holder[key] = copy.deepcopy(rng.choice(_VALUES))
    elif choice < 0.65:
        del holder[key]
    elif choice < 0.75 and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(value)] * rng.choice((1, 1, 2, 300))
    elif choice < 0.75:
        holder[rng.choice(("", "a", "\0", f"{key} ", key.upper() or "x", "../x"))] = value
    elif choice < 0.8:
        for _ in range(rng.choice((1, 2, 100))):
            value = [value] if rng.random() < 0.5 else {"a": value}
        holder[key] = value
    else:
        other, name = rng.choice(places)
        if name in other if isinstance(other, dict) else name < len(other):
            holder[key] = copy.deepcopy(other[name])
    return places[0][0][0] if places[0][0] else None


def _places(top: list[Any]) -> list[tuple[Any, Any]]:
    """Return every place of a value: what holds it, and its key or index; the first holds everything."""
    found: list[tuple[Any, Any]] = []
    waiting: list[Any] = [top]
    while waiting and len(found) < 5000:
        holder = waiting.pop()
        items = list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder))
        found += [(holder, key) for key, _ in items]
        waiting += [value for _, value in items if isinstance(value, dict | list)]
    return found
