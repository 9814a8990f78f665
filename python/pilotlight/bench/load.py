"""One measured load on one scaler: settings in, one flat row of documented fields out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pilotlight import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight.bench.servers import Target

Row = dict[str, Any]

NS_PER_S = 1_000_000_000
_QUANTILES = ("p50_us", "p90_us", "p99_us", "p99_9_us", "p99_99_us", "max_us")


@dataclass(frozen=True)
class LoadSettings:
    """What load is put on a scaler; times in seconds. `streams` makes a closed loop, `rate` an open one."""

    connections: int = 8
    threads: int = 1
    streams: int | None = None
    rate: float | None = None
    poisson: bool = True
    functions: int = 100
    skew: float = 0.0
    cold_share: float = 0.0
    prewarm: int = 4
    hold: float = 0.0
    warm_up: float = 1.0
    duration: float = 5.0
    grace: float = 10.0
    storm: tuple[int, int, float] | None = None
    seed: int = 0

    @property
    def scenario(self) -> str:
        """Name the load in a few words."""
        if self.rate is not None:
            return f"open {self.rate:g}/s"
        return f"closed {self.connections}x{self.streams}"

    def closed(self, streams: int) -> LoadSettings:
        """Make it a closed loop."""
        return replace(self, streams=streams, rate=None)

    def open(self, rate: float) -> LoadSettings:
        """Make it an open loop."""
        return replace(self, streams=None, rate=rate)


def measure(
    target: Target,
    settings: LoadSettings,
    platform: _core.InstantPlatform | None,
    progress: Callable[[str, int, float], None] | None = None,
) -> Row:
    """Put the load on a scaler.

    Args:
        target: the scaler.
        settings: the load.
        platform: the one behind the scaler, when it is ours: its CreateSlots are counted.
        progress: called now and then with the phase, the number done, and the share of the time that has passed.

    Returns:
        The fields of docs/bench.md.

    Raises:
        LoadError: the target cannot be measured.
    """
    before = platform.counts()["created"] if platform else 0
    storm = settings.storm and (settings.storm[0], settings.storm[1], round(settings.storm[2] * NS_PER_S))
    report = _core.load_grpc(
        target.address,
        duration_ns=round(settings.duration * NS_PER_S),
        warm_up_ns=round(settings.warm_up * NS_PER_S),
        grace_ns=round(settings.grace * NS_PER_S),
        connections=settings.connections,
        threads=settings.threads,
        streams=settings.streams,
        rate=settings.rate,
        poisson=settings.poisson,
        functions=settings.functions,
        skew=settings.skew,
        cold_share=settings.cold_share,
        prewarm=settings.prewarm,
        hold_ns=round(settings.hold * NS_PER_S),
        storm=storm or None,
        seed=settings.seed,
        pid=target.pid,
        progress=progress,
    )
    row: Row = {"target": target.name, "scenario": settings.scenario, **_figures(report)}
    row["starts"] = platform.counts()["created"] - before if platform else None
    return row


def _figures(report: dict[str, Any]) -> Row:
    measured, calls = report["measured"], report["calls"]
    row: Row = {"calls": calls, "rps": calls / report["duration_s"]}
    row["failures"] = measured["failures"]
    row["failed_share"] = _failed_share(measured, report["beside_storm"], report["storm"])
    row.update({name: measured["all"][name] for name in _QUANTILES})
    for step in ("assign", "idle", "cold"):
        row.update({f"{step}_{name}": measured[step][name] for name in ("p50_us", "p99_us")})
    row["lag_p99_us"] = report["lag"]["p99_us"]
    row["client_cpu_us_per_call"] = _per_call(report["client"]["cpu_s"], calls)
    target = report["target"]
    row["cpu_us_per_call"] = _per_call(target["cpu_s"], calls) if target else None
    row["rss_mb"] = target["rss_mb"] if target else None
    row["rss_growth_mb"] = target["rss_mb"] - target["rss_mb_before"] if target else None
    beside, storm = report["beside_storm"], report["storm"]
    if storm["all"]["count"] or storm["failures"]:
        row["beside_storm_p50_us"], row["beside_storm_p99_us"] = beside["all"]["p50_us"], beside["all"]["p99_us"]
        row["storm_ratio"] = _ratio(row["beside_storm_p99_us"], row["p99_us"])
        row["beside_storm_failures"] = beside["failures"]
        row["storm_calls"], row["storm_failures"] = storm["all"]["count"], storm["failures"]
        row["storm_assign_p50_us"], row["storm_assign_p99_us"] = (storm["assign"][q] for q in ("p50_us", "p99_us"))
    return row


def _failed_share(*windows: dict[str, Any]) -> float:
    """Divide the calls that failed by all that were made; unfinished ones are also among those with a latency."""
    failed = sum(sum(window["failures"].values()) for window in windows)
    unfinished = sum(window["failures"].get("UNFINISHED", 0) for window in windows)
    made = sum(window["all"]["count"] for window in windows) + failed - unfinished
    return failed / made if made else 0.0


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _per_call(cpu_s: float, calls: int) -> float | None:
    return cpu_s / calls * 1e6 if calls else None
