"""The options of a network: a dataclass with annotated bounds, checked when it is made."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, GroupedMetadata, Gt, Interval, Le, Lt, MaxLen, MinLen

from lstm2d.errors import ConfigError

BOUNDS: tuple[tuple[type, str, str, Callable[[Any, Any], bool]], ...] = (
    (Ge, "ge", ">=", operator.ge),
    (Gt, "gt", ">", operator.gt),
    (Le, "le", "<=", operator.le),
    (Lt, "lt", "<", operator.lt),
)
NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "a text", dict: "a table"}

MAX_LAYERS = 8
Units = Annotated[int, Interval(ge=1, le=4096)]
Loss = Literal["sum", "mean"]


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on an option that bounds cannot express.

    Parameters
    ----------
    test : callable
        Gets the option and the options in `needs`; returns the expected values in words, "" if it fits.
    needs : tuple of str, default ()
        Names of options that are defined before this one.
    words : str, default ""
        The expected values in words, for a value of another type.
    """

    test: Callable[..., str]
    needs: tuple[str, ...] = ()
    words: str = ""

    def problem(self, value: Any, others: Mapping[str, Any]) -> str:
        """Return the expected values in words; "" if the value fits, or a needed option is missing."""
        if any(name not in others for name in self.needs):
            return ""
        return self.test(value, *(others[name] for name in self.needs))


@dataclass(frozen=True, slots=True)
class Retired:
    """An option of earlier versions: old files may hold it, with the value that had no effect.

    Parameters
    ----------
    value : object
        The only value that is accepted, and then ignored.
    hint : str
        Why it is gone and what takes its place.
    """

    value: object
    hint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Base of the options of a network.

    Each field is an int, a finite float, a bool, a str, a Literal or a tuple of these, with bounds of
    `annotated_types` or a `Check` in its annotation. Where a tuple or a float is expected, a list or an int,
    as TOML and JSON hold them, is converted.

    Raises
    ------
    ConfigError
        If a value is out of its range; the message has all of them.
    """

    title: ClassVar[str] = "network"  # in messages
    retired: ClassVar[Mapping[str, Retired]] = {}

    def __post_init__(self) -> None:
        valid: dict[str, Any] = {}
        wrong: list[str] = []
        for name, annotation in field_types(type(self)).items():
            value = _converted(getattr(self, name), annotation)
            object.__setattr__(self, name, value)
            if not fits(value, annotation):
                wrong.append(f"{name} = {value!r}, expected {expected(annotation)}")
            if fits(value, annotation, bounds=False):
                valid[name] = value
                problems = (check.problem(value, valid) for check in checks(annotation))
                wrong += [f"{name} = {value!r}, expected {problem}" for problem in problems if problem]
        if wrong:
            raise ConfigError("; ".join(wrong), where=self.title)

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> Self:
        """Return the options in section ``[model]`` of a configuration.

        Parameters
        ----------
        section : mapping
            The fields, and ``"kind"``.

        Returns
        -------
        ModelConfig
            Checked.

        Raises
        ------
        ConfigError
            If a field is missing, unknown or out of its range.
        """
        values, wrong = without_retired(cls, section)
        if wrong:
            name = wrong[0]
            what = f"model.{name} = {values[name]!r} is no option any more"
            raise ConfigError(what, expected=repr(cls.retired[name].value), hint=cls.retired[name].hint)
        values.pop("kind", None)
        names = [f.name for f in fields(cls)]
        unknown = [name for name in values if name not in names]
        missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in values]
        if unknown or missing:
            text = [f"unknown {', '.join(unknown)}"] * bool(unknown)
            text += [f"no {', '.join(missing)}"] * bool(missing)
            raise ConfigError(f"[model]: {'; '.join(text)}", expected=", ".join(["kind", *names]))
        return cls(**values)


def without_retired(
    config: type[ModelConfig], section: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Drop the options of earlier versions from a section, as far as they have no effect.

    Parameters
    ----------
    config : type of ModelConfig
        Options of the network.
    section : mapping
        Names and values.

    Returns
    -------
    values : dict
        The section without them.
    wrong : list of str
        Names of retired options that are still in it, since they have another value.
    """
    old = [name for name in config.retired if name in section]
    wrong = [name for name in old if section[name] != config.retired[name].value]
    return {name: value for name, value in section.items() if name in wrong or name not in old}, wrong


