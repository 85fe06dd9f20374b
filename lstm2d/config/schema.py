"""Schema of the configuration: every key with its type and range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
)

from lstm2d.models.options import Check, ModelConfig, bare, field_types
from lstm2d.random import MAX_SEED

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Within = Annotated[float, Field(gt=0, lt=1)]
Deviation = Annotated[float, Field(ge=0.1, le=1e6)]
Byte = Annotated[int, Field(ge=0, le=255)]

DURATIONS = 'a duration such as "90m", "2h", "1h30m" or "45s"'
DURATION = re.compile(r"(?:(\d{1,9}(?:\.\d+)?)h)?(?:(\d{1,9}(?:\.\d+)?)m)?(?:(\d{1,9}(?:\.\d+)?)s)?")


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as "90m", "2h", "1h30m" or "45s".

    Parameters
    ----------
    text : str
        Hours, minutes and seconds in this order, each optional, each with its unit.

    Returns
    -------
    float
        Seconds; infinity (no limit) for the empty string.

    Raises
    ------
    ValueError
        If the text is not a duration greater than zero.
    """
    if not text:
        return float("inf")
    match = DURATION.fullmatch(text.replace(" ", ""))
    seconds = 0.0
    if match:
        seconds = sum(
            float(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True)
        )
    if seconds <= 0:
        raise ValueError(DURATIONS)
    return seconds


class Section(BaseModel):
    """Base of all sections: immutable, without unknown keys or silent conversions."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )


class ModelSection(Section):
    """Base of the section ``[model]``; `model_section` adds the keys of a kind of network."""

    model_config: ClassVar[ConfigDict] = ConfigDict(validate_default=True)

    kind: str


def model_section(kind: str, config: type[ModelConfig]) -> type[ModelSection]:
    """Build the section ``[model]`` of a kind of network from its options.

    Parameters
    ----------
    kind : str
        The value of ``model.kind``.
    config : type of ModelConfig
        Options of the network; its fields become the keys of the section, with tuples as lists.

    Returns
    -------
    type of ModelSection
        Schema of the section.
    """
    types = field_types(config)
    options: dict[str, Any] = {"kind": (Literal[kind], ...)}
    for field in fields(config):
        default = field.default
        value = ... if default is MISSING else list(default) if isinstance(default, tuple) else default
        options[field.name] = (_in_toml(types[field.name]), value)
    return create_model(config.__name__, __base__=ModelSection, **options)


def _in_toml(annotation: Any) -> Any:
    """Convert the annotation of an option: tuples to lists, checks to pydantic validators."""
    if get_origin(annotation) is Annotated:
        metadata: list[Any] = []
        for rule in annotation.__metadata__:
            metadata += _validation(rule) if isinstance(rule, Check) else [rule]
        return Annotated[(_in_toml(bare(annotation)), *metadata)]
    if get_origin(annotation) is tuple:
        return list[_in_toml(get_args(annotation)[0])]  # type: ignore[misc]
    return annotation


def _validation(check: Check) -> list[Any]:
    """Return a check as pydantic metadata."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        if problem := check.problem(value, info.data):
            raise ValueError(problem)
        return value

    return [AfterValidator(validate), Field(description=check.words or None)]


class GroupSection(Section):
    """``[train.groups.PART]``: training options of a part of the network."""

    rate: NonNegative = 1.0
    frozen: bool = False


def group_tables(groups: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """Return the tables of ``[train.groups]`` by the names of their parts.

    Parameters
    ----------
    groups : mapping
        Tables, possibly nested: in TOML and in overrides a dot in the name of a part starts a new table.
    part : str, optional
        Name of the part that contains this table.

    Returns
    -------
    dict of str to dict
        ``{"lstm": {"0": {"rate": 2}}}`` and ``{"lstm.0": {"rate": 2}}`` both give the second.
    """
    found: dict[str, Any] = {}
    for key, value in groups.items():
        name = f"{part}.{key}" if part else key
        if part and not isinstance(value, Mapping):
            found.setdefault(part, {})[key] = value
        elif isinstance(value, Mapping):
            for inner, table in group_tables(value, name).items() or [(name, {})]:
                found[inner] = {**found.get(inner, {}), **table}
        else:
            found[name] = value
    return found


class TrainSection(Section):
    """``[train]``: training options.

    Learning-rate factors multiply: those of `groups`, `new_rate` for every layer outside of an imported
    backbone (all layers of a network without one), and `bias_rate` for biases.
    """

    optimizer: Literal["sgd", "adadelta"] = "sgd"
    learning_rate: Positive = 6e-6
    momentum: Fraction = 0.9
    rho: Fraction = 0.95
    eps: Positive = 1e-6
    init: Literal["all", "matching"] = "all"
    batch: Annotated[int, Field(ge=1, le=1024)] = 1
    weight_decay: NonNegative = 0.0
    clip_norm: NonNegative = 3000.0
    schedule: Literal["constant", "linear", "cosine", "step"] = "cosine"
    step_factor: Annotated[float, Field(gt=1)] = 10.0
    step_every: Annotated[int, Field(ge=0)] = 0
    step_at: Annotated[list[Within], Field(validate_default=True)] = []
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=1)] = 100
    steps: Annotated[int, Field(ge=0)] = 0
    max_time: Annotated[str, Field(description=f'"" or {DURATIONS}')] = ""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    flip: bool = True
    crop: list[Annotated[int, Field(ge=1, le=8192)]] = []
    scale_jitter: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    rotation: Annotated[float, Field(ge=0, le=45)] = 0.0
    brightness_jitter: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    new_rate: NonNegative = 1.0
    bias_rate: NonNegative = 1.0
    whiten: NonNegative = 0.0
    groups: dict[str, GroupSection] = {}
    examples: Literal["images", "patches", "superpixels"] = "images"
    patches: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    class_weights: Literal["none", "median_frequency", "inverse"] | list[NonNegative] = "none"
    average: Fraction = 0.0
    validate_every: Annotated[int, Field(ge=1)] = 1
    patience: Annotated[int, Field(ge=0)] = 0
    select: Literal["pixel_accuracy", "class_accuracy", "mean_iou", "foreground_iou"] = "pixel_accuracy"
    checkpoint_minutes: NonNegative = 5.0

    @field_validator("crop")
    @classmethod
    def _whole_images_or_a_size(cls, crop: list[int]) -> list[int]:
        if len(crop) not in (0, 2):
            raise ValueError("no values (whole images) or 2: rows, columns")
        return crop

    @field_validator("groups", mode="before")
    @classmethod
    def _named_by_part(cls, groups: Any) -> Any:
        return group_tables(groups) if isinstance(groups, dict) else groups

    @field_validator("step_at")
    @classmethod
    def _says_when(cls, fractions: list[float], info: ValidationInfo) -> list[float]:
        every = info.data.get("step_every")  # None if it is invalid
        if info.data.get("schedule") == "step" and every is not None and bool(fractions) == bool(every):
            raise ValueError(
                'fractions of the run, or a number of steps in step_every, for schedule = "step"'
            )
        return fractions

    @field_validator("max_time")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        parse_duration(text)
        return text


