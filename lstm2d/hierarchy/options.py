"""Options of building a label hierarchy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lstm2d.errors import ConfigError
from lstm2d.hierarchy.hierarchy import METHODS, Method, Setting
from lstm2d.random import MAX_SEED


@dataclass(frozen=True)
class Options:
    """How a hierarchy is built.

    Parameters
    ----------
    method : {"sn", "lc", "ic"}
        Scene names, clusters of label maps, or clusters of whole images.
    rho : float, default 93
        The most frequent classes that together have more than this share of the superpixels, in percent, are
        common.
    window : int or None, default 129
        Method lc: side of the window whose labels are counted, odd; None for the whole image.
    nstar_factor : float, default 0.2
        Method lc: a cluster needs more samples than the largest rare class, times this. 1 is Algorithm 1 as
        printed.
    k_factor : float, default 1
        Method lc: multiplies the number of clusters of each class.
    seed : int, default 0
        Seed for the starts of k-means.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    method: Method
    rho: float = 93.0
    window: int | None = 129
    nstar_factor: float = 0.2
    k_factor: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        window = self.window
        checks: dict[str, tuple[object, bool, str]] = {
            "method": (self.method, self.method in METHODS, ", ".join(METHODS)),
            "rho": (self.rho, 0 < self.rho <= 100, "a percentage above 0, at most 100, such as 93"),
            "window": (
                window,
                window is None or (window >= 3 and window % 2 == 1),
                "an odd number of pixels, at least 3, or image",
            ),
            "nstar_factor": (self.nstar_factor, 0 <= self.nstar_factor < np.inf, "0 or more, such as 0.2"),
            "k_factor": (self.k_factor, 0 < self.k_factor <= 10, "above 0, at most 10"),
            "seed": (self.seed, 0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
        }
        for name, (value, good, expected) in checks.items():
            if not good:
                raise ConfigError(f"`{name}` out of range", where=value, expected=expected)

    def settings(self) -> dict[str, Setting]:
        """Return the options that the method uses, besides the window."""
        found: dict[str, Setting] = {"rho": self.rho, "seed": self.seed}
        if self.method == "lc":
            found |= {"nstar_factor": self.nstar_factor, "k_factor": self.k_factor}
        return found
