"""Prometheus metrics: the ledger read in one call a scrape, and the platform's calls.

Units are base units (seconds, GB·s); counters never fall. A scrape runs on its own thread and takes nothing from the
event loop but the GIL while the text is written.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pilotlight._core import Courier
from pilotlight.errors import ConfigError
from pilotlight.setting_values import split_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.metrics_core import Metric

    from pilotlight._core import Scaler
    from pilotlight.platform.base import Platform

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
    "pilotlight_functions_given_up": ("functions_given_up", "Functions at rest that gave way to new ones."),
    "pilotlight_functions_refused": ("functions_refused", "Requests refused because all functions were in use."),
    "pilotlight_idles": ("idles", "Idle calls that named a known instance."),
    "pilotlight_idle_duplicates": ("idle_duplicates", "Idle calls for an instance that was free already."),
    "pilotlight_idle_unknown": ("idle_unknown", "Idle calls for a function or an instance that is unknown."),
    "pilotlight_replies_abandoned": ("abandoned", "Instances taken back because their reply could not be delivered."),
    "pilotlight_starts": ("starts", "Starts begun."),
    "pilotlight_starts_ahead": ("starts_ahead", "Starts of these that no waiting request asked for."),
    "pilotlight_held_back": ("held_back", "Requests that waited without a start of their own, which was worth more."),
    "pilotlight_start_failures": ("starts_failed", "Starts that failed."),
    "pilotlight_starts_throttled": ("starts_throttled", "CreateSlot calls that the platform answered with Throttle."),
    "pilotlight_starts_cancelled": ("starts_cancelled", "Starts that nobody needed any more before Init."),
    "pilotlight_slots_reused": ("slots_reused", "Created slots that went to another function of the same memory."),
    "pilotlight_retired": ("retired", "Instances the policy let go."),
    "pilotlight_replaced": ("replaced", "Instances destroyed because request after request failed on them."),
    "pilotlight_leases_expired": (
        "leases_expired",
        "Busy instances destroyed: no Idle came within their lease.",
    ),
    "pilotlight_evicted": ("evicted", "Instances given up because memory or slots were short."),
    "pilotlight_destroyed": ("destroyed", "Slots whose destruction the platform confirmed."),
    "pilotlight_starts_never_created": ("never_created", "CreateSlot calls that certainly made no slot."),
    "pilotlight_slots_written_off": (
        "written_off",
        "Slots the platform may hold for ever: CreateSlot got no usable answer, and none is awaited any more.",
    ),
    "pilotlight_destroy_failures": ("destroy_failures", "DestroySlot calls that failed and are issued again."),
}
_GAUGES = {
    "pilotlight_functions": ("functions_count", "Functions known."),
    "pilotlight_waiting_requests": ("waiting", "Requests waiting for an instance now."),
    "pilotlight_longest_busy_seconds": ("longest_busy_s", "How long the instance busy for longest has been so."),
    "pilotlight_busy_past_timeout": ("past_timeout", "Instances busy for longer than their function's timeout."),
    "pilotlight_live_slots": ("live_slots", "Slots issued and not confirmed destroyed."),
}
_CALLS = ("create", "init", "destroy")
_BUCKETS = len(Courier.BOUNDS_S) + 1


class LedgerCollector(Collector):
    """Turns one snapshot of the ledger into metrics.

    A snapshot taken while an instance ends may miss what that one counted; a counter that fell would be taken for one
    that began anew. So each counter is reported as the largest it has been.

    Args:
        scaler: whose ledger it is.
    """

    def __init__(self, scaler: Scaler) -> None:
        self._scaler = scaler
        self._largest: dict[tuple[str, str], float] = {}

    def _risen(self, name: str, values: dict[str, float]) -> dict[str, float]:
        for label, value in values.items():
            self._largest[name, label] = max(value, self._largest.get((name, label), 0))
        return {label: self._largest[name, label] for label in values}

    def collect(self) -> Iterator[Metric]:
        """Read the ledger."""
        ledger = self._scaler.snapshot(time.monotonic_ns())
        outcomes = {outcome: ledger[key] for outcome, key in _OUTCOMES.items()}
        for name, text, label, values in (
            ("pilotlight_assigns", "Assign calls answered.", "outcome", outcomes),
            ("pilotlight_wait_seconds", "Time inside Assign spent waiting.", "cause", ledger["wait_s"]),
            ("pilotlight_memory_gb_seconds", "Memory held over time.", "state", ledger["gb_s"]),
        ):
            yield _labelled(CounterMetricFamily, name, text, label, self._risen(name, values))
        yield _labelled(GaugeMetricFamily, "pilotlight_slots", "Slots now.", "state", ledger["slots"])
        for name, (key, text) in _COUNTERS.items():
            yield CounterMetricFamily(name, text, value=self._risen(name, {"": ledger[key]})[""])
        for name, (key, text) in _GAUGES.items():
            yield GaugeMetricFamily(name, text, value=ledger[key])


def _labelled(
    family: type[CounterMetricFamily | GaugeMetricFamily], name: str, text: str, label: str, values: dict[str, Any]
) -> CounterMetricFamily | GaugeMetricFamily:
    metric = family(name, text, labels=[label])
    for value_of, value in values.items():
        metric.add_metric([value_of], value)
    return metric


class PlatformMetrics(Collector):
    """Whether the platform answers; counts and times of its calls: the host's, and those a courier made without it.

    Args:
        registry: where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = {name: _Calls() for name in _CALLS}
        self._platform: Platform | None = None
        self._courier: Courier | None = None
        registry.register(self)

    def watch(self, platform: Platform, courier: Courier | None) -> None:
        """Report of a platform, with the calls of its courier."""
        self._platform = platform
        self._courier = courier

    @contextmanager
    def call(self, name: str, begun_ns: int | None = None) -> Iterator[None]:
        """Measure the call made inside, or begun earlier; an exception counts as an error."""
        started_ns = time.monotonic_ns() if begun_ns is None else begun_ns
        calls = self._calls[name]
        calls.in_flight += 1
        try:
            yield
        except BaseException:
            calls.errors += 1
            raise
        else:
            calls.ok += 1
        finally:
            took = (time.monotonic_ns() - started_ns) / 1e9
            calls.in_flight -= 1
            calls.seconds += took
            calls.by_duration[bisect_left(Courier.BOUNDS_S, took)] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield all of it; a series that starts at 0 shows its first failure as a rise."""
        ended = CounterMetricFamily("pilotlight_platform_calls", "Platform calls ended.", labels=["call", "result"])
        seconds = HistogramMetricFamily(
            "pilotlight_platform_call_seconds", "Duration of platform calls, with their retries.", labels=["call"]
        )
        in_flight = GaugeMetricFamily("pilotlight_platform_calls_in_flight", "Platform calls now.", labels=["call"])
        carried = self._courier.calls() if self._courier else [(0, [0] * _BUCKETS, 0.0)] * len(_CALLS)
        for (name, calls), (now, by_duration, total) in zip(self._calls.items(), carried, strict=True):
            ended.add_metric([name, "ok"], calls.ok + sum(by_duration))
            ended.add_metric([name, "error"], calls.errors)
            counts = map(add, calls.by_duration, by_duration)
            bounds = [*map(floatToGoString, Courier.BOUNDS_S), "+Inf"]
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            seconds.add_metric([name], buckets, calls.seconds + total)
            in_flight.add_metric([name], calls.in_flight + now)
        answers = self._platform is not None and self._platform.answers
        up = GaugeMetricFamily("pilotlight_platform_up", "1 while the platform answers, else 0.", value=answers)
        yield from (up, ended, seconds, in_flight)


@dataclass(slots=True)
class _Calls:
    """What the host's calls of one kind came to; changed on the event loop alone."""

    ok: int = 0
    errors: int = 0
    in_flight: int = 0
    seconds: float = 0.0
    by_duration: list[int] = field(default_factory=lambda: [0] * _BUCKETS)


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
