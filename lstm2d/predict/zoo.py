"""Find model files, also in run folders and in the package."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from lstm2d.errors import DataError

MODEL_IN_RUN = "model.safetensors"
ZOO = Path(__file__).parents[1] / "zoo"


def bundled_models() -> dict[str, Path]:
    """Return the bundled models.

    Returns
    -------
    dict of str to Path
        Name and file, sorted by name.
    """
    return {path.stem: path for path in sorted(ZOO.glob("*.safetensors"), key=lambda p: p.stem)}


def model_name(path: str | os.PathLike[str]) -> str:
    """Return the name of a model file.

    Parameters
    ----------
    path : str or path
        From `find_model`.

    Returns
    -------
    str
        The folder's name for the model of a run, else the file's name without its ending.
    """
    full = Path(os.path.abspath(path))
    return full.parent.name if full.name == MODEL_IN_RUN else full.stem


def find_model(path_or_name: str | os.PathLike[str]) -> Path:
    """Return the path of a model file.

    Parameters
    ----------
    path_or_name : str or path
        A model file, the folder of a run, or the name of a bundled model. A bundled model takes precedence
        over a file or folder of the same name; use ``./outdoor`` or a Path object for that.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If there is no such model.
    """
    bundled = bundled_models()
    path = Path(path_or_name)
    # a Path has no "./" that distinguishes a folder from a name: an existing path takes precedence
    is_name = isinstance(path_or_name, str) or not os.path.lexists(path)
    if is_name and os.fspath(path_or_name) in bundled:
        return bundled[os.fspath(path_or_name)]
    expected = f"a model file, the folder of a run, or one of: {', '.join(bundled) or 'no model is bundled'}"
    if os.path.isdir(path):
        if os.path.isfile(path / MODEL_IN_RUN):
            return path / MODEL_IN_RUN
        raise DataError(f"no {MODEL_IN_RUN} in this folder", where=path, expected=expected)
    if not os.path.exists(path):
        close = get_close_matches(str(path_or_name), bundled, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`lstm2d models` lists what comes with the package"
        raise DataError("no such model", where=path_or_name, expected=expected, hint=hint)
    return path
