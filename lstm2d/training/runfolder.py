"""The folder of a run: create it without overwriting anything, and reopen it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lstm2d.config import RunConfig, apply_overrides, dump_toml, from_dict, is_file
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.atomic import make_folder, write_text
from lstm2d.io.locks import is_temporary, locked_folder, sweep
from lstm2d.io.parse import BadText, parse_toml
from lstm2d.io.safe_open import read_text
from lstm2d.predict.held_out import RECORD, listed, read_record, record_text
from lstm2d.training.checkpoint import file_name

FIXED = (
    "preset",
    "model",
    "data",
    "train.seed",
    "train.init",
    "train.batch",
    "train.optimizer",
    "train.average",
    "train.class_weights",
    "hierarchy.strategy",
)
FREE = (
    "data.cache_gib",
    "data.feature_cache_gib",
    "train.epochs",
    "train.steps",
    "train.max_time",
    "train.patience",
    "train.validate_every",
    "train.checkpoint_minutes",
    "crf",
    "hierarchy.file",
    "hierarchy.epochs",
    "hierarchy.minutes",
)


class RunFolder:
    """Paths in a run folder.

    Parameters
    ----------
    path : Path
        The folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.identity = path / RECORD
        self.checkpoints = path / "checkpoints"
        self.model = path / "model.safetensors"

    def temporary(self) -> list[Path]:
        """Return files that a killed process was writing under a temporary name."""
        folders = (self.path, self.checkpoints)
        return [
            path for folder in folders for path in folder.glob(".lstm2d-*.tmp") if is_temporary(path.name)
        ]

    def sweep(self) -> None:
        """Delete the temporary files of killed processes."""
        for folder in (self.path, self.checkpoints):
            sweep(folder)

    def check_free(self) -> None:
        """Check that nothing would be overwritten.

        Raises
        ------
        ConfigError
            If the folder contains anything besides leftovers of a run that was killed before it began.
        """
        if not os.path.exists(self.path):
            return
        if not os.path.isdir(self.path):
            raise ConfigError("the run folder is a file", where=self.path, hint="choose another folder")
        begun = {self.checkpoints, self.checkpoints / file_name(0), self.identity, *self.temporary()}
        if set(self.path.rglob("*")) <= begun:
            return
        hint = "choose another folder"
        if os.path.isfile(self.config):
            hint = "add `resume=True` to go on with the run in it, or choose another folder"
        raise ConfigError(
            "the run folder is not empty", where=self.path, expected="a new or empty folder", hint=hint
        )

    def write_config(self, config: RunConfig) -> None:
        """Write config.toml with every value; from then on the folder is a run."""
        write_text(self.config, dump_toml(config))

    def write_id(self, run_id: str, held_out: Mapping[str, str]) -> None:
        """Write the name shared by the checkpoints of the run, and the images that it held out."""
        write_text(self.identity, record_text(run_id, held_out))

    def lists_held_out(self) -> bool:
        """Return whether `write_id` has listed the held-out images; earlier versions did not."""
        return os.path.isfile(self.identity) and listed(self.identity) is not None

    def read_id(self) -> str | None:
        """Return the name written by `write_id`; None if the file does not exist or contains no name.

        Returns
        -------
        str or None
            The name.

        Raises
        ------
        DataError
            If the file exists and cannot be read.
        """
        if not os.path.lexists(self.identity):
            return None
        found = read_record(self.identity).get("run")
        return found if isinstance(found, str) else None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second process from training in the folder while the block runs.

        Yields
        ------
        None
            The folder exists and is locked, if the file system supports it.

        Raises
        ------
        ConfigError
            If another process trains in it.
        OutputError
            If it cannot be created.
        """
        make_folder(self.path)
        with locked_folder(self.path, "another process trains in this folder"):
            yield

    def reopen(self, preset: str | None, overrides: Iterable[tuple[str, str]] = ()) -> RunConfig:
        """Return the configuration of the run to resume.

        Parameters
        ----------
        preset : str or None
            Preset or TOML file the user gave; must be the one the run was started with. None for any.
        overrides : iterable of (str, str)
            Values to change, as for `lstm2d.config.resolve`.

        Returns
        -------
        RunConfig
            Configuration of the run with the changes.

        Raises
        ------
        ConfigError
            If there is no run, or a change would mix two configurations in one result.
        """
        if not os.path.lexists(self.config):
            raise ConfigError(
                "no run to resume",
                where=self.config,
                expected="a folder that `lstm2d train` wrote",
                hint="leave out `resume` to start one",
            )
        try:
            table = parse_toml(read_text(self.config))
        except (DataError, BadText) as error:
            reason = error.what if isinstance(error, DataError) else error
            hint = "restore the file; the checkpoints are untouched"
            raise ConfigError(
                f"cannot read the run's configuration ({reason})", where=self.config, hint=hint
            ) from error
        before = from_dict(table, str(self.config))
        if preset is not None and not is_file(preset) and preset != before.preset:
            raise ConfigError(
                f"this run was started from {before.preset or 'a file without preset'}, not from {preset}",
                where=self.path,
                hint="give the preset it was started with, or another folder",
            )
        after = apply_overrides(before, overrides)
        wrong = [name for name in changes(before, after) if is_fixed(name)]
        if wrong:
            raise ConfigError(
                f"cannot change {', '.join(wrong)} of a run that has begun",
                where=self.path,
                hint="leave it out, or start a new run, perhaps with `init_from`",
            )
        return after


def is_fixed(name: str) -> bool:
    """Return whether a value is unchanged since the run began."""
    return name.startswith(FIXED) and name not in FREE


def changes(before: RunConfig, after: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Return the dotted keys in which two configurations differ, with the values before and after."""
    old, new = flat(before), flat(after)
    names = dict.fromkeys([*old, *new])
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def flat(config: RunConfig) -> dict[str, Any]:
    """Return a configuration by dotted keys; ``[crf]``, which may be absent, as one."""
    found = {}
    for section, values in config.model_dump().items():
        if isinstance(values, dict) and section != "crf":
            found.update({f"{section}.{key}": value for key, value in values.items()})
        else:
            found[section] = values
    return found
