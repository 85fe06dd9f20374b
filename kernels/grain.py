"""How many threads are worth it for a small piece of work."""

from __future__ import annotations

from lstm2d.kernels.threads import get_num_threads

GRAIN = 1 << 15  # values a thread should have to itself: some 10 microseconds, what waking a thread costs


def threads_for(values: int) -> int:
    """Return the number of threads for a pass over some values.

    Parameters
    ----------
    values : int
        How many are written, or as much work as that.

    Returns
    -------
    int
        At least 1, at most what `threads.get_num_threads` says.
    """
    return max(1, min(get_num_threads(), values // GRAIN))
