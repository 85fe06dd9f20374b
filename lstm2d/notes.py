"""Notes: what was guessed, converted or left out while images were read, each kind reported once."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str], None]


class Notes:
    """Collects notes about images; the first of each kind is reported, the others are counted.

    Parameters
    ----------
    listener : callable, optional
        Gets a line when a note of a new kind comes in. May be replaced.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.listener = listener
        self._counts: dict[str, int] = {}

    def add(self, text: str, where: object) -> None:
        """Take a note.

        Parameters
        ----------
        text : str
            What was guessed, converted or left out: one line without the name of the image. Equal texts are
            one kind.
        where : object
            The image it is about.
        """
        self._counts[text] = self._counts.get(text, 0) + 1
        if self._counts[text] == 1 and self.listener is not None:
            self.listener(f"{where}: {text}")

    def summary(self) -> list[str]:
        """Return a line for each kind of note that more than one image has given."""
        return [f"{count} images: {text}" for text, count in self._counts.items() if count > 1]

    def counts(self) -> dict[str, int]:
        """Return how many images have given each kind of note, in the order of their first."""
        return dict(self._counts)
