"""Seeded mutations of bytes."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from tests.reliability.fuzz.target import Form, Target

LONGEST = 1 << 16
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_TEXTS = (
    b"0", b"-1", b"1", b"255", b"256", b"65536", b"2147483648", b"4294967296", b"9223372036854775808",
    b"-0", b"1e999", b"-1e308", b"1e-320", b"0.5", b"nan", b"inf", b"NaN", b"Infinity", b"9" * 40,
    b"9" * 400, b"9" * 5000, b"true", b"null", b'""', b"[]", b"{}", b"0x10", b"1_0", b"\xd9\xa3",
    b"\xc2\xb2",
)  # fmt: skip
_PIECES = (
    b"\0", b"\r", b"\n", b"\r\n", b"\t", b" ", b'"', b"'", b"\\", b"/", b"../", b"\xff", b"\xff\xfe",
    b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xb2\x80", b"\xf0\x9f\x98\x80", b"\xe2\x80\xae", b"\xe2\x80\xa8",
    b"\x1b[2J", b"=", b"[", b"]", b"{", b"}", b"(", b")", b",", b":", b".", b"#", b"%s", b"%n", b"{0}",
    b"<script>", b"&lt;",
)  # fmt: skip
_WIDTHS = (1, 1, 2, 2, 4, 4, 4, 8)
_BINARY = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    1000,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
)


class Mutator:
    """Mutations of the inputs of a target.

    Parameters
    ----------
    target : Target
        Its seeds, words and forms are used.
    """

    def __init__(self, target: Target) -> None:
        self.seeds = list(target.seeds())
        self._words, self._forms = target.words, target.forms

    def input(self, rng: random.Random) -> bytes:
        """Return a mutated seed; equal generators give equal inputs."""
        data = rng.choice(self.seeds)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
            data = self.once(data, rng)
        return data

    def once(self, data: bytes, rng: random.Random) -> bytes:
        """Apply one mutation."""
        plain = rng.choice(_PLAIN)
        if self._forms and rng.random() < 0.6:
            form: Form = rng.choice(self._forms)
            try:
                return form(data, rng, lambda part: plain(part, rng, self.seeds, self._words))[:LONGEST]
            except ValueError:
                pass
        return plain(data, rng, self.seeds, self._words)[:LONGEST]


def _place(data: bytes, rng: random.Random) -> int:
    """Return a position; half of them are near the beginning, where the headers are."""
    return rng.randrange(min(len(data), 512) + 1) if rng.random() < 0.5 else rng.randrange(len(data) + 1)


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    begin = _place(data, rng)
    return begin, min(len(data), begin + rng.choice((1, 1, 2, 4, 8, 16, 64, 256, 4096)))


def _flip(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4)) if data else 0):
        changed[min(_place(data, rng), len(data) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(data, rng)
    return data[:begin] if rng.random() < 0.3 else data[:begin] + data[end:]


def _insert(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(data, rng)
    piece = rng.choice(words) if words and rng.random() < 0.6 else rng.choice((*_PIECES, rng.randbytes(4)))
    return data[:begin] + piece + data[end if rng.random() < 0.3 else begin :]


def _repeat(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(data, rng)
    piece = rng.choice(words) if words and rng.random() < 0.2 else data[begin:end]
    times = min(rng.choice((2, 3, 10, 100, 1000, 20000)), LONGEST // max(1, len(piece)))
    return data[:begin] + piece * times + data[end:]


def _splice(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    other = rng.choice(list(seeds))
    begin, end = _span(other, rng)
    at, to = _span(data, rng)
    return data[:at] + (other[begin:] if rng.random() < 0.3 else other[begin:end] + data[to:])


def _move(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(data, rng)
    piece, rest = data[begin:end], data[:begin] + data[end:]
    at = _place(rest, rng)
    return rest[:at] + piece + rest[at:]


def _number(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Replace a number written in digits by an extreme one."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return _binary(data, rng, seeds, words)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(_TEXTS) + data[match.end() :]


def _binary(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Replace bytes by an extreme number in either byte order."""
    width = rng.choice(_WIDTHS)
    at = _place(data, rng)
    value = rng.choice(_BINARY) + rng.choice((-1, 0, 0, 1))
    number = (value % 2 ** (8 * width)).to_bytes(width, rng.choice(("little", "big")))
    return data[:at] + number + data[at + width :]


def _line(data: bytes, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Repeat, remove or exchange lines."""
    lines = data.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = (lines[b], lines[a]) if rng.random() < 0.5 else (lines[b], lines[b])
    if rng.random() < 0.3:
        del lines[a]
    return b"\n".join(lines)


_PLAIN = (_flip, _flip, _cut, _insert, _repeat, _splice, _move, _number, _number, _binary, _line)
