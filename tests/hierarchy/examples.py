"""Small hierarchies."""

from lstm2d.hierarchy.hierarchy import Hierarchy, Subclass


def clusters() -> Hierarchy:
    """Return three classes, the first with two clusters of label maps, the second without."""
    return Hierarchy(
        method="lc",
        dataset="toy",
        classes=("sky", "tree", "road"),
        common=(0, 1),
        subclasses=(
            Subclass("sky 1", 0, 30, (1.0, 0.25, 0.1)),
            Subclass("sky 2", 0, 20, (0.3, 0.7, 0.1 + 0.2)),
            Subclass("tree", 1, 25),
            Subclass("road", 2, 5),
        ),
        window=129,
        settings={"rho": 93.0, "seed": 0, "fill_with": None, "before_filling": (1, 2)},
    )


def scenes() -> Hierarchy:
    """Return three classes, two of them divided by scene."""
    return Hierarchy(
        method="sn",
        dataset="toy",
        classes=("sky", "tree", "road"),
        common=(0, 2),
        subclasses=(
            Subclass("sky / coast", 0, 30, group=0),
            Subclass("sky / street", 0, 20, group=1),
            Subclass("tree", 1, 2),
            Subclass("road / coast", 2, 5, group=0),
            Subclass("road / street", 2, 5, group=1),
        ),
        images={"a": 0, "b\udcff": 1},
        groups=("coast", "street"),
    )
