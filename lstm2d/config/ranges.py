"""All keys of a configuration with their types and ranges, in words and as JSON schema."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Field, create_model

from lstm2d.config.load import SECTIONS
from lstm2d.config.problems import allowed
from lstm2d.config.schema import Section, model_section
from lstm2d.config.show import toml_value
from lstm2d.models import MODELS


def keys() -> Iterator[tuple[str, str, str | None]]:
    """Yield every key of a configuration.

    Yields
    ------
    key : str
        Dotted; that of a network's option with the kind of the network, "model.window (lstm2d)".
    values : str
        What it may be, in words.
    default : str or None
        Its value in TOML if the file has none; None if it must be given.
    """
    yield "preset", "the name of a preset, whose values are used for missing keys", '""'
    yield "model.kind", " or ".join(f'"{name}"' for name in MODELS), None
    for kind, network in MODELS.items():
        for name, values, default in _keys_of(model_section(kind, network.config)):
            if name != "kind":
                yield f"model.{name} ({kind})", values, default
    for section, schema in SECTIONS.items():
        for name, values, default in _keys_of(schema):
            yield f"{section}.{name}", values, default


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration.

    Returns
    -------
    dict
        Of a complete configuration, without a preset that supplies missing values.
    """
    kinds = [model_section(kind, row.config) for kind, row in MODELS.items()]
    network: Any = reduce(or_, kinds)
    fields: dict[str, Any] = {
        "preset": (str, ""),
        "model": (Annotated[network, Field(discriminator="kind")], ...),
        "train": (SECTIONS["train"], SECTIONS["train"]()),
        "data": (SECTIONS["data"], SECTIONS["data"]()),
        "crf": (SECTIONS["crf"] | None, None),
        "hierarchy": (SECTIONS["hierarchy"] | None, None),
    }
    schema = create_model("Configuration", __base__=Section, **fields).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _keys_of(section: type[Section]) -> Iterator[tuple[str, str, str | None]]:
    """Yield name, values in words, and default of the keys of a section."""
    for name, field in section.model_fields.items():
        yield name, allowed(field), None if field.is_required() else toml_value(field.default)
