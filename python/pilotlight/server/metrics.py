"""Prometheus metrics: the ledger read in one call a scrape, and the platform's calls as they happen.

Units are base units (seconds, GB·s); counters never fall. A scrape runs on its own thread and takes nothing from the
event loop but the GIL while the text is written.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pilotlight.config import split_address
from pilotlight.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.metrics_core import Metric

    from pilotlight._core import Scaler

_OUTCOMES = {
    "warm_start": "warm_starts",
    "cold_start": "cold_starts",
    "handoff": "handoffs",
    "expired": "expired",
    "cancelled": "cancelled",
    "starts_exhausted": "starts_exhausted",
    "shut_out": "shut_out",
}
"""Label of `pilotlight_assigns_total` → key of the snapshot; every answered Assign has one."""

_COUNTERS = {
    "pilotlight_idles": ("idles", "Idle calls that named a known instance."),
    "pilotlight_idle_duplicates": ("idle_duplicates", "Idle calls for an instance that was free already."),
    "pilotlight_idle_unknown": ("idle_unknown", "Idle calls for a function or an instance that is unknown."),
    "pilotlight_replies_abandoned": ("abandoned", "Instances taken back because their reply could not be delivered."),
    "pilotlight_starts": ("starts", "Starts begun."),
    "pilotlight_starts_ahead": ("starts_ahead", "Starts of these that no waiting request asked for."),
    "pilotlight_held_back": ("held_back", "Requests that waited without a start of their own, which was worth more."),
    "pilotlight_start_failures": ("starts_failed", "Starts that failed."),
    "pilotlight_starts_cancelled": ("starts_cancelled", "Starts that nobody needed any more before Init."),
    "pilotlight_slots_reused": ("slots_reused", "Created slots that went to another function of the same memory."),
    "pilotlight_retired": ("retired", "Instances the policy let go."),
    "pilotlight_evicted": ("evicted", "Free instances given up because memory was short."),
    "pilotlight_destroyed": ("destroyed", "Slots whose destruction the platform confirmed."),
    "pilotlight_destroy_failures": ("destroy_failures", "DestroySlot calls that failed and are issued again."),
}
_GAUGES = {
    "pilotlight_functions": ("functions_count", "Functions seen."),
    "pilotlight_waiting_requests": ("waiting", "Requests waiting for an instance now."),
    "pilotlight_live_slots": ("live_slots", "Slots issued and not confirmed destroyed."),
}
_CALL_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class LedgerCollector(Collector):
    """Turns one snapshot of the ledger into metrics.

    Args:
        scaler: whose ledger it is.
    """

    def __init__(self, scaler: Scaler) -> None:
        self._scaler = scaler

    def collect(self) -> Iterator[Metric]:
        """Read the ledger."""
        ledger = self._scaler.snapshot(time.monotonic_ns())
        outcomes = {outcome: ledger[key] for outcome, key in _OUTCOMES.items()}
        yield _labelled(CounterMetricFamily, "pilotlight_assigns", "Assign calls answered.", "outcome", outcomes)
        yield _labelled(
            CounterMetricFamily,
            "pilotlight_wait_seconds",
            "Time inside Assign spent waiting.",
            "cause",
            ledger["wait_s"],
        )
        yield _labelled(
            CounterMetricFamily, "pilotlight_memory_gb_seconds", "Memory held over time.", "state", ledger["gb_s"]
        )
        yield _labelled(GaugeMetricFamily, "pilotlight_slots", "Slots now.", "state", ledger["slots"])
        for name, (key, text) in _COUNTERS.items():
            yield CounterMetricFamily(name, text, value=ledger[key])
        for name, (key, text) in _GAUGES.items():
            yield GaugeMetricFamily(name, text, value=ledger[key])


def _labelled(
    family: type[CounterMetricFamily | GaugeMetricFamily], name: str, text: str, label: str, values: dict[str, Any]
) -> CounterMetricFamily | GaugeMetricFamily:
    metric = family(name, text, labels=[label])
    for value_of, value in values.items():
        metric.add_metric([value_of], value)
    return metric


class PlatformMetrics:
    """Counts and times the platform's calls.

    Args:
        registry: where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "pilotlight_platform_calls", "Platform calls ended.", ["call", "result"], registry=registry
        )
        self._seconds = Histogram(
            "pilotlight_platform_call_seconds",
            "Duration of platform calls, with their retries.",
            ["call"],
            registry=registry,
            buckets=_CALL_SECONDS,
        )
        self._in_flight = Gauge(
            "pilotlight_platform_calls_in_flight", "Platform calls now.", ["call"], registry=registry
        )
        for call in ("create", "init", "destroy"):  # a series that starts at 0 shows its first failure as a rise
            self._in_flight.labels(call)
            self._seconds.labels(call)
            for result in ("ok", "error"):
                self._calls.labels(call, result)

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Measure the call made inside; an exception counts as an error."""
        started = time.perf_counter()
        in_flight = self._in_flight.labels(name)
        in_flight.inc()
        result = "error"
        try:
            yield
            result = "ok"
        finally:
            in_flight.dec()
            self._calls.labels(name, result).inc()
            self._seconds.labels(name).observe(time.perf_counter() - started)


class MetricsServer:
    """Serves a registry over HTTP until closed.

    Args:
        address: ``host:port``; port 0 lets the system choose.
        registry: what is served.

    Raises:
        ConfigError: the address cannot be bound.
    """

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        host, port = split_address(address)
        ProcessCollector(registry=registry)
        self._server: WSGIServer
        self._thread: Thread
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigError(
                f"metrics_address = {address!r}: cannot listen: {error.strerror}; "
                "choose another port, or '' for no metrics"
            ) from None
        self.address = f"{address.rpartition(':')[0]}:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
