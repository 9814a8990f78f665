"""Every error Pilotlight raises, in one tree under `PilotlightError`.

The engine's own come from the compiled core; the rest belong to the Python layers. User-facing texts say what happened,
with which input, and what to do.
"""

from pilotlight._core import (
    ConfigError,
    Draining,
    InstanceNotFound,
    InvalidRequest,
    LoadError,
    Overloaded,
    PilotlightError,
    SlotNotFound,
)


class TraceError(PilotlightError, ValueError):
    """A trace file is missing, unreadable or malformed; the text names the file, the line, the field and the remedy."""


class PlatformError(PilotlightError):
    """A platform call failed for good.

    Args:
        message: what happened.
        may_exist: whether the platform may have carried it out all the same.
        throttled: whether the platform only said that it is asked too much: the same later may succeed.
    """

    def __init__(self, message: str, *, may_exist: bool = False, throttled: bool = False) -> None:
        super().__init__(message)
        self.may_exist = may_exist
        self.throttled = throttled


__all__ = [
    "ConfigError",
    "Draining",
    "InstanceNotFound",
    "InvalidRequest",
    "LoadError",
    "Overloaded",
    "PilotlightError",
    "PlatformError",
    "SlotNotFound",
    "TraceError",
]
