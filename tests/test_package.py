"""The installed package is complete, under one name."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import distribution, packages_distributions
from importlib.resources import files
from pathlib import Path

import pytest

# import name -> folder of the sources
FOLDERS = {"lstm2d": "lstm2d", "lstm2d.kernels": "kernels", "lstm2d.cli": "cli"}
# loaded only by the calls that need them: each costs start-up time
HEAVY = {"numba", "cupy", "click", "rich", "scipy", "pydantic", "skimage", "matplotlib", "jinja2", "PIL"}


def source_files(checkout: Path, name: str, pattern: str) -> list[Path]:
    """Return the files of one source folder, relative to it, without following the two links."""
    folder = checkout / FOLDERS[name]
    links = [path for path in folder.iterdir() if path.is_symlink()]
    found = [path for path in folder.rglob(pattern) if not any(path.is_relative_to(link) for link in links)]
    assert found or pattern != "*.py"
    return [path.relative_to(folder) for path in found]


def test_one_top_level_name() -> None:
    text = distribution("lstm2d").read_text("top_level.txt")
    assert text is not None
    assert text.split() == ["lstm2d"]
    # an editable install also brings a finder module; nothing else may come
    names = {name for name, owners in packages_distributions().items() if "lstm2d" in owners}
    assert {name for name in names if not name.startswith("__editable__")} == {"lstm2d"}


@pytest.mark.parametrize("module", ["lstm2d", "lstm2d.ops", "lstm2d.kernels", "lstm2d.cli"])
def test_import_is_light(module: str) -> None:
    code = f"import {module}, sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FOLDERS)
def test_every_module_is_installed(checkout: Path, name: str) -> None:
    for path in source_files(checkout, name, "*.py"):
        parts = path.with_suffix("").parts
        if parts[-1] == "__main__" or "_cuda" in parts:  # runs the program; needs a GPU
            continue
        import_module(".".join((name, *(part for part in parts if part != "__init__"))))


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize(
    "pattern", ["py.typed", "*.toml", "*.safetensors", "*.pyx", "*.pxd", "*.h", "*.cu", "*.jinja"]
)
def test_every_data_file_is_installed(checkout: Path, name: str, pattern: str) -> None:
    for path in source_files(checkout, name, pattern):
        assert files(name).joinpath(path.as_posix()).is_file(), path


def test_every_kernel_is_compiled(checkout: Path) -> None:
    kernels = source_files(checkout, "lstm2d.kernels", "*.pyx")
    assert kernels
    for path in kernels:
        module = import_module(".".join(("lstm2d.kernels", *path.with_suffix("").parts)))
        assert str(module.__file__).endswith((".so", ".pyd"))


def test_version_is_the_newest_in_the_changelog(checkout: Path) -> None:
    version = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["version"]
    assert distribution("lstm2d").version == version
    headings = re.findall(r"^## (\S+)", (checkout / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == version
