"""All targets, in groups that take about the same time."""

from __future__ import annotations

from importlib import import_module

from tests.reliability.fuzz.target import Target

GROUPS = ("models", "images", "datasets", "weights", "annotations", "records")


def targets_of(group: str) -> tuple[Target, ...]:
    """Return the targets of a group; its readers are imported only then."""
    found: tuple[Target, ...] = import_module(f"tests.reliability.fuzz.targets.{group}").TARGETS
    return found
