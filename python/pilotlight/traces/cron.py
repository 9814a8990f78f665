"""The ticks of cron expressions, on the clock of generated traces.

`cronsim` reads the expressions: five fields, or six with seconds first; `SHORTHANDS` stand for five. Where a time zone
changes its clock, jobs of five fields do as Debian's cron has them:

| minute and hour                  | skipped hour                            | hour that comes twice |
|----------------------------------|-----------------------------------------|-----------------------|
| both fixed, such as `30 2 * * *` | once, when the skipped hour is over     | once, the first time  |
| one begins with `*`              | never                                   | both times            |

Six fields follow the clock on the wall: never in a skipped hour, twice in one that comes twice. Called by the law of
cron jobs.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
from cronsim import CronSim, CronSimError

from pilotlight.errors import TraceError
from pilotlight.traces.synth import EPOCH_MS

if TYPE_CHECKING:
    from datetime import tzinfo

    from numpy.typing import NDArray

DEFAULT_SCHEDULES = ("* * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "10 */2 * * *", "30 3 * * *")
"""What cron jobs there are unless told: every 1, 5, 15, 60 and 120 minutes, and every night."""

SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Names of usual expressions, in any case."""

UTC = "UTC"
MAX_TICKS = 5_000_000
"""Of one expression; more are refused."""


def zone_named(name: str) -> tzinfo:
    """Return a time zone.

    Raises:
        TraceError: it is not known.
    """
    if name == UTC:
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise TraceError(
            f"cron: the time zone {name!r} is not known; take a name such as Europe/Berlin or {UTC}"
        ) from error


def cron_ticks_s(expression: str, length_s: float, zone: tzinfo = timezone.utc) -> NDArray[np.float64]:
    """Return when an expression ticks in `[0, length_s)`, seconds after the clock's start, ascending.

    Args:
        expression: five fields, six, or a shorthand.
        length_s: of the trace.
        zone: whose clock the expression is about.

    Raises:
        TraceError: it is no cron expression, or ticks too often for the length.
    """
    begin = datetime.fromtimestamp(EPOCH_MS / 1000, tz=timezone.utc)
    end = begin + timedelta(seconds=length_s)
    fields = expression.strip()
    try:
        # The library looks for what comes after a moment; a tick at the very start counts.
        moments = CronSim(SHORTHANDS.get(fields.lower(), fields), (begin - timedelta(seconds=1)).astimezone(zone))
    except CronSimError as error:
        known = ", ".join(SHORTHANDS)
        raise TraceError(
            f"cron: {expression!r} is no cron expression: {error}; write five fields such as '*/5 * * * *', six with"
            f" seconds first, or one of {known}"
        ) from error
    ticks_s: list[float] = []
    for moment in moments:
        if moment >= end:
            break
        if len(ticks_s) == MAX_TICKS:
            raise TraceError(f"cron: {expression!r} ticks more than {MAX_TICKS} times; take a shorter length")
        ticks_s.append((moment - begin).total_seconds())
    return np.array(ticks_s, dtype=np.float64)
