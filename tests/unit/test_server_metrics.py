"""The Prometheus metrics and the ledger they are made of."""

from __future__ import annotations

from types import SimpleNamespace

from pilotlight._core import Scaler
from pilotlight.server.metrics import _COUNTERS, _GAUGES, _OUTCOMES, LedgerCollector

SUMS = {"assigns", "queued", "failed"}
"""Each is a sum of outcomes, which are exported."""

PEAKS = {"peak_slots", "peak_memory_mb"}
"""A monitoring system takes the highest of a gauge over any span; of the process's whole life it is of little use."""


def test_every_count_of_the_ledger_is_a_metric_or_a_sum_of_metrics() -> None:
    counts = {key for key, value in Scaler().snapshot(0).items() if isinstance(value, int | float)}
    exported = [*_OUTCOMES.values(), *(key for key, _ in (*_COUNTERS.values(), *_GAUGES.values()))]
    assert len(exported) == len(set(exported))
    assert set(exported) == counts - SUMS - PEAKS


def test_no_counter_falls_though_a_snapshot_may_miss_something() -> None:
    ledger = Scaler().snapshot(0)
    snapshots = iter(
        [ledger | {"warm_starts": 7, "starts": 3, "waiting": 2}, ledger | {"warm_starts": 6, "waiting": 1}]
    )
    collector = LedgerCollector(SimpleNamespace(snapshot=lambda _now_ns: next(snapshots)))  # type: ignore[arg-type]
    for waiting in (2, 1):
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for metric in collector.collect()
            for sample in metric.samples
        }
        assert samples["pilotlight_assigns_total", "warm_start"] == 7
        assert samples[("pilotlight_starts_total",)] == 3
        assert samples[("pilotlight_waiting_requests",)] == waiting