class DataSection(Section):
    """``[data]``: splits, preprocessing and caching of the images."""

    train_split: str = "train"
    val_split: str = "val"
    val: Fraction = 0.1
    mean: list[Annotated[float, Field(ge=-1e4, le=1e4)]] = []
    std: list[Annotated[float, Field(ge=1e-4, le=1e4)]] = []
    contrast: Literal["none", "local", "image"] = "none"
    size: Literal["native"] | Annotated[float, Field(ge=1, le=32768)] = "native"
    bits: Annotated[int, Field(ge=0, le=16)] = 0
    background: Annotated[list[Byte], Field(min_length=3, max_length=3)] = [255, 255, 255]
    cache_gib: NonNegative = 2.0
    feature_cache: Literal["float16", "float32", "off"] = "float16"
    feature_cache_gib: NonNegative = 20.0

    @field_validator("mean", "std")
    @classmethod
    def _none_or_one_per_channel(cls, values: list[float]) -> list[float]:
        if len(values) not in (0, 3):
            raise ValueError("no values (measured on the training images) or 3: red, green, blue")
        return values


class CRFSection(Section):
    """``[crf]``: a fully connected CRF applied to the predictions."""

    iterations: Annotated[int, Field(ge=1, le=1000)] = 2
    bilateral_weight: NonNegative = 10.0
    theta_alpha: Deviation = 80.0
    theta_beta: Deviation = 13.0
    spatial_weight: NonNegative = 3.0
    theta_gamma: Deviation = 3.0
    normalisation: Literal["symmetric", "after"] = "symmetric"
    exact: bool = False


STAGES = {"sequential": 4, "hierarchical": 2}  # number of stages of each strategy


class HierarchySection(Section):
    """``[hierarchy]``: training with a label hierarchy."""

    file: Annotated[str, Field(min_length=1, description="the file of a label hierarchy")]
    strategy: Literal["sequential", "hierarchical"]
    alpha: NonNegative = 1.0
    beta: NonNegative = 0.00025
    epochs: list[Annotated[int, Field(ge=0, le=1_000_000)]] = []
    minutes: list[Positive] = []
    train_on_filled: bool = False

    @field_validator("epochs", "minutes")
    @classmethod
    def _none_or_one_per_stage(cls, values: list[float], info: ValidationInfo) -> list[float]:
        strategy = info.data.get("strategy")  # None if it is invalid
        if strategy is not None and len(values) not in (0, STAGES[strategy]):
            raise ValueError(f'no values, or {STAGES[strategy]}: one per stage of strategy = "{strategy}"')
        if values and not values[-1]:
            raise ValueError("a last stage of 1 epoch or more: it trains the model")
        return values


class RunConfig(Section):
    """All settings of a training run.

    Parameters
    ----------
    preset : str
        Name of the preset that the configuration is based on.
    model : dict
        Section ``[model]``, complete and checked against the model kind.
    train : TrainSection
        Section ``[train]``.
    data : DataSection
        Section ``[data]``.
    crf : CRFSection or None
        Section ``[crf]``; None if the configuration has none.
    hierarchy : HierarchySection or None
        Section ``[hierarchy]``; None if the configuration has none.
    """

    preset: str = ""
    model: dict[str, Any]
    train: TrainSection = TrainSection()
    data: DataSection = DataSection()
    crf: CRFSection | None = None
    hierarchy: HierarchySection | None = None

    @model_serializer(mode="wrap")
    def _without_absent_sections(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialise(self).items() if value is not None}


# section -> key -> key and value that it requires to be used
USED_ONLY_WITH: dict[str, dict[str, tuple[str, str]]] = {
    "train": {
        "momentum": ("optimizer", "sgd"),
        "rho": ("optimizer", "adadelta"),
        "eps": ("optimizer", "adadelta"),
        "step_factor": ("schedule", "step"),
        "step_every": ("schedule", "step"),
        "step_at": ("schedule", "step"),
    },
    "hierarchy": {"alpha": ("strategy", "hierarchical"), "beta": ("strategy", "hierarchical")},
}
