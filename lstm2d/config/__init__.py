"""Configuration of a run: presets, TOML files and overrides, checked before any image is read."""

from lstm2d.config.load import (
    apply_overrides,
    dump_toml,
    from_dict,
    is_file,
    load_preset,
    load_toml,
    preset_names,
    resolve,
)
from lstm2d.config.schema import DataSection, RunConfig, TrainSection, parse_duration

__all__ = [
    "DataSection",
    "RunConfig",
    "TrainSection",
    "apply_overrides",
    "dump_toml",
    "from_dict",
    "is_file",
    "load_preset",
    "load_toml",
    "parse_duration",
    "preset_names",
    "resolve",
]
