"""The public names of the package, and the examples in docstrings."""

import doctest
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import pytest

import lstm2d

NAMES = [
    "SceneLabeler",
    "Tensor",
    "backward",
    "export_onnx",
    "fit",
    "get_num_threads",
    "load",
    "nn",
    "no_grad",
    "ops",
    "set_num_threads",
]


def test_dir_lists_the_public_names_alone() -> None:
    import_module("lstm2d.predict")  # is an attribute now, and not listed all the same
    assert dir(lstm2d) == NAMES == sorted(lstm2d.__all__)
    for name in NAMES:
        assert getattr(lstm2d, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = lstm2d.train  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_package() -> None:
    assert lstm2d.__version__ == version("lstm2d")


def test_a_star_import_gives_the_public_names() -> None:
    code = "before = set(dir()); from lstm2d import *; print(sorted(set(dir()) - before - {'before'}))"
    run = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == str(NAMES)


def test_an_import_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import lstm2d; print(sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in eval(run.stdout)}
    assert loaded <= {"lstm2d", "importlib", "warnings", "_warnings"}


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-P", "-m", "lstm2d", "--version"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert version("lstm2d") in run.stdout
    help_text = [
        subprocess.run(
            [sys.executable, "-P", "-m", name, "--help"], check=True, capture_output=True, text=True
        )
        for name in ("lstm2d", "lstm2d.cli")
    ]
    assert help_text[0].stdout == help_text[1].stdout
    assert help_text[0].stdout.startswith("Usage: lstm2d ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "lstm2d.predict.in_words",
        "lstm2d.predict.predictor",
        "lstm2d.training.fit",
        "lstm2d.training.scene_labeler",
    ],
)
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
