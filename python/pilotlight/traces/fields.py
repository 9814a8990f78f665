"""Checks JSON objects, one a line, against the fields their format wants, and words what is wrong with them.

The careful half of every JSON-lines reader: it looks at one line at a time and knows where that line is. Readers that
are fast on well-formed blocks come here for the blocks that are not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from pilotlight.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pilotlight.traces.lines import Block

SHOWN_CHARACTERS = 60
"""How much of a wrong value an error text repeats."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A field that holds a whole number from `low` to `high`; `meaning` is its unit or sense, for error texts."""

    name: str
    low: int
    high: int
    meaning: str

    def value(self, found: object) -> int:
        """Return the number.

        Raises:
            TraceError: it is not a whole number (a boolean is none), or out of range.
        """
        if type(found) is not int:
            raise TraceError(f"{self.name} is {shown(found)}; it must be a whole number ({self.meaning})")
        if not self.low <= found <= self.high:
            raise TraceError(
                f"{self.name} is {shown(found)}; it must be from {self.low} to {self.high} ({self.meaning})"
            )
        return found


@dataclass(frozen=True, slots=True)
class Text:
    """A field that holds a string; `meaning` says of what, for error texts."""

    name: str
    may_be_empty: bool
    meaning: str

    def value(self, found: object) -> str:
        """Return the string.

        Raises:
            TraceError: it is not a string, is empty where that says nothing, or holds half a surrogate pair.
        """
        if not isinstance(found, str):
            raise TraceError(f"{self.name} is {shown(found)}; it must be a string ({self.meaning})")
        if not found and not self.may_be_empty:
            raise TraceError(f"{self.name} is empty; it must be {self.meaning}")
        if not found.isascii() and any("\ud800" <= character <= "\udfff" for character in found):
            raise TraceError(f"{self.name} is {shown(found)}, not valid Unicode; write it without \\ud8xx escapes")
        return found


def read_objects(block: Block, fields: Sequence[Whole | Text]) -> Iterator[tuple[int, list[int | str]]]:
    """Yield the line number and the values of `fields`, in their order, for every line that is not blank.

    Args:
        block: the lines.
        fields: what each object must hold; it may hold more.

    Raises:
        TraceError: a line is not a JSON object, or a field is missing or wrong; the text starts with `file:line`.
    """
    for line, text in enumerate(block.lines, block.first_line):
        if not text or text.isspace():
            continue
        try:
            values = _parse(text, fields)
        except TraceError as error:
            raise TraceError(f"{block.path}:{line}: {error}") from error
        yield line, values


def _parse(text: str, fields: Sequence[Whole | Text]) -> list[int | str]:
    """Parse one line."""
    try:
        found = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise TraceError(f"not JSON: {error.msg} at column {error.colno}; found {shown(text)}") from error
    except (ValueError, RecursionError) as error:  # NaN, numbers of thousands of digits, thousands of brackets
        raise TraceError(f"not usable JSON: {shown(str(error))}; found {shown(text)}") from error
    if not isinstance(found, dict):
        raise TraceError(f"found {shown(found)}; each line must be a JSON object in braces")
    for field in fields:
        if field.name not in found:
            have = shown(", ".join(found) or "no field")
            raise TraceError(f"the field {field.name} is missing ({field.meaning}); the line has {have}")
    return [field.value(found[field.name]) for field in fields]


def shown(value: object) -> str:
    """Render a wrong value for an error text: one line, not long, safe for a terminal."""
    if isinstance(value, str):
        text = value if value.isprintable() else ascii(value[: SHOWN_CHARACTERS + 1])
    else:
        try:
            text = json.dumps(value)
        except ValueError:  # a whole number of thousands of digits has no text
            text = "a very long number"
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _refuse_constant(name: str) -> NoReturn:
    """Refuse what Python's parser accepts and JSON does not: NaN, Infinity, -Infinity."""
    raise ValueError(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
