"""The folder of a run: made, never overwritten, taken up again."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lstm2d.config import RunConfig, apply_overrides, dump_toml, from_dict
from lstm2d.errors import ConfigError
from lstm2d.io.atomic import make_folder, write_text

FIXED = ("preset", "model", "data", "train.seed", "train.optimizer", "train.average", "train.class_weights")


class RunFolder:
    """Names of what a run folder holds.

    Parameters
    ----------
    path : Path
        The folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model.safetensors"

    def leftovers(self) -> list[Path]:
        """Return files that a killed process was writing; none of them ever got its name."""
        return [path for folder in (self.path, self.checkpoints) for path in folder.glob(".lstm2d-*.tmp")]

    def sweep(self) -> None:
        """Delete what a killed process was writing."""
        for path in self.leftovers():
            with suppress(OSError):  # it costs only room
                path.unlink()

    def check_free(self) -> None:
        """Make sure that nothing is overwritten.

        Raises
        ------
        ConfigError
            If something is in the folder already.
        """
        if not self.path.exists() or (
            self.path.is_dir() and not set(self.path.iterdir()) - set(self.leftovers())
        ):
            return
        hint = "choose another folder"
        if self.config.is_file():
            hint = "add --resume to go on with the run in it, or choose another folder"
        what = "the run folder is not empty" if self.path.is_dir() else "the run folder is a file"
        raise ConfigError(what, where=self.path, expected="a new or empty folder", hint=hint)

    def create(self, config: RunConfig) -> None:
        """Make the folder and write config.toml with every value.

        Parameters
        ----------
        config : RunConfig
            Configuration of the run.

        Raises
        ------
        ConfigError
            If something is in the folder already.
        OutputError
            If it cannot be written.
        """
        self.check_free()
        make_folder(self.path)
        write_text(self.config, dump_toml(config))

    def reopen(self, preset: str, overrides: Iterable[tuple[str, str]] = ()) -> RunConfig:
        """Return the configuration of the run that is to be continued.

        Parameters
        ----------
        preset : str
            Preset or TOML file the user gave; must be the one the run was started with.
        overrides : iterable of (str, str)
            Values the user wants changed, as for `lstm2d.config.resolve`.

        Returns
        -------
        RunConfig
            The run's own, with the changes; written back if there are any.

        Raises
        ------
        ConfigError
            If there is no run, or a change would make the result belong to neither configuration.
        """
        try:
            table = tomllib.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"no run to resume ({reason})",
                where=self.config,
                expected="a folder that `lstm2d train` wrote",
                hint="leave out --resume to start one",
            ) from error
        before = from_dict(table, str(self.config))
        if not preset.endswith(".toml") and preset != before.preset:
            raise ConfigError(
                f"this run was started from {before.preset or 'a file without preset'}, not from {preset}",
                where=self.path,
                hint="give the preset it was started with, or another folder",
            )
        after = apply_overrides(before, overrides)
        wrong = [name for name in changes(before, after) if name.startswith(FIXED)]
        if wrong:
            raise ConfigError(
                f"cannot change {', '.join(wrong)} of a run that has begun",
                where=self.path,
                hint="leave it out, or start a new run, perhaps with --init-from",
            )
        if after != before:
            write_text(self.config, dump_toml(after))
        return after


def changes(before: RunConfig, after: RunConfig) -> list[str]:
    """Return the dotted keys in which two configurations differ."""
    old, new = before.model_dump(), after.model_dump()
    found = []
    for section, values in old.items():
        if isinstance(values, dict):
            found += [f"{section}.{key}" for key, value in values.items() if new[section].get(key) != value]
        elif new[section] != values:
            found.append(section)
    return found
