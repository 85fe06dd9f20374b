"""What the program never does: run data, open a socket, write outside of the folders that are meant."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

from lstm2d.cli.program import program
from tests.reliability.watch.lines import CACHE, LINES, STORED, command_lines, make_inputs
from tests.test_lint import sources

WATCH = Path(__file__).resolve().parent / "watch"
MINUTES = 20  # after which a test fails
FULL = bool(os.environ.get("LSTM2D_TEST_FULL"))  # also run the commands that take long

STARTS_PROGRAMS = ("system", "popen", "exec", "spawn", "posix_spawn")
READS_OBJECTS = {"torch.load", "np.load", "numpy.load", "pandas.read_pickle"}
BY_NAME = {"getattr", "setattr", "delattr", "hasattr", "import_module", "CDLL", "LoadLibrary"}
BY_KEY = {"globals", "locals", "vars"}


def dotted(node: ast.expr) -> str:
    """Return the name of what is called, such as "os.path.join"; "" if it has none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield all calls."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def programs_and_objects(tree: ast.AST) -> Iterator[str]:
    """Yield calls that start a program of any name, or read objects."""
    for call in calls(tree):
        name = dotted(call.func)
        module, _, function = name.rpartition(".")
        if module in ("os", "pty", "subprocess") and function.startswith(STARTS_PROGRAMS):
            yield f"line {call.lineno}: {name}"
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        safe = given.get("allow_pickle")
        if name in READS_OBJECTS and not (isinstance(safe, ast.Constant) and safe.value is False):
            yield f"line {call.lineno}: {name} without allow_pickle=False"


def names_at_run_time(tree: ast.AST) -> Iterator[str]:
    """Yield the function of each look-up of an attribute, a module or a library by a computed name."""
    for scope, call in scoped_calls(tree, ""):
        name = dotted(call.func).rpartition(".")[2]
        arguments = call.args[1:2] if name.endswith("attr") else call.args[:1]
        if name in BY_NAME and not all(isinstance(one, ast.Constant) for one in arguments):
            yield scope
        if name in BY_KEY and not call.args:
            yield scope


