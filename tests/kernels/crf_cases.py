"""Inputs for which no backend builds a lattice, and a part of the message."""

import numpy as np

WRONG_FEATURES = [
    (np.zeros(3), "expected"),
    (np.zeros((3, 0)), "expected"),
    (np.zeros((3, 17)), "expected"),
    (np.array([[np.nan]]), "not finite"),
    (np.array([[np.inf, 0]]), "not finite"),
    (np.array([[0, -np.inf]]), "not finite"),
    (np.array([[2e8]]), "not finite, or beyond"),
]
