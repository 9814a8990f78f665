"""The ticks of cron expressions, on the clock of generated traces (UTC).

`cronsim` reads the expressions: five fields, or six with seconds first. Called by the law of cron jobs.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np
from cronsim import CronSim, CronSimError

from pilotlight.errors import TraceError
from pilotlight.traces.synth import EPOCH_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_SCHEDULES = ("* * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "10 */2 * * *", "30 3 * * *")
"""What cron jobs there are unless told: every 1, 5, 15, 60 and 120 minutes, and every night."""

MAX_TICKS = 5_000_000
"""Of one expression; more are refused."""


def cron_ticks_s(expression: str, length_s: float) -> NDArray[np.float64]:
    """Return when an expression ticks in `[0, length_s)`, seconds after the clock's start, ascending.

    Raises:
        TraceError: it is no cron expression, or ticks too often for the length.
    """
    begin = datetime.fromtimestamp(EPOCH_MS / 1000, tz=timezone.utc)
    end = begin + timedelta(seconds=length_s)
    try:
        # The library looks for what comes after a moment; a tick at the very start counts.
        moments = CronSim(expression, begin - timedelta(seconds=1))
    except CronSimError as error:
        raise TraceError(f"cron: {expression!r} is no cron expression: {error}; such are '*/5 * * * *'") from error
    ticks_s: list[float] = []
    for moment in moments:
        if moment >= end:
            break
        if len(ticks_s) == MAX_TICKS:
            raise TraceError(f"cron: {expression!r} ticks more than {MAX_TICKS} times; take a shorter length")
        ticks_s.append((moment - begin).total_seconds())
    return np.array(ticks_s, dtype=np.float64)
