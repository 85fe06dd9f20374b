"""Digests of files and settings."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.errors import DataError
from lstm2d.predict.fingerprint import Fingerprint
from lstm2d.predict.settings_text import changed_keys, settings_text

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers())
)
SETTINGS = st.dictionaries(st.from_regex("[a-z]{1,3}(_[a-z])?", fullmatch=True), VALUES)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    found = Fingerprint.of(path)
    assert found.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert found.size == 3
    assert found.mtime_ns == path.stat().st_mtime_ns
    assert Fingerprint.parse(str(found)) == found


def test_what_counts_is_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    known = Fingerprint.of(path)
    with monkeypatch.context() as patch:  # as long as size and times are the same, it is not read
        patch.setattr("lstm2d.predict.fingerprint.open_regular", None)
        assert known.refreshed(path) is known
    os.utime(path, (5, 5))
    fresh = known.refreshed(path)
    assert fresh is not None
    assert (fresh.sha256, fresh.mtime_ns) == (known.sha256, 5 * 10**9)
    path.write_bytes(b"abd")
    assert known.refreshed(path) is None
    path.write_bytes(b"abcd")
    assert known.refreshed(path) is None
    path.unlink()
    assert known.refreshed(path) is None
    os.mkfifo(path)
    assert known.refreshed(path) is None


@pytest.mark.parametrize("text", ["", "earlier", "sha256:ab 1 2 3", "sha256:" + "0" * 64 + " 1 2"])
def test_other_texts_are_no_fingerprints(text: str) -> None:
    assert Fingerprint.parse(text) is None


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        Fingerprint.of(tmp_path / "nowhere")


def test_settings_as_text() -> None:
    text = settings_text(
        {"size": "auto", "crf.theta": 61.0, "background": (255, 0, 7), "bits": None, "t": "a b"}
    )
    assert text == 'background=[255,0,7] bits=null crf.theta=61.0 size=auto t="a b"'
    other = settings_text(
        {"size": 320, "crf.theta": 61.0, "background": (255, 0, 7), "bits": None, "t": "a c"}
    )
    assert changed_keys(text, other) == ["size", "t"]
    assert changed_keys("crf=off size=auto", "crf.theta=1 crf.exact=true size=auto") == ["crf"]
    assert changed_keys(text, "") == ["background", "bits", "crf.theta", "size", "t"]


@given(SETTINGS, SETTINGS)
def test_settings_differ_where_their_values_do(one: dict[str, object], other: dict[str, object]) -> None:
    def same(key: str) -> bool:
        return key in one and key in other and repr(one[key]) == repr(other[key])

    changed = changed_keys(settings_text(one), settings_text(other))
    assert changed == sorted(key for key in one.keys() | other.keys() if not same(key))
    assert changed_keys(settings_text(one), settings_text(dict(reversed(one.items())))) == []
