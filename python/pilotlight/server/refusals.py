"""Refused functions in the log: the first at once, later ones together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import structlog

    from pilotlight._core import Scaler

PAUSE_S = 60.0
"""At most one line in this time; each says how many refusals it stands for."""


class RefusalLog:
    """Tells of requests that were refused because the table of functions is full.

    Args:
        scaler: who refuses.
        log: where the lines go.
    """

    def __init__(self, scaler: Scaler, log: structlog.stdlib.BoundLogger) -> None:
        self._scaler = scaler
        self._log = log
        self._told = 0
        self._told_at = -PAUSE_S

    def look(self) -> None:
        """Write a line if there are new refusals and the last line is old enough."""
        refused = self._scaler.functions_refused
        now = time.monotonic()
        if refused == self._told or now - self._told_at < PAUSE_S:
            return
        self._log.warning(
            "requests of new functions are refused: all that max_functions allows, or 64 versions of one key, are in "
            "use (raise max_functions)",
            refused=refused - self._told,
        )
        self._told, self._told_at = refused, now