def field_types(config: type[ModelConfig]) -> dict[str, Any]:
    """Return the annotation of each field of a config class, in the order of definition."""
    hints = get_type_hints(config, include_extras=True)
    return {f.name: hints[f.name] for f in fields(config)}


def bare(annotation: Any) -> Any:
    """Return the type in an annotation, without its bounds."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def checks(annotation: Any) -> Iterator[Check]:
    """Yield the checks in an annotation."""
    return (rule for rule in getattr(annotation, "__metadata__", ()) if isinstance(rule, Check))


def fits(value: Any, annotation: Any, *, bounds: bool = True) -> bool:
    """Tell whether a value has the type of an annotation and, with `bounds`, lies within its bounds."""
    if get_origin(annotation) is Annotated:
        inside = not bounds or all(_obeys(value, rule) for rule in _single(annotation.__metadata__))
        return fits(value, bare(annotation), bounds=bounds) and inside
    if get_origin(annotation) is Literal:
        return any(value == known and type(value) is type(known) for known in get_args(annotation))
    if get_origin(annotation) is tuple:
        item = get_args(annotation)[0]
        return isinstance(value, tuple) and all(fits(v, item, bounds=bounds) for v in value)
    if annotation is not bool and isinstance(value, bool):
        return False
    return isinstance(value, annotation) and (annotation is not float or isfinite(value))


def expected(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Return the values that an annotation allows, in words.

    Parameters
    ----------
    annotation : type
        Of a field; a list stands for a tuple.
    metadata : iterable, optional
        Bounds and checks that the annotation does not hold itself.

    Returns
    -------
    str
        Such as "an integer >= 1 and <= 64".
    """
    if hasattr(annotation, "__metadata__"):  # Annotated
        return expected(bare(annotation), annotation.__metadata__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return ", or ".join(expected(part) for part in arguments)
    rules = _single(metadata)
    words = [rule.words for rule in rules if isinstance(rule, Check) and rule.words]
    if words:
        return words[0]
    if origin in (list, tuple):
        return f"a list of {_length(rules)}, each {expected(arguments[0])}"
    bounds = [
        f"{symbol} {getattr(rule, attribute)}"
        for rule in rules
        for kind, attribute, symbol, _ in BOUNDS
        if isinstance(rule, kind)
    ]
    return " ".join([NAMES.get(origin or annotation, "a table"), " and ".join(bounds)]).rstrip()


def _length(rules: Iterable[Any]) -> str:
    """Return the number of values that a list may have, in words."""
    least = [rule.min_length for rule in rules if isinstance(rule, MinLen)]
    most = [rule.max_length for rule in rules if isinstance(rule, MaxLen)]
    if most:
        return f"{least[0] if least else 0} to {most[0]} values"
    return f"at least {least[0]} values" if least else "values"


def _single(metadata: Iterable[Any]) -> list[Any]:
    """Return bounds one by one: those in a group, and those in a field of pydantic."""
    found: list[Any] = []
    for item in metadata:
        inner = item if isinstance(item, GroupedMetadata) else getattr(item, "metadata", None)
        found += [item] if inner is None else _single(inner)
    return found


def _obeys(value: Any, rule: Any) -> bool:
    """Tell whether a value lies within one bound."""
    try:
        if isinstance(rule, MinLen):
            return len(value) >= rule.min_length
        if isinstance(rule, MaxLen):
            return len(value) <= rule.max_length
        return all(
            holds(value, getattr(rule, attribute))
            for kind, attribute, _, holds in BOUNDS
            if isinstance(rule, kind)
        )
    except TypeError:  # of another type than the bound is for
        return False


def _converted(value: Any, annotation: Any) -> Any:
    """Return a value with tuples for lists and floats for ints, where the annotation asks for them."""
    annotation = bare(annotation)
    if get_origin(annotation) is tuple and isinstance(value, list | tuple):
        return tuple(_converted(item, get_args(annotation)[0]) for item in value)
    if annotation is float and type(value) is int:
        with suppress(OverflowError):  # stays an int, which is then refused
            return float(value)
    return value
