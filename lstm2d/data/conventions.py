"""Ready-made dataset.toml files for the masks of well-known datasets."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources

from lstm2d.errors import ConfigError


def convention_names() -> list[str]:
    """Return the names of the conventions in the package, sorted."""
    return sorted(entry.name[:-5] for entry in _folder().iterdir() if entry.name.endswith(".toml"))


def convention(name: str) -> str:
    """Return the dataset.toml of a convention.

    Parameters
    ----------
    name : str
        One of `convention_names`.

    Returns
    -------
    str
        Its text; the first line is a comment that describes it.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    names = convention_names()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else None
        raise ConfigError("no such convention", where=name, expected=", ".join(names), hint=hint)
    return (_folder() / f"{name}.toml").read_text(encoding="utf-8")


def _folder() -> resources.abc.Traversable:
    return resources.files("lstm2d") / "data" / "conventions"
