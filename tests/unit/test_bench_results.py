"""Rounds reduced, claims judged, the page rendered: arithmetic over rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pilotlight.bench.claims import CLAIMS, FAILED_LIMIT, verdicts
from pilotlight.bench.load import _figures
from pilotlight.bench.machine import Surroundings, describe
from pilotlight.bench.page import render
from pilotlight.bench.rounds import medians, ratios
from pilotlight.bench.soak import whole

RESULTS = Path(__file__).resolve().parents[2] / "benches" / "results"


def row(target: str, number: int, **figures: Any) -> dict[str, Any]:  # noqa: ANN401
    fields = dict.fromkeys(("rps", "p50_us", "p99_us", "p99_9_us", "cpu_us_per_call", "rss_mb"))
    shared = {
        "target": target,
        "scenario": "closed 8x8",
        "round": number,
        "failures": {},
        "failed_share": 0.0,
        "starts": None,
    }
    return {**fields, **shared, **figures}


def test_median_of_rounds_keeps_gaps_and_sums_failures() -> None:
    rows = [row("a", 0, rps=1.0, failures={"X": 1}), row("a", 1, rps=9.0), row("a", 2, rps=2.0, failures={"X": 2})]
    (reduced,) = medians(rows)
    assert reduced["rps"] == 2.0
    assert reduced["failures"] == {"X": 3}
    assert reduced["p50_us"] is None
    assert reduced["rounds"] == 3


def test_worst_round_stands_for_what_failed() -> None:
    (reduced,) = medians([row("a", 0), row("a", 1, failed_share=0.5), row("a", 2)])
    assert reduced["failed_share"] == 0.5


def test_soak_grows_from_the_first_begin_to_the_last_end() -> None:
    pieces = [
        row("a", 0, calls=5, rss_mb=70.0, rss_growth_mb=1.0),
        row("a", 1, calls=7, rss_mb=75.0, rss_growth_mb=0.5),
        row("a", 2, calls=1, rss_mb=72.0, rss_growth_mb=-1.0),
    ]
    soaked = whole(pieces)
    assert (soaked["calls"], soaked["rss_mb"], soaked["rss_growth_mb"], soaked["rounds"]) == (13, 72.0, 3.0, 3)


def latencies(count: int) -> dict[str, Any]:
    names = ("mean_us", "p50_us", "p90_us", "p99_us", "p99_9_us", "p99_99_us", "max_us")
    return {"count": count, **dict.fromkeys(names, 7.0 if count else None)}


def window(count: int, **failures: int) -> dict[str, Any]:
    steps = {name: latencies(0) for name in ("assign", "idle", "cold")}
    return {"all": latencies(count), **steps, "failures": failures}


def report(quiet: dict[str, Any], beside: dict[str, Any], storm: dict[str, Any]) -> dict[str, Any]:
    usage = {"cpu_s": 1.0, "rss_mb_before": 1.0, "rss_mb": 1.0}
    windows = {"measured": quiet, "beside_storm": beside, "storm": storm}
    return {"duration_s": 1.0, "calls": 10, **windows, "lag": latencies(0), "target": None, "client": usage}


def test_failed_share_covers_the_storm_and_counts_unfinished_calls_once() -> None:
    figures = _figures(report(window(50), window(20, UNFINISHED=5), window(20, Throttle=10)))
    assert figures["failed_share"] == 15 / 100


def test_storm_that_nothing_quiet_compares_with_has_no_ratio() -> None:
    figures = _figures(report(window(0, UNAVAILABLE=3), window(5), window(5)))
    assert figures["p99_us"] is None
    assert figures["storm_ratio"] is None


def test_ratio_divides_first_by_second() -> None:
    reduced = medians([row("a", 0, rps=30.0, p99_us=5.0), row("b", 0, rps=10.0, p99_us=10.0)])
    (ratio,) = ratios(reduced, "a", "b")
    assert (ratio["rps"], ratio["p99_us"], ratio["rss_mb"]) == (3.0, 0.5, None)
    assert ratio["target"] == "a / b"


def whole_run(native_rps: float) -> dict[str, Any]:
    grpc = medians([row("native", 0, rps=native_rps, p99_us=5.0), row("go", 0, rps=10.0, p99_us=10.0)])
    core = {"functions": 1, "skew": 0.0, "waited": 0}
    alone = {**core, "policy": "fixed", "scenario": "1 thread, 1 function", "threads": 1, "shared": False}
    rows = [
        {**alone, "warm_pair_ns": 100.0, "pairs_per_s": 1e7},
        {**alone, "threads": 2, "scenario": "2 threads, 1 function each", "warm_pair_ns": 100.0, "pairs_per_s": 2e7},
    ]
    return {"core": rows, "ffi": {"policy": "fixed", "warm_pair_ns": 3000.0}, "grpc": grpc, "sim": [], "storm": []}


def test_every_claim_is_judged_by_its_limit() -> None:
    found = {verdict.claim: verdict for verdict in verdicts(whole_run(20.0))}
    assert len(found) == len(CLAIMS)
    assert found["native / Go peer, closed, calls/s"][2:] == (2.0, True, None)
    assert found["native / Go peer, closed, p99"][2:] == (0.5, True, None)
    assert found["two threads on functions of their own / one thread, pairs"][2:] == (2.0, True, None)
    assert found["warm pair from Python, ns"][2:] == (3000.0, False, None)
    assert found["two threads on one function / one thread, pairs"][2:] == (None, None, None)
    lost = {verdict.claim: verdict for verdict in verdicts(whole_run(14.0))}
    assert lost["native / Go peer, closed, calls/s"].holds is False


@pytest.mark.parametrize("target", ["native", "go"])
def test_server_that_fails_wins_no_claim(target: str) -> None:
    sections = whole_run(20.0)
    next(row for row in sections["grpc"] if row["target"] == target)["failed_share"] = 0.0125
    lost = {verdict.claim: verdict for verdict in verdicts(sections)}["native / Go peer, closed, calls/s"]
    assert lost[2:] == (2.0, False, f"{target} failed 1.25% of its calls")


def test_server_that_fails_everything_is_no_gap_in_the_measurements() -> None:
    sections = whole_run(20.0)
    sections["storm"] = [{"target": "native", "storm_ratio": None, "failed_share": 1.0}]
    lost = {verdict.claim: verdict for verdict in verdicts(sections)}["native, warm p99 beside a storm / quiet"]
    assert lost[2:] == (None, False, "native failed 100.00% of its calls")


def test_few_failures_lose_nothing() -> None:
    sections = whole_run(20.0)
    for row in sections["grpc"]:
        row["failed_share"] = FAILED_LIMIT
    assert {verdict.claim: verdict for verdict in verdicts(sections)}["native / Go peer, closed, p99"].holds


def test_committed_page_lists_every_other_measurement() -> None:
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    others = {path.name for path in RESULTS.glob("*.md")} - {"README.md"}
    assert others == set(re.findall(r"^\* \[.*\]\((.*)\)$", page, re.MULTILINE))


def test_page_shows_the_latest_run_of_a_machine_and_where_it_loses(tmp_path: Path) -> None:
    for date, rps in (("2026-01-01T00:00:00+00:00", 20.0), ("2026-01-02T00:00:00+00:00", 14.0)):
        sections = whole_run(rps)
        judged = [verdict._asdict() for verdict in verdicts(sections)]
        results = {"benchmark": "all", "machine": {**describe(), "date": date}, "surroundings": Surroundings().now()}
        results |= {"verdicts": judged, "skipped": ["go: no Go"], "note": "shared", **sections}
        (tmp_path / f"{date[:10]}-bench.json").write_text(json.dumps(results))
    (tmp_path / "old.json").write_text("{}")
    (tmp_path / "old.md").write_text("# old")
    page = render(tmp_path).read_text()
    assert "2026-01-02-bench.json" in page
    assert "2026-01-01-bench.json" not in page
    assert "Where it loses here: warm pair from Python, ns; native / Go peer, closed, calls/s." in page
    assert "Not measured: go: no Go" in page
    assert "(old.md)" in page
    assert (tmp_path / "chart-0.svg").read_text().startswith("<svg")


def test_machine_is_described() -> None:
    assert describe().keys() == {"date", "cpu", "cores", "kernel", "python", "version", "commit"}
    assert 0 <= Surroundings().now()["steal_share"] <= 1
