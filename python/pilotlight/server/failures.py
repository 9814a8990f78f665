"""Failed platform calls in the log, at a bounded rate: a platform that is gone fails thousands of calls at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pilotlight.errors import PlatformError

if TYPE_CHECKING:
    import structlog

PAUSE_S = 1.0
"""At most one line a call kind in this time; the next line says how many failures it stands for."""


class FailureLog:
    """Writes the first failure of each kind of call at once, later ones together.

    Args:
        log: where the lines go.
    """

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log
        self._written_at: dict[str, float] = {}
        self._unwritten: dict[str, int] = {}

    def report(self, call: str, slot: int, error: Exception) -> None:
        """Note one failure; an error that no platform raises on purpose is always written, with its traceback."""
        if not isinstance(error, PlatformError):
            self._log.error("a platform call broke", call=call, slot=slot, exc_info=error)
            return
        now = time.monotonic()
        failures = self._unwritten.pop(call, 0) + 1
        if now - self._written_at.get(call, -PAUSE_S) < PAUSE_S:
            self._unwritten[call] = failures
            return
        self._written_at[call] = now
        self._log.warning("a platform call failed", call=call, slot=slot, error=str(error), failures=failures)
