"""Test cases of every operation, and the self-test that runs some of them."""

from lstm2d.selftest.case import Case, evaluate, typed
from lstm2d.selftest.cases import CASES
from lstm2d.selftest.doctor import Check, timed

__all__ = ["CASES", "Case", "Check", "evaluate", "timed", "typed"]
