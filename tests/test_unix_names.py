"""What Windows or macOS lacks is used only where it is there, so that new uses are noticed."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.unix_names import MISSING, MODULES

# A use of such a name is guarded by a condition (`hasattr(os, "fork")`, `sys.platform`) or an error that is
# caught. `getattr` with a default needs no guard. What else may use them, and why:
UNGUARDED = {
    ("lstm2d/reliability/inputs/drive.py", name): "only after `run_cases` has found fork"
    for name in (
        "os.fork", "os.WIFSIGNALED", "os.WTERMSIG", "signal.SIGKILL", "resource",
        "/proc/self/clear_refs",
    )
} | {
    ("lstm2d/reliability/inputs/outputs.py", "resource"): "a hook that runs in a copy of the process",
    ("lstm2d/reliability/inputs/rights.py", "os.geteuid"): "a hook that runs in a copy of the process",
    ("lstm2d/io/machine_memory.py", "/sys/fs/cgroup"): "a missing folder has no limits",
    ("lstm2d/io/machine_memory.py", "/proc/self/cgroup"): "a missing file names no groups",
    ("lstm2d/io/machine_memory.py", "/proc/self/statm"): "a missing file says nothing",
    ("lstm2d/reliability/inputs/special.py", "/dev/zero"): "asks whether it is there",
    ("lstm2d/reliability/inputs/datasets.py", "/etc/passwd"): "a bad value, never opened",
}  # fmt: skip
CAUGHT = {"AttributeError", "ImportError", "ModuleNotFoundError", "OSError", "Exception"}
FILES = ("/proc", "/sys/", "/dev/", "/etc/", "/tmp/", "/usr/", "/var/")
FORKS = ("fork", "forkserver")


def uses(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the name and line of each use of what Windows or macOS lacks that nothing guards."""

    def visit(node: ast.AST, guards: frozenset[str]) -> Iterator[tuple[str, int]]:
        if isinstance(node, ast.If | ast.IfExp):
            guards |= _tested(node.test)
        elif isinstance(node, ast.BoolOp):
            guards |= _tested(node)
        elif isinstance(node, ast.Try):
            caught = {ast.unparse(one) for h in node.handlers if h.type is not None for one in _each(h.type)}
            inside = guards | {"*"} if caught & CAUGHT else guards
            for child in node.body:
                yield from visit(child, inside)
            for child in (*node.handlers, *node.orelse, *node.finalbody):
                yield from visit(child, guards)
            return
        elif isinstance(node, ast.FunctionDef):  # `if not hasattr(os, "fork"): raise` guards what follows it
            left = [one for one in node.body if isinstance(one, ast.If) and _leaves(one.body[-1])]
            guards = guards.union(*(_tested(one.test) for one in left))
        name = used(node)
        if name and name not in guards and not guards & {"*", "sys.platform"}:
            yield name, getattr(node, "lineno", 0)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, guards)

    yield from visit(tree, frozenset())


def _leaves(node: ast.stmt) -> bool:
    return isinstance(node, ast.Raise | ast.Return)


def _each(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _tested(test: ast.expr) -> frozenset[str]:
    """Return the names that a condition asks for."""
    found = {
        "sys.platform" for one in ast.walk(test) if ast.unparse(one) in ("sys.platform", "os.name", "WINDOWS")
    }
    for one in ast.walk(test):
        if isinstance(one, ast.Call) and ast.unparse(one.func) == "hasattr":
            owner, name = one.args
            found.add(f"{ast.unparse(owner)}.{getattr(name, 'value', '')}")
    return frozenset(found)


def used(node: ast.AST) -> str:
    """Return what a node uses that a system may lack: a name, module, file or argument; "" if nothing."""
    if isinstance(node, ast.Attribute) and node.attr in MISSING.get(ast.unparse(node.value).lstrip("_"), ()):
        return f"{ast.unparse(node.value)}.{node.attr}"
    if isinstance(node, ast.Import):
        return next((alias.name for alias in node.names if alias.name in MODULES), "")
    if isinstance(node, ast.ImportFrom):
        if node.module in MODULES:
            return str(node.module)
        missing = MISSING.get(node.module or "", ())
        return next((f"{node.module}.{alias.name}" for alias in node.names if alias.name in missing), "")
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("CDLL", "get_context"):
        given = [one.value for one in node.args if isinstance(one, ast.Constant)]
        if given[:1] == [None] or (given and given[0] in FORKS):
            return f"{ast.unparse(node.func).rpartition('.')[2]}({given[0]!r})"
    if isinstance(node, ast.keyword) and node.arg in ("dir_fd", "pass_fds", "preexec_fn"):
        return f"{node.arg}="
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(FILES):
        return node.value
    return ""


@pytest.mark.parametrize(
    "text",
    [
        "import fcntl",
        "from pwd import getpwuid",
        "from os import fork",
        "os.sched_getaffinity(0)",
        "flags = os.O_RDONLY | os.O_NOFOLLOW",
        "if hasattr(os, 'getuid'):\n    os.fork()",
        "if hasattr(os, 'fork'):\n    pass\nos.fork()",
        "signal.signal(signal.SIGHUP, f)",
        "try:\n    import resource\nexcept ValueError:\n    pass",
        "try:\n    pass\nexcept AttributeError:\n    os.getuid()",
        "Path('/proc/meminfo').read_text()",
        "multiprocessing.get_context('fork')",
        "ctypes.CDLL(None)",
        "os.unlink(name, dir_fd=folder)",
    ],
)
def test_the_lint_sees(text: str) -> None:
    assert list(uses(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "if hasattr(os, 'fork'):\n    os.fork()",
        "n = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1",
        "def f():\n    if not hasattr(os, 'fork'):\n        raise ValueError\n    os.fork()",
        "getattr(signal, 'SIGHUP', None)",
        "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None",
        "if sys.platform != 'win32':\n    import fcntl",
        "os.open(path, os.O_RDONLY)",
        "multiprocessing.get_context('spawn')",
    ],
)
def test_the_lint_lets_pass(text: str) -> None:
    assert not list(uses(ast.parse(text)))


def test_what_a_system_may_lack_is_guarded(checkout: Path) -> None:
    found = {}
    for folder in ("lstm2d", "kernels", "cli"):
        links = [path for path in (checkout / folder).iterdir() if path.is_symlink()]
        for path in sorted((checkout / folder).rglob("*.py")):
            if not any(path.is_relative_to(link) for link in links):
                for name, line in uses(ast.parse(path.read_bytes())):
                    found[path.relative_to(checkout).as_posix(), name] = line
    for name, line in uses(ast.parse((checkout / "setup.py").read_bytes())):
        found["setup.py", name] = line
    assert {place: line for place, line in found.items() if place not in UNGUARDED} == {}
    assert found.keys() == UNGUARDED.keys()  # no exception without a reason


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have fewer names")
def test_the_names_are_those_of_this_system() -> None:
    """A misspelt name would never be found."""
    others = {
        "devpoll",
        "fromshare",
        "kqueue",
        "setns",
        "timerfd_create",
        "unshare",
    }  # systems, and newer versions
    found = [
        name for module, names in MISSING.items() for name in set(names) - set(dir(import_module(module)))
    ]
    assert {name for name in found if not name.isupper()} <= others
