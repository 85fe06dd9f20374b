"""Images that are larger than they say are refused, or read, with little memory and time."""

import re
from typing import Any

import pytest

from lstm2d.reliability.inputs.bombs import BOMBS
from tests.io.hostile import outcomes

MOST_MEMORY = 220  # MiB; a process takes 35, one that reads the tag of 20,000,000 numbers 150
MOST_SECONDS = 5  # of CPU time, each


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what reading each bomb gave, in one child process."""
    folder = tmp_path_factory.mktemp("bombs")
    for bomb in BOMBS:
        (folder / bomb.name).write_bytes(bomb.make())
    return outcomes(folder)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_bomb(read: dict[str, dict[str, Any]], bomb: Any) -> None:
    found = read[bomb.name]
    error = found["read_photo"]["error"]
    if bomb.message:
        assert error is not None
        assert re.search(bomb.message, error.partition("\n")[0])
        assert bomb.name in error
        assert found["open_mask"]["error"] is not None
    else:
        assert error is None
    for reader in ("read_photo", "open_mask", "read_header"):
        assert found[reader]["peak"] < MOST_MEMORY
        assert found[reader]["seconds"] < MOST_SECONDS
