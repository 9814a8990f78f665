"""Parameters of a specification such as `bursty:calm=1m,factor=20`: what there is, what is allowed, how it is read.

Kinds of load and models of starts are chosen by specifications; both read them here, so that they are written alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from pilotlight.units import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilotlight.errors import PilotlightError

SIZE_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|KB|MB|GB|TB)")


class Parameter(NamedTuple):
    """A value that a specification may set.

    Attributes:
        name: as the specification has it.
        default: unless told otherwise; a time is in seconds, a size in bytes, a rate in bytes a second.
        low: least value allowed.
        high: greatest value allowed.
        meaning: one phrase.
        sort: a `time` is written with its unit, such as `90s`; a `size` such as `16GB`, of 1024 MB each; a `rate` such
            as `2GB/s`; a `count` is a whole number; a `text` is taken as it is, may hold commas, and has no range.
    """

    name: str
    default: float | str
    low: float
    high: float
    meaning: str
    sort: Literal["number", "count", "time", "size", "rate", "text"] = "number"

    @property
    def argument(self) -> str:
        """What code calls it: a time ends in its unit."""
        return f"{self.name}_s" if self.sort == "time" else self.name

    def shown(self, value: float | str) -> str:
        """Write a value the way a specification does."""
        if isinstance(value, str):
            return value
        if self.sort == "time":
            return format_duration(value)
        if self.sort in {"size", "rate"}:
            return format_size(value) + ("/s" if self.sort == "rate" else "")
        return f"{value:g}"

    @property
    def range(self) -> str:
        """What values are allowed, in words."""
        return "text" if self.sort == "text" else f"{self.shown(self.low)} to {self.shown(self.high)}"

    def read(self, text: str) -> float | str:
        """Read a value the way a specification writes it.

        Raises:
            ValueError: it is none, or out of range; the text begins with the parameter's name.
        """
        if self.sort == "text":
            return text
        readers: dict[str, Callable[[str], float]] = {
            "number": float,
            "count": int,
            "time": parse_duration,
            "size": parse_size,
            "rate": lambda rate: parse_size(rate.removesuffix("/s")),
        }
        try:
            value = readers[self.sort](text)
        except ValueError as error:
            reason = {"number": "not a number", "count": "not a whole number"}.get(self.sort, str(error))
            raise ValueError(f"{self.name} is {text!r}, {reason}") from error
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name} is {text}; it must be from {self.range}")
        return value


def read_settings(
    name: str, settings: str | None, parameters: Sequence[Parameter], error_type: type[PilotlightError]
) -> dict[str, float | str]:
    """Read what follows the colon of a specification.

    Args:
        name: what comes before the colon, for error texts.
        settings: None: there is no colon.
        parameters: what may be set.
        error_type: what to raise.

    Returns:
        A value for every parameter, under its `argument`.

    Raises:
        PilotlightError: of the type given; a setting is wrong.
    """
    known = {parameter.name: parameter for parameter in parameters}
    given: dict[str, str] = {}
    key = ""
    for setting in () if settings is None else settings.split(","):
        if "=" not in setting and key and known[key].sort == "text":
            given[key] += f",{setting}"  # texts may hold commas
            continue
        key, _, text = setting.partition("=")
        if key not in known:
            raise error_type(f"{name} has no parameter {key!r}; it has {', '.join(known) or 'none'}")
        if key in given:
            raise error_type(f"{name}: {key} is given twice; keep one of them")
        given[key] = text
    try:
        values = {key: known[key].read(text) for key, text in given.items()}
    except ValueError as error:
        raise error_type(f"{name}: {error}") from error
    return {each.argument: values.get(each.name, each.default) for each in parameters}


def parse_size(text: str) -> float:
    """Read a size such as ``16GB`` as bytes.

    Raises:
        ValueError: it is none.
    """
    matched = _SIZE.fullmatch(text)
    if matched is None:
        raise ValueError("not a size; write a number and its unit, such as 500MB or 16GB")
    return float(matched[1]) * SIZE_UNITS[matched[2]]


def format_size(size: float) -> str:
    """Write bytes with the largest unit that leaves a number of at least 1."""
    unit = next((unit for unit in reversed(SIZE_UNITS) if size >= SIZE_UNITS[unit]), "B")
    return f"{size / SIZE_UNITS[unit]:g}{unit}"
