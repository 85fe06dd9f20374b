"""Memory that is handed out again."""

import numpy as np

from lstm2d.kernels.arena import ALIGNMENT, ROOM, SMALL, Arena, clear, empty, is_sole

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
