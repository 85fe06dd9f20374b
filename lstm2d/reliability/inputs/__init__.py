"""Bad and unusual inputs, what the commands must do with them, and a driver."""

from lstm2d.reliability.inputs.case import COMMANDS, Case, Expected, Place
from lstm2d.reliability.inputs.drive import Outcome, Program, Ran, run_cases
from lstm2d.reliability.inputs.table import CASES, choose

__all__ = [
    "CASES",
    "COMMANDS",
    "Case",
    "Expected",
    "Outcome",
    "Place",
    "Program",
    "Ran",
    "choose",
    "run_cases",
]
