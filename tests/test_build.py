"""The sources of each extension module."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def dependencies(checkout: Path) -> Callable[[Path], list[Path]]:
    found: Callable[[Path], list[Path]] = runpy.run_path(str(checkout / "setup.py"))["dependencies"]
    return found


SOURCES = {
    "a.pyx": '''
from libc.math cimport exp
from lstm2d.kernels._cython.b cimport product
from lstm2d.kernels import arena
cdef extern from "a.h" nogil:
    void f(float*)
cdef extern from "<math.h>":
    pass
cdef extern from *:
    """
    #include "verbatim.h"
    """
''',
    "a.h": '#include <string.h>\n#define REAL float\n#  include "a_template.h"\n/* see "other.h" */\n',
    "a_template.h": '#include "a.h"\n#include "simd.h"\n#include "of_the_system.h"\n',
    "b.pxd": '"""Products."""\ncdef extern from "b.h" nogil:\n    pass\n',
    "b.pyx": "from lstm2d.kernels._cython.b cimport product\n",
    "b.h": "",
    "other.h": '#include "simd.h"\n',
    "simd.h": "",
    "verbatim.h": "",
}


def test_dependencies_are_followed_through_headers_and_pxd_files(
    dependencies: Callable[[Path], list[Path]], tmp_path: Path
) -> None:
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    names = [path.name for path in dependencies(tmp_path / "a.pyx")]
    assert names == ["a.h", "a_template.h", "b.h", "b.pxd", "simd.h", "verbatim.h"]
    assert [path.name for path in dependencies(tmp_path / "b.pyx")] == ["b.h", "b.pxd"]


def test_every_header_is_needed_by_a_kernel(
    dependencies: Callable[[Path], list[Path]], checkout: Path
) -> None:
    folder = checkout / "kernels" / "_cython"
    kernels = sorted(folder.glob("*.pyx"))
    used = {path: {needed.name for needed in dependencies(path)} for path in kernels}
    assert set.union(*used.values()) == {p.name for kind in ("*.h", "*.pxd") for p in folder.glob(kind)}
    assert "simd.h" not in used[folder / "windows.pyx"]  # a change there does not recompile it


@pytest.mark.parametrize("names", ["", "thread", "address,undefined"])
def test_sanitizers_are_compiled_and_linked(
    names: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM2D_SANITIZE", names)
    monkeypatch.chdir(checkout)
    extensions = runpy.run_path("setup.py")["extensions"]()
    assert len(extensions) > 10
    for extension in extensions:
        for flags in (extension.extra_compile_args, extension.extra_link_args):
            assert [flag for flag in flags if "-fsanitize=" in flag] == [f"-fsanitize={names}"] * bool(names)
