"""Numerical kernels. Import only this package, never a backend folder."""

from lstm2d.kernels import arena, threads
from lstm2d.kernels.dispatch import available, pick, use

__all__ = ["arena", "available", "pick", "threads", "use"]
