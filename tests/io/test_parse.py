"""Limits that are checked before TOML and JSON are parsed."""

import json
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.io.parse import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_PARTS,
    MAX_TOML,
    MAX_WORD,
    BadText,
    parse_json,
    parse_toml,
    shortened,
    some_of,
)

ITEMS = "1979-05-27,"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a." * 20_000 + "a = 1", "a key of more than 16 parts"),
        ('"a" . ' * 20_000 + "a = 1", "a key of more than 16 parts"),
        ("x = 1\n[" + "a." * 20_000 + "a]", r"a key of more than 16 parts \(at line 2\)"),
        ("x = {" + "a." * 20_000 + "a = 1}", "a key of more than 16 parts"),
        ("a = " + "[" * 20_000, "nested more than 64 deep"),
        ("a = " + "{b=" * 20_000, "nested more than 64 deep"),
        ("a = " + "1" * 5000, "a key or number of more than 200 characters"),
        ("a = 0x" + "f" * 5000, "a key or number of more than 200 characters"),
        ("k" * 5000 + " = 1", "a key or number of more than 200 characters"),
        ('"' + "k" * 5000 + '" = 1', "a key of more than 200 characters"),
        ('[[a]]\nb = [{"' + "k" * 5000 + '" = 1}]', "a key of more than 200 characters"),
        ("".join(f"k{k} = 1\n" for k in range(30_000)), "more than 10000 keys"),
        ("".join(f"[t{k}]\n" for k in range(30_000)), "more than 10000 keys"),
        ("[[t]]\n" * 30_000, "more than 10000 keys"),
        ("a = [" + ITEMS * 80_000 + "]", "or 50000 values"),
        ("#" * 2**20 + "#", "1048577 characters, at most 1048576 are read"),
        ("a = '" + "\\" * 10**6, "Expected"),
        ('a = """' + '\\"' * 10**5, "Unterminated"),
        ("a = 1 1", "Expected newline"),
    ],
)
def test_toml_beyond_a_limit(text: str, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadText, match=message):
            parse_toml(text)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_toml_within_the_limits() -> None:
    """Signs in strings and comments count for nothing."""
    signs = "[{." * 100 + "=," + "w" * 300
    text = (
        f'# {signs}\na.b.c = \'{signs}\' # {signs}\nd = "\\"{signs}"\n'
        f'e = """\n"{signs}""\\"""" """""\nf = \'\'\'\n\'{signs}\'\'\'\'\n'
    )
    text = text.replace(' """""\n', '"\n')
    values = parse_toml(text)
    assert values["a"] == {"b": {"c": signs}}
    assert values["d"] == '"' + signs
    assert values["e"].startswith(f'"{signs}')
    assert values["f"] == f"'{signs}'"
    deep = "x = " + "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_toml(deep) == {"x": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}
    key = ".".join("k" * MAX_PARTS)
    assert parse_toml(f"{key} = 1")
    assert parse_toml(f"{'k' * MAX_WORD} = {'1' * MAX_WORD}")
    assert parse_toml("#" * MAX_TOML) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 10**6, "nested more than 64 deep"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested more than 64 deep"),
        ('["' + "\\\\" * 300_000 + '",' + '"\\""' + "," + "[" * 70, "nested more than 64 deep"),
        ("[" + "1" * 5000 + "]", "a number of more than 300 digits"),
        ("[0." + "1" * 5000 + "]", "a number of more than 300 digits"),
        ('["' + "a" * (2**20 - 100) + '",' + "1" * 400 + "]", "a number of more than 300 digits"),
        (b"[" + b"1" * 301 + b"]", "a number of more than 300 digits"),
        (json.dumps([10**350]).encode("utf-16"), "a number of more than 300 digits"),
        (b'"\xff', "can't decode"),
        ("[1", "Expecting"),
    ],
)
def test_json_beyond_a_limit(text: str | bytes, message: str) -> None:
    with pytest.raises(BadText, match=message):
        parse_json(text)


@pytest.mark.parametrize("length", [2**20 - 4, 2**20 - 3, 2**20 - 2, 2**20 - 1, 2**20])
@pytest.mark.parametrize("end", ["", "\\", "\\\\", '"', '\\"', "1"])
def test_a_string_is_followed_across_parts(length: int, end: str) -> None:
    """Brackets and digits in strings do not count, wherever the parts of a long text are cut."""
    value = ["[" * (length // 2) + "1" * (length - length // 2) + end, 10**MAX_DIGITS // 10, "{" * 100]
    assert parse_json(json.dumps(value)) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('"\\[]{}a\u20ac\ud800'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('"\\[]{}'), inner),
)


@given(JSON, st.booleans())
def test_valid_json_is_parsed(value: object, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only)) == value


def test_a_hook_gets_each_object() -> None:
    assert parse_json('[{"a": {"b": 1}}]', hook=len) == [1]


def test_many_problems_are_counted() -> None:
    assert some_of(map(str, range(10))) == [str(k) for k in range(10)]
    assert some_of(map(str, range(20_000)))[-2:] == ["9", "and 19990 more"]
    assert shortened("a" * 1000) == "a" * 97 + "..."


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def test_json_is_checked_in_linear_time() -> None:
    outline = ", ".join(["239.97"] * 30)
    entry = f'{{"segmentation": [[{outline}]], "area": 1.5, "iscrowd": 0, "id": 17}}'
    text = "[" + ", ".join([entry] * 20_000) + "]"  # 5 MB
    from lstm2d.io.parse import check_json

    assert seconds(lambda: check_json(text)) < 2
