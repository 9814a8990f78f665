"""The Prometheus metrics and the ledger they are made of."""

from __future__ import annotations

from pilotlight._core import Scaler
from pilotlight.server.metrics import _COUNTERS, _GAUGES, _OUTCOMES

SUMS = {"assigns", "queued", "failed"}
"""Each is a sum of outcomes, which are exported."""

PEAKS = {"peak_slots", "peak_memory_mb"}
"""A monitoring system takes the highest of a gauge over any span; of the process's whole life it is of little use."""


def test_every_count_of_the_ledger_is_a_metric_or_a_sum_of_metrics() -> None:
    counts = {key for key, value in Scaler().snapshot(0).items() if isinstance(value, int)}
    exported = [*_OUTCOMES.values(), *(key for key, _ in (*_COUNTERS.values(), *_GAUGES.values()))]
    assert len(exported) == len(set(exported))
    assert set(exported) == counts - SUMS - PEAKS
