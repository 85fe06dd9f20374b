"""Classes and subclasses."""

from tests.hierarchy.examples import clusters, scenes


def test_subclasses_and_classes() -> None:
    hierarchy = clusters()
    assert hierarchy.n == 4
    assert hierarchy.parents.tolist() == [0, 0, 1, 2]
    assert hierarchy.membership.tolist() == [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_each_subclass_belongs_to_one_class() -> None:
    assert scenes().membership.sum(axis=0).tolist() == [1] * scenes().n
