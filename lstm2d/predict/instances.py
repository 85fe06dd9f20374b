"""The pixels and instances that a prediction computes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lstm2d.errors import ConfigError

Instances = int | str | Iterable[int | str] | None


def parse_resolution(value: object) -> int:
    """Parse a resolution given by the user.

    Parameters
    ----------
    value : object
        "1", or "1/2", "1/4" and so on; or the number of pixels from one label to the next: 1, 2, 4.

    Returns
    -------
    int
        That number.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = re.fullmatch(r"1(?:/([1-9]\d{0,4}))?", value) if isinstance(value, str) else None
    if found is None:
        raise ConfigError(
            f"`resolution` {value!r}",
            expected="1, 1/2, 1/4, 1/8, 1/16 or 1/32",
            hint="1/4 labels one pixel in 4x4",
        )
    return int(found[1] or 1)


def parse_instances(value: Instances) -> tuple[int, ...]:
    """Parse numbers of instances given by the user.

    Parameters
    ----------
    value : int, str, iterable of these or None
        One number, several, or a text such as "1,2,3"; None for the default of the model.

    Returns
    -------
    tuple of int
        Ascending, each once; empty for the default.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if value is None:
        return ()
    several = value.split(",") if isinstance(value, str) else value
    parts = [*several] if isinstance(several, Iterable) else [several]
    numbers = {int(part) for part in parts if re.fullmatch(r"\s*[1-9]\d{0,4}\s*", str(part))}
    if not parts or len(numbers) < len(parts):
        raise ConfigError(
            f"`instances` {value!r}",
            expected="numbers from 1 on, each once, such as 2 or 1,2,3",
            hint="3 gives the labels after three instances; 1,2,3 also those after one and two",
        )
    return tuple(sorted(numbers))
