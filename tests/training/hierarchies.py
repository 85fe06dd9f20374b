"""A label hierarchy of the tiny dataset, and configurations that use it."""

from dataclasses import replace
from pathlib import Path

from lstm2d.config import RunConfig, apply_overrides, from_dict
from lstm2d.hierarchy.file import save_hierarchy
from lstm2d.hierarchy.hierarchy import Hierarchy, Subclass
from tests.training.runs import Configure

CLUSTERS = Hierarchy(
    method="lc",
    dataset="tiny",
    classes=("dark", "bright", "red"),
    common=(0, 1),
    subclasses=(
        Subclass("dark 1", 0, 9, (0.98, 0.2, 0.0)),
        Subclass("dark 2", 0, 5, (0.7, 0.3, 0.6)),
        Subclass("bright 1", 1, 7, (0.2, 0.97, 0.0)),
        Subclass("bright 2", 1, 7, (0.8, 0.6, 0.0)),
        Subclass("red", 2, 6),
    ),
    window=5,
)
SCENES = replace(
    CLUSTERS,
    method="sn",
    subclasses=(
        Subclass("dark / day", 0, 9, group=0),
        Subclass("dark / night", 0, 5, group=1),
        Subclass("bright", 1, 7),
        Subclass("red", 2, 6),
    ),
    common=(0,),
    window=None,
    images={f"i{number}": number % 2 for number in range(5)},
    groups=("day", "night"),
)
RCNN = {"kind": "rcnn", "kernels": [4, 3], "pools": [2, 1], "channels": [4, 5], "loss": "mean"}
RENET = {"kind": "n-renet", "units": [4, 3], "patches": [2, 1]}
STAGES = {"sequential": 4, "hierarchical": 2}


def lengths(strategy: str, epochs: int = 1) -> str:
    """Return the setting for stages of the same number of epochs."""
    return f"hierarchy.epochs={[epochs] * STAGES[strategy]}"


def write(folder: Path, hierarchy: Hierarchy) -> tuple[str, ...]:
    """Write a hierarchy; return the settings that use it."""
    path = folder / "hierarchy.json"
    save_hierarchy(path, hierarchy)
    return (f"hierarchy.file={path}",)


def other_network(configure: Configure, model: dict[str, object]) -> Configure:
    """Return a function like `configure`, for another network."""

    def make(*overrides: str) -> RunConfig:
        table = configure().model_dump() | {"model": model}
        return apply_overrides(from_dict(table, "test"), overrides)

    return make
