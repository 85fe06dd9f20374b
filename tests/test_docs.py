"""Commands, options, keys and files in README and docs exist."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import click
import pytest
import skimage.data

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCENES = 60
OPTIONAL = ("joblib", "onnxruntime", "sklearn", "torch")  # packages that are imported only in how-tos
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def pages(checkout: Path) -> list[Path]:
    """Return every page of the documentation."""
    return [checkout / "README.md", checkout / "CONTRIBUTING.md", *sorted((checkout / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of one language on a page."""
    return [text for name, text in FENCE.findall(page.read_text()) if name == language]


def shell_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell block; comments and continued lines are supported."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        typed = [*lexer, "&&"]
        targets = {number + 1 for number, word in enumerate(typed) if word == ">"}
        for word in (w for number, w in enumerate(typed) if w != ">" and number not in targets):
            if word not in {"&&", "|", ";", "||"}:
                words.append(word)
            elif words:
                yield words
                words = []


def lstm2d_commands(checkout: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield page and arguments of each `lstm2d ...` command on the pages."""
    for page in pages(checkout):
        for block in blocks(page, "sh"):
            for words in shell_commands(block):
                if words[0].rpartition("/")[2] == "lstm2d":
                    yield f"{page.name}: {shlex.join(words)}", words[1:]


def complaint(args: list[str]) -> str | None:
    """Return the usage error for these arguments; None if they are valid."""
    command: click.Command = import_module("lstm2d.cli.program").program
    context = click.Context(command, info_name="lstm2d", **command.context_settings)
    while isinstance(command, click.Group):
        if not args or args[0].startswith("-"):
            break
        name, args = args[0], args[1:]
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name}"
        command, context = (
            found,
            click.Context(found, info_name=name, parent=context, **found.context_settings),
        )
    try:
        values, rest, _ = command.make_parser(context).parse_args(list(args))
        if rest:
            return f"unexpected {rest}"
        if "--help" not in args:
            _convert(command, context, values)
    except click.UsageError as error:
        return error.format_message()
    return None


def _convert(command: click.Command, context: click.Context, values: dict[str, object]) -> None:
    """Convert each value as its option would, without checking that files exist."""
    for param in command.params:
        if param.name in values and not isinstance(param.type, click.Path | click.File):
            param.process_value(context, values[param.name])
        elif param.required and values.get(str(param.name)) in (None, ()):
            raise click.MissingParameter(ctx=context, param=param)


def test_every_command_of_the_docs_exists(checkout: Path) -> None:
    commands = list(lstm2d_commands(checkout))
    assert len(commands) > 10
    wrong = {text: why for text, args in commands if (why := complaint(args)) is not None}
    assert wrong == {}


@pytest.mark.parametrize(
    "args",
    [
        "teach lstm2d-5x5",
        "predict",
        "predict outdoor a.jpg -o out --overlays",
        "train lstm2d-5x5 --data a -o b --threads none",
    ],
)
def test_a_wrong_command_is_seen(args: str) -> None:
    assert complaint(args.split()) is not None


def test_commands_are_cut_as_a_shell_cuts_them() -> None:
    text = """\
# nothing
python3 -m venv v && v/bin/lstm2d demo  # about a minute
lstm2d train a \\
    --set 'b="c d"' | tee log
lstm2d models > list.txt && lstm2d doctor
"""
    assert list(shell_commands(text)) == [
        ["python3", "-m", "venv", "v"],
        ["v/bin/lstm2d", "demo"],
        ["lstm2d", "train", "a", "--set", 'b="c d"'],
        ["tee", "log"],
        ["lstm2d", "models"],
        ["lstm2d", "doctor"],
    ]


def test_every_command_is_in_the_readme(checkout: Path) -> None:
    program = import_module("lstm2d.cli.program").program
    context = click.Context(program, **program.context_settings)
    names = []
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        names += (
            [f"{name} {sub}" for sub in command.list_commands(context)]
            if isinstance(command, click.Group)
            else [name]
        )
    listed = re.findall(r"^\| `lstm2d ([a-z ]+)`", (checkout / "README.md").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(names)


def test_every_link_leads_somewhere(checkout: Path) -> None:
    dead = [
        f"{page.name}: {target}"
        for page in pages(checkout)
        for target in LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []


def test_every_toml_block_is_toml(checkout: Path) -> None:
    texts = [text for page in pages(checkout) for text in blocks(page, "toml")]
    assert texts
    for text in texts:
        tomllib.loads(text)


def test_keys_of_the_docs_are_keys_of_the_presets(checkout: Path) -> None:
    config = import_module("lstm2d.config")
    presets = [config.load_preset(name).model_dump() for name in config.preset_names()]
    for page in pages(checkout):
        for section, key in re.findall(r"(?:--set |\| `)(model|train|data)\.([a-z_]+)", page.read_text()):
            assert any(key in preset[section] for preset in presets), f"{page.name}: {section}.{key}"


def test_crf_keys_and_sets_of_the_docs_exist(checkout: Path) -> None:
    crf = import_module("lstm2d.config.crf")
    keys = crf.CRFSection.model_fields
    for page in pages(checkout):
        text = page.read_text()
        for key in re.findall(r"(?:--set |`)crf\.([a-z_]+)", text):
            assert key in keys, f"{page.name}: crf.{key}"
        for name in re.findall(r" --crf ([a-z][a-z0-9-]*)", "\n".join(blocks(page, "sh"))):
            assert name in crf.CRF_SETS, f"{page.name}: --crf {name}"
    how_to = (checkout / "docs/how-to/crf.md").read_text()
    assert all(f"`crf.{key}`" in how_to for key in keys)
    assert all(f"`{name}`" in how_to for name in crf.CRF_SETS)


def test_settings_of_the_docs_are_accepted(checkout: Path) -> None:
    config = import_module("lstm2d.config")
    tried = 0
    for _, args in lstm2d_commands(checkout):
        if args[0] == "train" and args[1] in config.preset_names():
            settings = [value for option, value in pairwise(args) if option == "--set"]
            config.resolve(args[1], [(value, "--set") for value in settings])
            tried += len(settings)
    assert tried > 5


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_typed(checkout: Path, tmp_path: Path) -> None:
    """Except that fewer scenes are drawn."""
    drawn = 0
    (tmp_path / "photo.jpg").write_bytes(Path(skimage.data.__file__).with_name("rocket.jpg").read_bytes())
    for block in blocks(checkout / "docs" / "tutorial.md", "sh"):
        for words in shell_commands(block):
            if words[0] != "lstm2d":  # creates the environment, which exists here
                continue
            if words[1:3] == ["data", "synth"]:
                words += ["--count", str(SCENES)]
                drawn += SCENES
            command = [sys.executable, "-P", "-m", "lstm2d.cli", *words[1:]]
            run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert run.returncode == 0, f"{shlex.join(words)}\n{run.stderr}"
    for made in re.findall(
        r"^- `(\S+?)`(?: and `(\S+?)`)?:", (checkout / "docs" / "tutorial.md").read_text(), re.MULTILINE
    ):
        for name in filter(None, made):
            assert (tmp_path / "runs" / "tutorial" / name).exists(), name
    assert (
        len(list((tmp_path / "out" / "scenes").rglob("*.png"))) == 2 * drawn + 1
    )  # labels, overlays, legend


LABEL_FILES = "label-files.md"  # its Python reads what its commands write


@pytest.mark.slow
def test_the_how_to_on_label_files_runs_as_it_is_typed(checkout: Path, tmp_path: Path) -> None:
    page = checkout / "docs" / "how-to" / LABEL_FILES
    (tmp_path / "photo.jpg").write_bytes(Path(skimage.data.__file__).with_name("rocket.jpg").read_bytes())
    for words in shell_commands(blocks(page, "sh")[0]):
        command = [sys.executable, "-P", "-m", "lstm2d.cli", *words[1:]]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, f"{shlex.join(words)}\n{run.stderr}"
    tried = 0
    for block in blocks(page, "python"):
        imported = re.findall(r"^(?:import|from) (\w+)", block, flags=re.MULTILINE)
        if all(find_spec(module) for module in imported):  # the package does not need all of them
            run = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
            assert (run.returncode, run.stderr) == (0, ""), f"{block}\n{run.stderr}"
            tried += 1
    assert tried >= 5


def missing(block: str) -> list[str]:
    """Return the optional packages that a block of Python imports and that are not installed."""
    return [
        name
        for name in OPTIONAL
        if re.search(rf"^(import|from) {name}\b", block, re.M) and not find_spec(name)
    ]


@pytest.mark.slow
def test_the_python_of_the_docs_runs(checkout: Path, tmp_path: Path) -> None:
    for page in pages(checkout):
        for block in blocks(page, "python") if page.name != LABEL_FILES else []:
            if missing(block):
                continue
            (tmp_path / "example.py").write_text(block)  # a file: processes that it spawns import it
            command = [sys.executable, "example.py"]
            run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
            assert run.returncode == 0, f"{page.name}:\n{block}\n{run.stderr}"
