"""The values that settings take: how each kind is read, and how defaults and ranges are written for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator

from pilotlight.units import format_duration, format_memory, parse_duration, parse_memory

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:\s/]+):(?P<port>\d{1,5})")
_MAX_PORT = 65535


def split_address(address: str) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 host loses its brackets.

    Raises:
        ValueError: not an address.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > _MAX_PORT:
        raise ValueError("not an address; write host:port, for example 127.0.0.1:9001 or [::1]:9001")
    return match["host"].strip("[]"), int(match["port"])


def _checked_address(address: str) -> str:
    split_address(address)
    return address


def _checked_address_or_off(address: str) -> str:
    return address and _checked_address(address)


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds, written with a unit."""

Memory = Annotated[int, BeforeValidator(parse_memory)]
"""MB, written with a unit."""

Address = Annotated[str, AfterValidator(_checked_address)]
"""``host:port``."""

OptionalAddress = Annotated[str, AfterValidator(_checked_address_or_off)]
"""``host:port``; empty turns the thing off."""


def choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the words a field is limited to; empty when it is not."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def default_text(field: FieldInfo) -> str:
    """Write a field's default as a user would."""
    if _is_duration(field):
        return format_duration(field.default)
    if _is_memory(field):
        return format_memory(field.default)
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def allowed(field: FieldInfo) -> str:
    """Say what values a field takes, with its unit and range."""
    if choices(field):
        return "one of " + ", ".join(choices(field))
    if field.annotation is bool:
        return "true or false"
    if field.annotation is str:
        if _checked_address_or_off in _validators(field):
            return "host:port, or empty"
        return "host:port" if _checked_address in _validators(field) else "text"
    write: Any = format_duration if _is_duration(field) else format_memory if _is_memory(field) else str
    bounds = {
        side: getattr(rule, side) for rule in field.metadata for side in ("gt", "ge", "le") if hasattr(rule, side)
    }
    kind = (
        "duration"
        if _is_duration(field)
        else "memory size"
        if _is_memory(field)
        else "integer"
        if field.annotation is int
        else "number"
    )
    least = f"above {write(bounds['gt'])}" if "gt" in bounds else f"{write(bounds['ge'])} or more"
    return f"{kind}, {least}" + (f", at most {write(bounds['le'])}" if "le" in bounds else "")


def _validators(field: FieldInfo) -> list[object]:
    return [getattr(rule, "func", None) for rule in field.metadata]


def _is_duration(field: FieldInfo) -> bool:
    return parse_duration in _validators(field)


def _is_memory(field: FieldInfo) -> bool:
    return parse_memory in _validators(field)
