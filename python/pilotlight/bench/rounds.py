"""Several scalers under the same load, in turn, several times: hosts drift, only what is interleaved compares."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pilotlight.bench.load import LoadSettings, Row, measure
from pilotlight.bench.machine import cpu_s
from pilotlight.bench.servers import Target, served
from pilotlight.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilotlight import _core

_SETTLE_PAUSE_S = 0.2
_SETTLE_SHARE = 0.15
_SETTLE_LIMIT_S = 20.0

RATIOS = ("rps", "p50_us", "p99_us", "p99_9_us", "cpu_us_per_call", "rss_mb")
"""Fields of which targets are compared."""


def run_rounds(
    names: Sequence[str],
    loads: Sequence[LoadSettings],
    *,
    rounds: int,
    policy: str,
    platform: _core.InstantPlatform | None,
    progress: Callable[[str, float], None] | None = None,
) -> list[Row]:
    """Measure every target under every load, `rounds` times, targets in turn and in turning order.

    Args:
        names: servers to start, or addresses of scalers that run.
        loads: the loads.
        rounds: how often.
        policy: of the Pilotlight fronts that are started.
        platform: behind those that are started.
        progress: called now and then with what is measured and the share of everything that is done.

    Returns:
        One row a measurement, with its `round`.

    Raises:
        LoadError: a target cannot be started or measured.
    """
    rows: list[Row] = []
    total = rounds * len(loads) * len(names)
    with ExitStack() as stack:
        address = platform.address if platform else ""
        targets = [stack.enter_context(served(name, address, policy)) for name in names]
        for number in range(rounds):
            order = targets if number % 2 == 0 else targets[::-1]
            for load in loads:
                for target in order:

                    def advance(phase: str, _done: int, share: float, *, of: str = target.name) -> None:
                        if progress:
                            progress(f"{of}: {load.scenario}, {phase}", (len(rows) + share) / total)  # noqa: B023

                    _settle(targets)
                    rows.append({**_named(target, load, platform, advance), "round": number})
    return rows


def _named(
    target: Target,
    load: LoadSettings,
    platform: _core.InstantPlatform | None,
    advance: Callable[[str, int, float], None],
) -> Row:
    """Measure; what goes wrong names the target, which its address does not when we chose the port."""
    try:
        return measure(target, load, platform, advance)
    except LoadError as error:
        raise LoadError(str(error) if target.name == target.address else f"{target.name}: {error}") from error


def _settle(targets: Sequence[Target]) -> None:
    """Wait until the scalers we started are at rest: what one has left over from its load must not burden the next."""
    limit = time.monotonic() + _SETTLE_LIMIT_S
    before = _used_s(targets)
    while time.monotonic() < limit:
        time.sleep(_SETTLE_PAUSE_S)
        now = _used_s(targets)
        if now - before <= _SETTLE_SHARE * _SETTLE_PAUSE_S:
            return
        before = now


def _used_s(targets: Sequence[Target]) -> float:
    return sum(cpu_s(target.pid) or 0.0 for target in targets if target.pid is not None)


def medians(rows: Sequence[Row]) -> list[Row]:
    """Reduce the rounds of each target and scenario, in order of appearance.

    Figures become medians, failures sums; `failed_share` is the worst round's, which a median would hide.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["scenario"], row["target"]), []).append(row)
    return [_median(group) for group in groups.values()]


def ratios(reduced: Sequence[Row], first: str, second: str) -> list[Row]:
    """Divide the first target's figures by the second's, round by round's medians, for each scenario.

    Args:
        reduced: what `medians` returned.
        first: name of the target above.
        second: name of the target below.
    """
    by_name = {(row["scenario"], row["target"]): row for row in reduced}
    result = []
    for scenario in dict.fromkeys(row["scenario"] for row in reduced):
        ours, theirs = by_name[scenario, first], by_name[scenario, second]
        row: Row = {"scenario": scenario, "target": f"{first} / {second}"}
        row.update({name: _ratio(ours[name], theirs[name]) for name in RATIOS})
        result.append(row)
    return result


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


def _median(rows: Sequence[Row]) -> Row:
    result: Row = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row.get(name) is not None]
        result[name] = _reduced(values)
    result["failed_share"] = max(row["failed_share"] for row in rows)
    del result["round"]
    return {**result, "rounds": len(rows)}


def _reduced(values: list[Any]) -> object:
    if not values or isinstance(values[0], str):
        return values[0] if values else None
    if isinstance(values[0], dict):
        total: dict[str, int] = {}
        for counts in values:
            for name, count in counts.items():
                total[name] = total.get(name, 0) + count
        return total
    return statistics.median(values)