def scoped_calls(node: ast.AST, scope: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield all calls, each with the name of the function or class around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from scoped_calls(child, f"{scope}.{child.name}".lstrip("."))
            continue
        if isinstance(child, ast.Call):
            yield scope, child
        yield from scoped_calls(child, scope)


@pytest.mark.parametrize(
    "text",
    [
        "os.system(text)",
        "os.popen(text)",
        "os.execvp(a, b)",
        "os.spawnl(a, b)",
        "subprocess.getoutput(a)\nos.posix_spawn(a)",
        "torch.load(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_lint_sees_programs_and_objects(text: str) -> None:
    assert list(programs_and_objects(ast.parse(text)))
    assert not list(programs_and_objects(ast.parse("np.load(path, allow_pickle=False)\nos.path.join(a)")))


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("getattr(a, name)", [""]),
        ("class A:\n def f(self):\n  return [setattr(self, n, 1) for n in x]", ["A.f"]),
        ("def f():\n import_module(name)\n ctypes.CDLL(path)", ["f", "f"]),
        ("def f():\n globals()[name] = 1", ["f"]),
        ("getattr(a, 'b')\nimport_module('numpy')\nvars(a)", []),
    ],
)
def test_the_lint_sees_names_at_run_time(text: str, scopes: list[str]) -> None:
    assert list(names_at_run_time(ast.parse(text))) == scopes


@pytest.fixture(scope="module")
def trees(checkout: Path) -> dict[str, ast.AST]:
    """Return the sources of the package by name, without their ending."""
    paths = sources(checkout, ".py")
    return {
        path.relative_to(checkout).with_suffix("").as_posix(): ast.parse(path.read_bytes()) for path in paths
    }


def test_no_program_is_started_and_no_object_is_read(trees: dict[str, ast.AST]) -> None:
    found = [f"{name}: {problem}" for name, tree in trees.items() for problem in programs_and_objects(tree)]
    assert found == []


FROM_OUR_TABLES = {  # functions that look something up by a computed name, and where that comes from
    "cli/failures:show_failure": "parts of a message",
    "cli/groups:LazyGroup.get_command": "the table of commands",
    "kernels/_cython/__init__:": "one module",
    "kernels/blas:_symbol": "names of BLAS functions",
    "kernels/dispatch:_load": "the table of backends",
    "kernels/gpu:_check_libraries": "libraries of CUDA",
    "lstm2d/__init__:__getattr__": "the table of public names",
    "lstm2d/data/importers/parallel:all_of": "parts of a message",
    "lstm2d/data/importers/registry:Kind._check": "fields of options",
    "lstm2d/data/importers/registry:Kind._function": "the table of kinds",
    "lstm2d/export/packages:optional": "two packages and their modules",
    "lstm2d/io/decoding:_identify": "the table of formats",
    "lstm2d/io/locks:_system_module": "two modules of the system",
    "lstm2d/models/backbones/five_layers:FiveConvolutions.__call__": "names of layers",
    "lstm2d/models/backbones/five_layers:FiveConvolutions.__init__": "names of layers",
    "lstm2d/models/backbones/vgg16:FullVGG16.__init__": "names of layers",
    "lstm2d/models/backbones/vgg16:VGG16.__call__": "names of layers",
    "lstm2d/models/backbones/vgg16:VGG16.__init__": "names of layers",
    "lstm2d/models/fcn:FCNNetwork.layers": "names of layers",
    "lstm2d/models/h_renet:HReNetNetwork.__init__": "names of layers",
    "lstm2d/models/options:ModelConfig.__post_init__": "fields of options",
    "lstm2d/models/options:_obeys": "kinds of bounds",
    "lstm2d/models/options:expected": "kinds of bounds",
    "lstm2d/nn/module:Module._at": "names of layers, from models",
    "lstm2d/nn/module:Module.set_submodule": "names of layers, from models",
    "lstm2d/nn/module:Module.to": "attributes of the module itself",
    "lstm2d/predict/differences:difference_table": "columns of a table",
    "lstm2d/predict/evaluate:image_table": "columns of a table",
    "lstm2d/reliability/marked:mark": "functions of the training, for selftest crash",
    "lstm2d/selftest/case:Case.run": "names of ops, from cases",
    "lstm2d/selftest/cases/filters:_step.call": "names of ops, from cases",
    "lstm2d/strips/local:replayed": "operations of a network, from its record",
    "lstm2d/training/contents:Contents.to_tensors": "fields of an entry",
    "lstm2d/training/events:_present": "fields of an event",
    "lstm2d/training/lines:metric_of": "train.select, one of three",
    "lstm2d/training/scene_labeler:SceneLabeler.get_params": "parameters of the class",
    "lstm2d/training/scene_labeler:SceneLabeler.set_params": "given by the caller, and checked",
}


def test_no_attribute_is_looked_up_by_a_name_from_a_file(trees: dict[str, ast.AST]) -> None:
    found = {f"{name}:{scope}" for name, tree in trees.items() for scope in names_at_run_time(tree)}
    assert sorted(found) == sorted(FROM_OUR_TABLES)


def leaves(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the names of all commands that are no groups, without importing them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        if before:
            yield " ".join((*before, name))
            continue
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (name,))
        else:
            yield name


def test_every_command_is_in_the_table() -> None:
    assert sorted(leaves(program)) == sorted(LINES)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run every command once in a process that may not open sockets; return what each did."""
    root = tmp_path_factory.mktemp("watched") / "root"
    make_inputs(root)
    lines = root.with_name("lines.json")
    lines.write_text(json.dumps(command_lines(root, long=FULL)))
    environment = os.environ | {
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "LSTM2D_CACHE": str(root / CACHE),
        "LSTM2D_DATA": str(root / STORED),
        "LSTM2D_TEST_SOCKETS": str(root.with_name("sockets.txt")),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(WATCH), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    for name in [name for name in environment if name.startswith(("XDG_", "MPL", "NUMBA_CACHE"))]:
        del environment[name]
    ran = subprocess.run(
        [sys.executable, WATCH / "run_all.py", root, lines],
        cwd=root / "here",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    sockets = root.with_name("sockets.txt")
    return {
        "commands": {one["name"]: one for one in map(json.loads, ran.stdout.splitlines())},
        "sockets": sockets.read_text().splitlines() if sockets.exists() else [],
    }


@pytest.mark.slow
def test_no_command_opens_a_socket(watched: dict[str, Any]) -> None:
    """Only ``predict --dask`` does, which is not in the table."""
    assert watched["sockets"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_a_command_writes_where_it_should(watched: dict[str, Any], name: str) -> None:
    line = LINES[name]
    if line.is_long and not FULL:
        pytest.skip("takes over five seconds: set LSTM2D_TEST_FULL=1")
    if line.needs and find_spec(line.needs) is None:  # importing it here would let it write
        pytest.skip(f"needs {line.needs}")
    one = watched["commands"][name]
    assert one["code"] == 0, one["err"]
    folders = {changed.partition("/")[0] for changed in one["changed"]}
    assert folders - {CACHE} <= set(line.writes), one["changed"]
    if line.writes:
        assert folders >= set(line.writes)


def test_the_watch_sees_sockets(tmp_path: Path) -> None:
    record = tmp_path / "sockets.txt"
    environment = os.environ | {"PYTHONPATH": str(WATCH), "LSTM2D_TEST_SOCKETS": str(record)}
    for code in ("import socket; socket.socket()", "import socket; socket.getaddrinfo('localhost', 80)"):
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert ran.returncode == 1
        assert "is not allowed" in ran.stderr
    assert [line.split()[0] for line in record.read_text().splitlines()] == [
        "socket.__new__",
        "socket.getaddrinfo",
    ]
