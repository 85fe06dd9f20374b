"""Tables of several models fit the width."""

import itertools

import pytest

from lstm2d.cli.evaluation_tables import describe_several
from lstm2d.cli.tables import Table
from lstm2d.io.classes import ClassInfo
from lstm2d.predict.several import Result, Task


def result(name: str, split: str, n_classes: int = 2) -> Result:
    """Return a result with all figures, each as wide as can be."""
    totals = dict.fromkeys(
        ("pixel_accuracy", "class_accuracy", "mean_iou", "foreground_iou", "edge_accuracy"), 1.0
    )
    classes = tuple(ClassInfo(f"class {k} with a long name", (0, 0, 0)) for k in range(n_classes))
    figures = {
        **totals,
        "images": 1_000_000,
        "parameters": 123_456_789,
        "seconds_per_image": 1234.5,
        "per_class": {c.name: {"accuracy": None, "iou": None, "pixels": 0} for c in classes},
        "baselines": [{"name": f"every pixel {classes[0].name}", "class": classes[0].name, **totals}],
    }
    return Result(Task(name, name, split, []), figures, [], classes, "")


@pytest.mark.parametrize("count", [2, 5, 12])
@pytest.mark.parametrize("length", [1, 14, 15, 60])
@pytest.mark.parametrize("splits", [["test"], ["a" * 40, "b" * 40]])
def test_every_line_fits(count: int, length: int, splits: list[str]) -> None:
    names = [f"{k:02}".ljust(length, "x")[:60] for k in range(count)]
    chosen = itertools.cycle(splits)
    parts = describe_several([result(name, next(chosen)) for name in names])
    text = "\n".join(map(str, parts))
    assert max(map(len, text.splitlines())) <= 80
    compared = count == 2 and len(splits) == 1
    assert ("Gain of" in text) == compared
    if compared:
        parts.pop()
    # every model has its column, in as many tables as needed
    heads = [head for part in parts[2:] if not isinstance(part, str) for head in part.header[1:]]
    assert heads == (names if max(map(len, names)) <= 14 else [str(k + 1) for k in range(count)])
    assert len(parts[2:]) == -(-sum(2 + max(len(head), 6) for head in heads) // 58) or length == 14


def test_models_with_long_names_have_numbers() -> None:
    """Names that begin alike stay apart when they are cut."""
    totals, costs, classes = describe_several([result("a" * 30, "s1"), result("a" * 30 + "-2", "s2")])
    lines = str(totals).splitlines()
    assert lines[2].startswith("1 aaaaaaaaaaaaaaa")
    assert lines[3].startswith("2 aaaaaaaaaaaaaaa")
    assert "2 aaaaaaaaaa" in str(costs)
    assert str(classes).splitlines()[1].split() == ["class", "1", "2"]


def test_what_two_models_gain() -> None:
    """The largest gain is first, absent classes last; a difference that rounds to zero has no minus."""
    one, two = result("a" * 15, "s1", 4), result("b", "s1", 4)
    names = [c.name for c in one.classes]
    accuracies = [(0.5, 0.25), (0.5, 0.49999), (0.25, 0.75)]
    for name, pair in zip(names, accuracies, strict=False):
        for model, accuracy in zip((one, two), pair, strict=True):
            model.figures["per_class"][name] = {"accuracy": accuracy, "iou": accuracy / 2, "pixels": 1}
    table = describe_several([one, two])[-1]
    assert isinstance(table, Table)
    assert table.title == "Gain of 2 over 1 in points:"
    assert [row[1:] for row in table.rows] == [
        ["+50.00", "+25.00"],
        ["+0.00", "+0.00"],
        ["-25.00", "-12.50"],
        ["absent", "absent"],
    ]
    assert [row[0].split()[0] for row in table.rows] == ["2", "1", "0", "3"]
