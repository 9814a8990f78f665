"""Option types, and the options by which every command that takes a TRACE has it read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from pilotlight.errors import TraceError
from pilotlight.traces.placement import PLACEMENTS
from pilotlight.traces.read_options import TIME_UNITS, ReadOptions
from pilotlight.traces.readers.request_csv import parse_columns
from pilotlight.traces.reading import FORMATS
from pilotlight.units import parse_duration

Command = TypeVar("Command", bound=Callable[..., None])


def duration(value: str) -> float:
    """Read a time with its unit, such as ``300s``, ``1.5h`` or ``250ms``, as seconds.

    Raises:
        click.BadParameter: not a duration.
    """
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is {error}") from error


def columns(value: str) -> dict[str, str]:
    """Read a map of columns, such as ``arrival=ts:ms,function=fn``.

    Raises:
        click.BadParameter: not one.
    """
    try:
        return parse_columns(value)
    except TraceError as error:
        raise click.BadParameter(str(error)) from error


DEFAULTS = ReadOptions()

READING = (
    click.option("--requests", type=click.Path(path_type=Path), help="The requests file, if TRACE does not settle it."),
    click.option("--metas", type=click.Path(path_type=Path), help="The metas file, if TRACE does not settle it."),
    click.option("--format", "format_name", type=click.Choice(list(FORMATS)), help="Of TRACE; told by its files."),
    click.option(
        "--placement",
        type=click.Choice(list(PLACEMENTS)),
        default=DEFAULTS.placement,
        show_default=True,
        help="Where requests lie inside their minute, if TRACE only counts them.",
    ),
    click.option("--memory", "memory_mb", type=int, metavar="MB", help="Of each function, if TRACE does not tell it."),
    click.option(
        "--duration-ms",
        type=float,
        default=DEFAULTS.duration_ms,
        show_default=True,
        help="Of each request, if TRACE does not tell it.",
    ),
    click.option(
        "--prefill-per-s",
        type=float,
        default=DEFAULTS.prefill_per_s,
        show_default=True,
        help="Context tokens that a request takes in a second, if TRACE counts tokens and no time.",
    ),
    click.option(
        "--decode-per-s",
        type=float,
        default=DEFAULTS.decode_per_s,
        show_default=True,
        help="Tokens that it generates in a second, likewise.",
    ),
    click.option(
        "--columns",
        type=columns,
        default="",
        metavar="ROLE=COLUMN[:UNIT],...",
        help="Which column of a CSV file holds what: arrival, end, duration, function, status, memory_mb, and more.",
    ),
    click.option(
        "--time-unit",
        type=click.Choice(list(TIME_UNITS)),
        default=DEFAULTS.time_unit,
        show_default=True,
        help="Of its numbers.",
    ),
)
"""Their names, `format_name` apart, are those of `ReadOptions`, which says what each means."""


def reading_options(command: Command) -> Command:
    """Give a command the options of `READING`."""
    for option in reversed(READING):
        command = option(command)
    return command


def take_read_options(given: dict[str, Any]) -> ReadOptions:
    """Take what concerns reading out of a command's values; the seed stays in, commands have their own uses of it."""
    names = [field.name for field in fields(ReadOptions)]
    return ReadOptions(**{name: given["seed"] if name == "seed" else given.pop(name) for name in names})
