"""A trained model in one line."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence

COLUMNS = 80  # of a terminal
NAME = 24  # most columns of a model's name


def in_words(kind: str, name: str, facts: Sequence[str], classes: Sequence[str]) -> str:
    """Describe a model in at most 80 columns.

    Parameters
    ----------
    kind : str
        Its Python type.
    name : str
        Its name, if it has one; a long one is cut.
    facts : sequence of str
        What else to say, in a few words.
    classes : sequence of str
        Names of its classes; as many as fit.

    Returns
    -------
    str
        Such as ``<Predictor outdoor: 8 classes (sky, tree, road, ...), 177,530 parameters>``.

    Examples
    --------
    >>> in_words("Predictor", "pets", ["9 parameters"], ["cat", "dog"])
    '<Predictor pets: 2 classes (cat, dog), 9 parameters>'
    """
    count = f"{len(classes)} class{'es' * (len(classes) != 1)}"
    text, most = "", min(len(classes), COLUMNS // 2)
    for limit, shown in itertools.product(range(NAME, 3, -1), range(most, -1, -1)):
        begin = f"{kind} {_cut(_plain(name), limit)}" if name else kind
        listed = [_plain(item) for item in classes[:shown]] + ["..."] * (shown < len(classes))
        named = f"{count} ({', '.join(listed)})" if shown else count
        text = f"<{begin}: {', '.join([named, *facts])}>"
        if _columns(text) <= COLUMNS:
            break
    return text


def _plain(text: str) -> str:
    """Return a text without characters that would break a line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _cut(text: str, columns: int) -> str:
    if _columns(text) <= columns:
        return text
    while _columns(text) > columns - 3:
        text = text[:-1]
    return f"{text}..."


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
