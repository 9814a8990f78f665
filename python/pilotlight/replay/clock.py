"""The replay's one clock: trace time, which may run faster than the wall clock.

Every other module of the replay measures and waits in trace time only; the division by the speed happens here. A wait
never ends early; it may end late by the event loop's timer resolution, a millisecond of wall time.
"""

from __future__ import annotations

import asyncio
import math
import time

from pilotlight.traces.trace import NS_PER_S

MS_PER_S = 1000


class TraceClock:
    """Nanoseconds of trace time since the clock was made.

    Args:
        speed: trace time per wall time; 1.0 is real time.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._origin_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Return the trace time."""
        elapsed_ns = time.monotonic_ns() - self._origin_ns
        return elapsed_ns if self.speed == 1.0 else int(elapsed_ns * self.speed)

    def wall_s(self, trace_ns: int) -> float:
        """Convert a span of trace time to seconds of the wall clock."""
        return trace_ns / self.speed / NS_PER_S

    async def sleep_until(self, moment_ns: int) -> None:
        """Return at `moment_ns` or as soon after as the event loop can; at once when it has passed."""
        while (left_ns := moment_ns - self.now_ns()) > 0:  # noqa: ASYNC110 (what is awaited is the time)
            # Whole milliseconds: a loop with coarser timers than that would spin through the rest.
            await asyncio.sleep(math.ceil(self.wall_s(left_ns) * MS_PER_S) / MS_PER_S)
