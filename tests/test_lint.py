"""Rules beyond the linters: no code in data files is run, and nothing uses the network."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDERS = ["lstm2d", "kernels", "cli"]
LINKS = {Path("lstm2d/kernels"): Path("../kernels"), Path("lstm2d/cli"): Path("../cli")}
# they run what they read
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
NETWORK = {
    "dask",
    "distributed",
    "ftplib",
    "http",
    "httpx",
    "requests",
    "smtplib",
    "socket",
    "socketserver",
    "tornado",
    "urllib",
    "urllib3",
    "webbrowser",
}
CLUSTER = "lstm2d/predict/dask_packages.py"  # `predict --dask`: nothing else may use the network
CLIENTS = ["distributed", "dask"]
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
LARGEST_FILE = 3_000_000  # bytes


def sources(checkout: Path, *suffixes: str) -> Iterator[Path]:
    """Yield the source files of the package, each once, without following the links."""
    for folder in FOLDERS:
        for path in sorted((checkout / folder).rglob("*")):
            inside = path.relative_to(checkout)
            if path.suffix in suffixes and not any(inside.is_relative_to(link) for link in LINKS):
                yield path


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level name of each module that a source imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(a.value).partition(".")[0] for a in node.args if isinstance(a, ast.Constant))


def problems(tree: ast.AST) -> Iterator[str]:
    """Yield calls and imports of a source that could run the contents of a file or use the network."""
    for name in imported(tree):
        if name in PICKLES:
            yield f"imports {name}: it can run what it reads"
        if name in NETWORK:
            yield f"imports {name}: nothing is ever fetched or sent"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in RUNS_CODE:
            yield f"line {node.lineno}: calls {node.func.id}"
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle" and not _is_false(keyword.value):
                yield f"line {node.lineno}: allow_pickle"
            if keyword.arg == "shell" and not _is_false(keyword.value):
                yield f"line {node.lineno}: a shell"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import yaml\n    yaml.load(x)",
        "import urllib.request",
        "import_module('distributed')",
        "eval(text)",
        "__import__(name)",
        "numpy.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_the_lint_sees(text: str) -> None:
    assert list(problems(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["import re\nre.compile('a')", "numpy.load(path, allow_pickle=False)", "import tomllib"]
)
def test_the_lint_lets_pass(text: str) -> None:
    assert not list(problems(ast.parse(text)))


def test_no_code_in_data_and_no_network(checkout: Path) -> None:
    found = [
        f"{path.relative_to(checkout)}: {problem}"
        for path in sources(checkout, ".py", ".pyi")
        for problem in problems(ast.parse(path.read_bytes()))
    ]
    assert found == [f"{CLUSTER}: imports {name}: nothing is ever fetched or sent" for name in CLIENTS]


def test_no_code_in_data_in_cython(checkout: Path) -> None:
    pattern = re.compile(
        rf"^\s*(c?import|from)\s+({'|'.join(PICKLES | NETWORK)})\b|\b(eval|exec|__import__)\(", re.MULTILINE
    )
    assert [path.name for path in sources(checkout, ".pyx", ".pxd") if pattern.search(path.read_text())] == []


def test_only_two_links(checkout: Path) -> None:
    # a checkout or an archive may come without them; if there are links, then these
    links = {
        path.relative_to(checkout): path.readlink()
        for path in (checkout / "lstm2d").rglob("*")
        if path.is_symlink()
    }
    assert links in ({}, LINKS)


def test_no_large_file(checkout: Path) -> None:
    large = [
        path
        for path in sources(checkout, ".safetensors", ".png", ".jpg", ".npz")
        if path.stat().st_size > LARGEST_FILE
    ]
    assert large == []


def test_backends_are_named_by_kernels_alone(checkout: Path) -> None:
    named = re.compile(r"kernels\._|[\"']_(reference|cython|numba|cuda)\b")
    outside = [path for path in sources(checkout, ".py") if not path.is_relative_to(checkout / "kernels")]
    assert [path.name for path in outside if named.search(path.read_text())] == []


# Files are opened for writing in lstm2d/io/atomic.py alone: completely or not at all, flushed and read back.
# What else may open files, and why:
WRITERS = {
    "lstm2d/io/atomic.py": {"os.open", "open"},
    "lstm2d/io/locks.py": {"os.open"},  # lock files, which stay empty
    "lstm2d/io/safe_open.py": {"os.open"},  # for reading; tests pass it no other flags
    "lstm2d/io/scratch.py": {"tempfile.TemporaryFile"},  # has no name, and is gone after a crash
    "lstm2d/report/side_by_side.py": {"tempfile.TemporaryFile"},  # has no name, and is gone after a crash
    "cli/streams.py": {"os.open"},  # the null device in place of closed streams
}
# Functions that write to a name or a path. `save` and `savefig` may get a buffer: their argument is read.
OPENERS = {
    ("os", "open"),
    ("os", "fdopen"),
    ("os", "mkfifo"),
    ("shutil", "copy"),
    ("shutil", "copy2"),
    ("shutil", "copyfile"),
    ("shutil", "copytree"),
    ("shutil", "move"),
    ("tempfile", "NamedTemporaryFile"),
    ("tempfile", "TemporaryFile"),
    ("tempfile", "mkstemp"),
    ("np", "savetxt"),
}
METHODS = {"tofile", "touch", "write_text", "write_bytes", "hardlink_to"}
TO_A_BUFFER = {"imwrite", "save", "savez", "savez_compressed", "savefig", "TiffWriter", "ZipFile"}


def written(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the name and line of calls that open a file for writing, or may."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name):
            name, method = function.id, function.id
        elif isinstance(function, ast.Attribute):
            name, method = ast.unparse(function), function.attr
        else:
            continue
        owner = name.rpartition(".")[0]
        writes = (owner, method) in OPENERS or bool(owner and method in METHODS)
        if method == "open" and owner != "os":
            writes = _mode(node, 1 if isinstance(function, ast.Name) else 0)
        if method in TO_A_BUFFER and owner and node.args:
            target = ast.unparse(node.args[0])
            writes = not any(word in target for word in ("buffer", "stream", "BytesIO", "file"))
        if writes:
            yield name, node.lineno


def _mode(node: ast.Call, position: int) -> bool:
    """Return whether a call of `open` has a mode that writes."""
    modes = [keyword.value for keyword in node.keywords if keyword.arg == "mode"] + node.args[position:][:1]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return any(set(text) & set("wax+") and set(text) <= set("rwaxbt+") for text in texts)


@pytest.mark.parametrize(
    "text",
    [
        'open(path, "w")',
        'open(path, mode="ab")',
        'path.open("a", newline="")',
        'Path(x).write_text("a")',
        "os.open(path, flags)",
        "image.save(path)",
        "figure.savefig(out / name)",
        "np.save(path, values)",
        "shutil.copyfile(a, b)",
        "values.tofile(path)",
        "tempfile.mkstemp()",
    ],
)
def test_a_second_writer_is_found(text: str) -> None:
    assert list(written(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    ['open(path, "rb")', "path.open()", 'zip.open("a.png")', "image.save(buffer)", "write_bytes(path, data)"],
)
def test_reading_and_buffers_are_allowed(text: str) -> None:
    assert not list(written(ast.parse(text)))


def test_one_module_opens_files_for_writing(checkout: Path) -> None:
    found: dict[str, set[str]] = {}
    for path in sources(checkout, ".py"):
        for name, line in written(ast.parse(path.read_text())):
            inside = path.relative_to(checkout).as_posix()
            if inside.startswith("lstm2d/reliability/"):  # makes inputs in a temporary folder
                continue
            assert name in WRITERS.get(inside, set()), f"{inside}:{line}: {name} opens a file for writing"
            found.setdefault(inside, set()).add(name)
    assert found == WRITERS  # no exception without a reason
