"""Cases of configurations and options of `train`."""

from __future__ import annotations

from collections.abc import Callable

from lstm2d.reliability.inputs.case import Case, Place
from lstm2d.reliability.inputs.datasets import DEEP, DIGITS, keys
from lstm2d.reliability.inputs.rows import bad_setting

BASE = 'preset = "lstm2d-1x1"\n'


def config(text: str | bytes, name: str = "config.toml") -> Callable[[Place], None]:
    """Return a function that writes a configuration."""

    def write(place: Place) -> None:
        path = place.given / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        place.preset = str(path)

    return write


def preset(name: str) -> Callable[[Place], None]:
    """Return a function that names another preset."""

    def write(place: Place) -> None:
        place.preset = name

    return write


def value(*items: str) -> Callable[[Place], None]:
    """Return a function that sets values in the command line."""
    return lambda place: place.option("train", *(word for item in items for word in ("--set", item)))


def options(*words: str) -> Callable[[Place], None]:
    """Return a function that adds options to the command line."""
    return lambda place: place.option("train", *words)


SETTINGS: tuple[Case, ...] = (
    bad_setting("config of zero bytes", config(""), "config.toml"),
    bad_setting("config of no TOML", config("epochs: 3\n"), "config.toml"),
    bad_setting("config of bytes", config(bytes(range(256))), "config.toml"),
    bad_setting("config with an unknown key", config(f"{BASE}[train]\nepoch = 3\n"), "did you mean"),
    bad_setting("config with an unknown section", config(f"{BASE}[trian]\nepochs = 3\n"), "trian"),
    bad_setting("config with 20,000 unknown keys", config(f"{BASE}[train]\n{keys(20_000)}"), "config.toml"),
    bad_setting("config with a deep key", config(BASE + DEEP), "config.toml"),
    bad_setting("config with deep lists", config(f"{BASE}a = {'[' * 20_000}{']' * 20_000}\n"), "config.toml"),
    bad_setting("config with 4000 spaces", config(f"{BASE}[train]\nepoch{' ' * 4000}= 3\n"), "config.toml"),
    bad_setting(
        "config with 4000 spaces in a key", config(f'{BASE}[train]\n"a{" " * 4000}" = 3\n'), "config.toml"
    ),
    bad_setting(
        "config with an integer of 5000 digits", config(f"{BASE}[train]\nepochs = {DIGITS}\n"), "config.toml"
    ),
    bad_setting(
        "config with a word for a number", config(f'{BASE}[train]\nlearning_rate = "fast"\n'), "learning_rate"
    ),
    bad_setting(
        "config with a rate of NaN", config(f"{BASE}[train]\nlearning_rate = nan\n"), "learning_rate"
    ),
    bad_setting(
        "config with a negative rate", config(f"{BASE}[train]\nlearning_rate = -1.0\n"), "learning_rate"
    ),
    bad_setting("config of a preset that does not exist", config('preset = "lstm2d"\n'), "lstm2d"),
    bad_setting("config of a preset outside", config('preset = "../../x"\n'), "../../x"),
    bad_setting("config that does not exist", preset("nothing/config.toml"), "nothing/config.toml"),
    bad_setting("config of a long name", preset(f"{'x' * 300}.toml"), "File name too long"),
    bad_setting("preset with a slip", preset("lstm2d-1x2"), "did you mean"),
    bad_setting("preset of 10,000 characters", preset("x" * 10_000), "no such preset"),
    bad_setting("value without a key", value("=3"), "--set"),
    bad_setting("value without an equals sign", value("train.epochs"), "train.epochs"),
    bad_setting("value of an unknown key", value("train.epoch=3"), "train.epoch"),
    bad_setting("value with deep lists", value(f"train.epochs={'[' * 20_000}"), "train.epochs"),
    bad_setting("value of 5000 digits", value(f"train.epochs={DIGITS}"), "train.epochs"),
    bad_setting("value below its range", value("train.epochs=0"), "train.epochs"),
    bad_setting(
        "value of a missing hierarchy",
        value("hierarchy.file=nothing.json", "hierarchy.strategy=sequential"),
        "nothing.json",
        3,
    ),
    bad_setting("training split that does not exist", options("--train-split", "nothing"), "nothing", 3),
    bad_setting("training split outside", options("--train-split", "../../x"), "../../x", 3),
    bad_setting("training split of a long name", options("--train-split", "x" * 300), "no split", 3),
    bad_setting("time that is none", options("--max-time", "soon"), "soon"),
    bad_setting("nothing to resume", options("--resume"), "no run to resume"),
)
