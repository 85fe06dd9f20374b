"""All cases."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from lstm2d.errors import ConfigError
from lstm2d.reliability.inputs.case import Case, names_of
from lstm2d.reliability.inputs.datasets import DATASETS
from lstm2d.reliability.inputs.images import IMAGES
from lstm2d.reliability.inputs.masks import MASKS
from lstm2d.reliability.inputs.models import MODELS
from lstm2d.reliability.inputs.names import NAMES
from lstm2d.reliability.inputs.outputs import OUTPUTS
from lstm2d.reliability.inputs.rows import OK, case
from lstm2d.reliability.inputs.settings import SETTINGS
from lstm2d.reliability.inputs.special import SPECIAL

CASES: tuple[Case, ...] = (
    case("nothing wrong", lambda place: None, check=OK, train=OK, evaluate=OK, predict=OK, pictures=True),
    *IMAGES,
    *MASKS,
    *DATASETS,
    *NAMES,
    *SPECIAL,
    *SETTINGS,
    *MODELS,
    *OUTPUTS,
)


def choose(names: Sequence[str]) -> list[Case]:
    """Return cases by their names.

    Parameters
    ----------
    names : sequence of str
        Names, or beginnings of names; none for all cases.

    Returns
    -------
    list of Case
        In the order of the table.

    Raises
    ------
    ConfigError
        If there is no such case.
    """
    known = names_of(CASES)
    for name in names:
        if not any(one.startswith(name) for one in known):
            close = get_close_matches(name, known, n=1, cutoff=0.3)
            raise ConfigError(
                f"no case {name!r}",
                expected="the beginning of a name",
                hint=f"try {close[0]!r}" if close else None,
            )
    return [one for one in CASES if not names or any(one.name.startswith(name) for name in names)]
