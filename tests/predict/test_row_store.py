"""Rows are kept in little memory, and come back as they were."""

import tracemalloc

import numpy as np

from lstm2d.predict.row_store import BLOCK, RowStore


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
    tracemalloc.start()
    for k in range(BLOCK, 31 * BLOCK):
        store.add(row(k))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown / (30 * BLOCK) < 400  # bytes; a dictionary of the cells takes about 2000
