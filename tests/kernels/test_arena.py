"""Reuse of memory by the arena."""

import os

import numpy as np
import pytest

from lstm2d.kernels import arena as module
from lstm2d.kernels.arena import ALIGNMENT, ROOM, SMALL, Arena, clear, empty, is_sole
from tests.callers import at_once, restless

VALUES = SMALL  # of one byte: enough for a block


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_alignment_and_shape() -> None:
    array = Arena().empty((3, SMALL + 1), np.float32)
    assert address(array) % ALIGNMENT == 0
    assert array.shape == (3, SMALL + 1)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous


def test_held_memory_is_not_handed_out() -> None:
    arena = Arena()
    a = arena.empty((VALUES,), np.uint8)
    view = a.reshape(2, -1)[1, 5:]
    start = address(a)
    del a
    assert address(arena.empty((VALUES,), np.uint8)) != start
    del view
    assert address(arena.empty((VALUES,), np.uint8)) == start


def test_the_smallest_block_that_fits() -> None:
    arena = Arena()
    large, medium, small = (arena.empty((k * VALUES,), np.uint8) for k in (ROOM, 3, 1))
    starts = [address(large), address(medium), address(small)]
    del large, medium, small
    assert address(arena.empty((2 * VALUES,), np.uint8)) == starts[1]
    a = arena.empty((VALUES,), np.uint8)
    b = arena.empty((VALUES,), np.uint8)
    c = arena.empty((VALUES,), np.uint8)
    assert [address(a), address(b), address(c)] == [starts[2], starts[1], starts[0]]


def test_a_block_far_too_large_is_left_alone() -> None:
    arena = Arena()
    large = arena.empty(((ROOM + 1) * VALUES,), np.uint8)
    start = address(large)
    del large
    assert address(arena.empty((VALUES,), np.uint8)) != start


def test_a_new_block_replaces_the_largest_unused_one_that_is_too_small() -> None:
    arena = Arena()
    held = arena.empty((7 * VALUES,), np.uint8)
    blocks = [arena.empty((k * VALUES,), np.uint8) for k in (6, 2, 1)]
    del blocks
    large = arena.empty((ROOM * 2 * VALUES,), np.uint8)
    sizes = [block.nbytes - ALIGNMENT for block in arena._blocks]
    assert sizes == [k * VALUES for k in (7, 2, 1, 2 * ROOM)]
    assert len({address(held), address(large)}) == 2
    del large
    again = arena.empty((ROOM * 2 * VALUES,), np.uint8)  # exists now, so nothing is replaced
    assert [block.nbytes - ALIGNMENT for block in arena._blocks] == sizes
    arena.empty((ROOM * 3 * VALUES,), np.uint8)  # 2 and 1 are far too small to serve in its place
    assert [block.nbytes - ALIGNMENT for block in arena._blocks] == [*sizes, ROOM * 3 * VALUES]
    assert address(again) != address(held)


def test_unused_blocks_are_limited() -> None:
    arena = Arena(limit=2 * VALUES)
    for k in range(1, 9):
        arena.empty((k * VALUES,), np.uint8)
    assert sum(block.nbytes for block in arena._blocks) <= 2 * VALUES + 8 * (VALUES + ALIGNMENT)


def test_clear_keeps_what_is_held() -> None:
    arena = Arena()
    held = arena.empty((VALUES,), np.uint8)
    held[...] = 7
    arena.empty((VALUES,), np.uint8)
    arena.clear()
    assert len(arena._blocks) == 1
    assert (held == 7).all()


def test_sole_holder() -> None:
    clear()
    for array in (
        np.ones(4),
        np.ones((2, 2)).reshape(4),
        empty((VALUES,), np.uint8),
        empty((4,), np.float32),
    ):
        own = array.copy()
        assert is_sole(own)
        assert not is_sole(array)  # the tuple holds it too
    del array
    block = empty((VALUES,), np.uint8)
    assert is_sole(block)
    view = block[1:]
    assert not is_sole(view)
    assert not is_sole(block)
    del block
    assert is_sole(view)
    foreign = np.frombuffer(bytearray(8), np.uint8)
    assert not is_sole(foreign)


def overwritten(arena: Arena, threads: int, rounds: int) -> int:
    """Return how often an array of one thread contained values of another thread."""
    held = [arena.empty((VALUES,), np.uint8) for _ in range(100)]  # a long search

    def work(k: int) -> int:
        wrong = 0
        for _ in range(rounds):
            array = arena.empty((VALUES,), np.uint8)
            array[0] = k
            wrong += sum(int(array[0]) != k for _ in range(10))
        return wrong

    with restless():
        assert len(held) == 100
        return sum(at_once(threads, work))


def test_one_block_is_never_given_to_two_threads() -> None:
    arena = Arena()
    assert overwritten(arena, 4, 1000) == 0
    assert len(arena._blocks) <= 100 + 2 * 4  # no more than are in use at once


def test_blocks_of_other_threads_stay_when_others_are_freed() -> None:
    arena = Arena(limit=0)  # every search that finds no memory frees unused blocks

    def work(k: int) -> bool:
        held = arena.empty((VALUES,), np.uint8)
        held[:] = k
        for turn in range(1, 200):
            arena.empty((VALUES * turn,), np.uint8)
            arena.clear()
        return bool((held == k).all())

    with restless():
        assert all(at_once(4, work))


def test_without_exact_reference_counts_nothing_is_handed_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on free-threaded Python, where it is not known whether a block is free."""
    arena = Arena()
    monkeypatch.setattr(module, "_counts_are_exact", lambda: False)
    starts = {address(arrays) for arrays in [arena.empty((VALUES,), np.uint8) for _ in range(5)]}
    assert len(starts) == 5
    assert arena._blocks == []
    array = arena.empty((VALUES,), np.float32)
    assert address(array) % ALIGNMENT == 0
    assert not array.any()
    own = np.ones(4)
    assert not is_sole(own)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_search_of_another_thread_does_not_hang_a_child() -> None:
    arena = module._arena
    with arena._searching:  # as if held by a thread that the child does not have
        child = os.fork()
        if child == 0:
            os._exit(0 if arena._searching.acquire(blocking=False) else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_a_single_large_image_leaves_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 4 * VALUES)
    arena = Arena()

    def image(*sizes: int) -> None:
        held = [arena.empty((size * VALUES,), np.uint8) for size in sizes]
        del held
        arena.settle()

    def kept() -> list[int]:
        return sorted((block.nbytes - ALIGNMENT) // VALUES for block in arena._blocks)

    image(1, 2)
    assert kept() == [1, 2]
    image(30, 40)  # more than the image before: it may be the only one
    assert sum(kept()) <= 4
    image(30, 40)  # the second in a row
    assert kept()[-2:] == [30, 40]
    starts = {address(block) for block in arena._blocks}
    image(30, 40)
    assert {address(block) for block in arena._blocks} == starts
    image(1, 2)  # again small ones
    assert sum(kept()) <= 4
    assert arena.footprint() == sum(block.nbytes for block in arena._blocks)


def test_memory_in_use_is_never_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 0)
    arena = Arena()
    held = arena.empty((9 * VALUES,), np.uint8)
    held[:] = 3
    arena.empty((VALUES,), np.uint8)
    arena.settle()
    assert len(arena._blocks) == 1
    assert address(arena.empty((9 * VALUES,), np.uint8)) != address(held)
    assert (held == 3).all()
