"""Errors of one process of a run, raised again in another one."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from lstm2d.errors import ConfigError, DataError, Lstm2dError, OutputError
from lstm2d.training.step import NotFiniteError

KINDS: dict[str, type[Lstm2dError]] = {kind.__name__: kind for kind in (ConfigError, DataError, OutputError)}


class Elsewhere(Exception):
    """The cause of an error that another process has raised: its traceback there."""


def packed(error: Exception) -> dict[str, Any]:
    """Return what another process needs to raise an error.

    Parameters
    ----------
    error : Exception
        The error.

    Returns
    -------
    dict
        For JSON; `unpacked` takes it.
    """
    found: dict[str, Any] = {
        "kind": type(error).__name__,
        "traceback": "".join(traceback.format_exception(error)),
    }
    match error:
        case Lstm2dError():
            where = None if error.where is None else str(error.where)
            return found | {
                "what": error.what,
                "where": where,
                "expected": error.expected,
                "hint": error.hint,
            }
        case NotFiniteError():
            return found | {"names": error.names, "layer": error.layer}
        case OSError() if error.errno is not None:
            name = None if error.filename is None else str(error.filename)
            return found | {"errno": error.errno, "strerror": error.strerror, "filename": name}
    return found | {"text": str(error)}


def unpacked(values: Mapping[str, Any], rank: int) -> Exception:
    """Return the error of another process.

    Parameters
    ----------
    values : mapping
        From `packed`.
    rank : int
        Rank of that process, for messages.

    Returns
    -------
    Exception
        Of the same kind if that determines what follows: the exit code, what is written about it. Its cause
        holds the traceback.
    """
    error = _unpacked(values, rank)
    error.__cause__ = Elsewhere(f"on rank {rank}:\n{values['traceback']}")
    return error


def _unpacked(values: Mapping[str, Any], rank: int) -> Exception:
    kind = values["kind"]
    if "what" in values:
        known = KINDS.get(kind, Lstm2dError)
        return known(values["what"], where=values["where"], expected=values["expected"], hint=values["hint"])
    if "names" in values:
        return NotFiniteError(values["names"], values["layer"])
    if "errno" in values:
        return OSError(values["errno"], values["strerror"], values["filename"])
    if kind == "MemoryError":
        return MemoryError(values["text"])
    return RuntimeError(f"{kind} on rank {rank}: {values['text']}")
