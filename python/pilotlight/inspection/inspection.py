"""Says what a trace is. Everything is measured from the trace alone; nothing is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotlight.inspection.arrivals import Burstiness, Holes, Rates, burstiness, holes, rates
from pilotlight.inspection.levels import QUANTILES, Demand, demand
from pilotlight.inspection.periods import Periods, periods
from pilotlight.inspection.sizes import Popularity, popularity, quantiles
from pilotlight.traces.trace import NS_PER_MS, NS_PER_S, STATUS_OK

if TYPE_CHECKING:
    from pilotlight.traces.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What a trace is; the parts say what they measure.

    Attributes:
        trace: what was inspected.
        duration_ms: quantiles over the requests.
        memory_mb: quantiles over the functions called.
        request_memory_mb: quantiles over the requests.
        bad: requests by status code, other than those that ended well.
    """

    trace: Trace
    rates: Rates
    burstiness: Burstiness
    periods: Periods
    holes: Holes
    demand: Demand
    popularity: Popularity
    duration_ms: dict[str, float]
    memory_mb: dict[str, float]
    request_memory_mb: dict[str, float]
    bad: dict[int, int]

    def document(self, source: dict[str, Any]) -> dict[str, Any]:
        """Lay the figures out for JSON; docs/traces.md lists the keys."""
        trace = self.trace
        return {
            "source": source,
            "requests": len(trace),
            "functions": len(trace.functions),
            "called": trace.called,
            "origin_ms": trace.origin_ms,
            "length_s": trace.length_ns / NS_PER_S,
            "execution_s": trace.execution_s,
            "execution_gb_s": trace.execution_gb_s,
            "rate_per_s": self.rates._asdict(),
            "burstiness": self.burstiness._asdict(),
            "periods": {
                "width_s": self.periods.width_s,
                "load": [period._asdict() for period in self.periods.load],
                "timers": [timer._asdict() for timer in self.periods.timers],
                "timer_functions": self.periods.timer_functions,
                "timer_requests": self.periods.timer_requests,
            },
            "holes": self.holes._asdict() | {"longest": [hole._asdict() for hole in self.holes.longest]},
            "demand": {
                "peak": self.demand.peak,
                "idle_gaps_s": [
                    {"level": each.level, "gaps": len(each.gaps_s)}
                    | {f"p{round(q * 100)}": value for q, value in zip(QUANTILES, each.quantiles_s(), strict=True)}
                    for each in self.demand.levels
                ],
            },
            "popularity": {
                "top": {str(size): share for size, share in self.popularity.top.items()},
                "gini": self.popularity.gini,
                "once": self.popularity.once,
            },
            "duration_ms": self.duration_ms,
            "memory_mb": self.memory_mb,
            "request_memory_mb": self.request_memory_mb,
            "bad": {str(status): count for status, count in self.bad.items()},
        }


def inspect_trace(trace: Trace) -> Inspection:
    """Measure a trace."""
    memory_mb = trace.functions.memory_mb.astype(np.float64)
    statuses, counts = np.unique(trace.status[trace.status != STATUS_OK], return_counts=True)
    return Inspection(
        trace=trace,
        rates=rates(trace.arrival_ns),
        burstiness=burstiness(trace.arrival_ns),
        periods=periods(trace.arrival_ns, trace.function),
        holes=holes(trace.arrival_ns),
        demand=demand(trace),
        popularity=popularity(trace),
        duration_ms=quantiles(trace.duration_ns / NS_PER_MS),
        memory_mb=quantiles(memory_mb[np.unique(trace.function)]),
        request_memory_mb=quantiles(memory_mb[trace.function]),
        bad=dict(zip(statuses.tolist(), counts.tolist(), strict=True)),
    )
