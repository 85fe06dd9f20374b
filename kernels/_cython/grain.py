"""Choose the number of threads for a small amount of work."""

from __future__ import annotations

from lstm2d.kernels.threads import get_num_threads

GRAIN = 1 << 15  # values per thread: about 10 microseconds, as much as waking a thread


def threads_for(values: int) -> int:
    """Return the number of threads for a pass over an array.

    Parameters
    ----------
    values : int
        Number of values that are written, or an equal amount of work.

    Returns
    -------
    int
        At least 1, at most `threads.get_num_threads()`.
    """
    return max(1, min(get_num_threads(), values // GRAIN))
