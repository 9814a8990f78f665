"""Option types that the commands on traces share."""

from __future__ import annotations

import click

from pilotlight.config import parse_duration


def duration(value: str) -> float:
    """Read a time with its unit, such as ``300s``, ``1.5h`` or ``250ms``, as seconds.

    Raises:
        click.BadParameter: not a duration.
    """
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is {error}") from error
