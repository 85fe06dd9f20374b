"""Notes on what was guessed, converted or left out while reading images, each kind reported once."""

from __future__ import annotations

from collections.abc import Callable

from lstm2d.shown import shown

Listener = Callable[[str], None]


class Notes:
    """Collects notes about images; the first of each kind is reported, the others are counted.

    Parameters
    ----------
    listener : callable, optional
        Gets a line for the first note of each kind. May be replaced.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.listener = listener
        self._counts: dict[str, int] = {}

    def add(self, text: str, where: object) -> None:
        """Add a note.

        Parameters
        ----------
        text : str
            What was guessed, converted or left out: one line without the name of the image. Equal texts are
            of one kind.
        where : object
            The image it is about.
        """
        self._counts[text] = self._counts.get(text, 0) + 1
        if self._counts[text] == 1 and self.listener is not None:
            self.listener(f"{shown(where)}: {text}")

    def summary(self) -> list[str]:
        """Return a line for each kind of note that applies to more than one image."""
        return [f"{count} images: {text}" for text, count in self._counts.items() if count > 1]

    def counts(self) -> dict[str, int]:
        """Return the number of images for each kind of note, in order of first occurrence."""
        return dict(self._counts)
