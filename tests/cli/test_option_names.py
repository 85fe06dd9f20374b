"""The library names its parameters, the command line its options."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from lstm2d.cli.option_names import OPTIONS, with_options
from lstm2d.cli.program import program
from lstm2d.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a smaller `size`, please", "a smaller --size, please"),
        ("use `device='cpu'`", "use --device cpu"),
        ('use `device="cpu"` or `size=320`', "use --device cpu or --size 320"),
        ("`resume=True` continues", "--resume continues"),
        ("`init_from`, `out`", "--init-from, -o"),
        ("`val=0`", "--val 0"),
        ("`lstm2d models` lists them", "`lstm2d models` lists them"),
        ("a size, `sizes` and `other=1`", "a size, `sizes` and `other=1`"),
    ],
)
def test_parameters_become_options(text: str, shown: str) -> None:
    assert with_options(text) == shown


def commands(group: click.Group) -> Iterator[click.Command]:
    """Yield all commands of the program."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from commands(command) if isinstance(command, click.Group) else [command]


def test_every_option_exists() -> None:
    options = {text for command in commands(program) for param in command.params for text in param.opts}
    assert set(OPTIONS.values()) <= options


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the strings of a source except docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


def test_the_library_names_no_options(checkout: Path) -> None:
    found = []
    for path in sorted(checkout.glob("lstm2d/**/*.py")) + sorted(checkout.glob("kernels/**/*.py")):
        inside = path.relative_to(checkout)
        # the checks of reliability run command lines
        if inside.parts[1] not in ("cli", "kernels", "reliability") or inside.parts[0] == "kernels":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [f"{inside}:{t.lineno}" for t in texts(tree) if re.search(r"(^|\s|\()--[a-z]", t.value)]
    assert found == []


def test_the_words_of_a_command(lstm2d: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ConfigError("no `size`", where="`out`", expected="`val=0`", hint="use `device='cpu'`")

    monkeypatch.setattr("lstm2d.data.folder.DatasetFolder.__init__", fail)
    ran = lstm2d("data", "stats", tmp_path, "--json")
    assert ran.code == 2
    assert ran.err == "Error: no --size: -o\n  expected: --val 0\n  do: use --device cpu\n"
    error = {"what": "no --size", "where": "-o", "expected": "--val 0", "hint": "use --device cpu"}
    assert ran.json == {"error": {"kind": "ConfigError", **error, "exit_code": 2}}
