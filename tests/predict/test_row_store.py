"""Rows are kept in little memory, and come back as they were."""

import gc
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lstm2d.predict.packed import BLOCK, Packed
from lstm2d.predict.row_store import RowStore


def row(number: int, **more: str) -> dict[str, str]:
    digest = np.random.default_rng(number).bytes(32).hex()
    areas = {f"area {k}": f"{k / 7:.6f}" for k in range(8)}
    fixed = {"image": f"/a/long/folder/of/photographs/p{number:05}.png", "labels": f"p{number:05}.png"}
    return fixed | areas | {"image file": f"sha256:{digest} 656 {number}", "settings": "size=native"} | more


def test_rows_come_back() -> None:
    rows = [row(k, error=text) for k, text in enumerate(["", "a\nb", '"', "\udcff", "é", "=1"] * BLOCK)]
    store = RowStore(rows[:7])
    assert [store.add(added) for added in rows[7:]] == [False] * (len(rows) - 7)
    assert list(store) == rows
    assert list(store) == rows  # a second time


def test_a_later_row_replaces_an_earlier_one() -> None:
    store = RowStore(row(k) for k in range(BLOCK + 3))
    assert store.add(row(5, error="new"))
    assert store.add(row(BLOCK + 1, error="new"))
    assert not store.add(row(BLOCK + 3))
    found = list(store)
    order = [k for k in range(BLOCK + 3) if k not in (5, BLOCK + 1)]
    assert found == [
        *(row(k) for k in order),
        row(5, error="new"),
        row(BLOCK + 1, error="new"),
        row(BLOCK + 3),
    ]


def test_a_row_takes_little_memory() -> None:
    store = RowStore(row(k) for k in range(BLOCK))
    assert growth(store.add, map(row, range(BLOCK, 21 * BLOCK))) < 400 * 20 * BLOCK  # a dictionary takes 2000


def test_values_come_back_from_a_packed_list() -> None:
    packed, values = Packed(), [[f"/a/folder/p{k}.png", k] for k in range(2 * BLOCK + 5)]
    for value in values:
        packed.append(value)
    assert list(packed) == values
    grown = growth(packed.append, ([f"/a/folder/p{k:06}.png", k] for k in range(20 * BLOCK)))
    assert grown < 60 * 20 * BLOCK


def growth(add: Callable[[Any], object], values: Iterable[Any]) -> int:
    """Return how many bytes adding values takes."""
    tracemalloc.start()
    for value in values:
        add(value)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return grown
