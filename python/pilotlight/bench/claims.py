"""What Pilotlight claims of its speed, each claim against what one run measured: where regressions show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pilotlight.bench.load import Row

Sections = dict[str, Any]


class Verdict(NamedTuple):
    """A claim and its figure; `value` is None when the run did not measure it."""

    claim: str
    limit: str
    value: float | None
    holds: bool | None


class _Claim(NamedTuple):
    text: str
    at_least: bool
    limit: float
    measured: Callable[[Sections], float | None]


CLOSED, ONE_STREAM = "closed 8x8", "closed 1x1"


def _first(rows: Iterable[Row], **wanted: object) -> Row:
    return next((row for row in rows if all(row.get(name) == value for name, value in wanted.items())), {})


def _divide(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _core(field: str, **wanted: object) -> Callable[[Sections], float | None]:
    return lambda sections: _first(sections.get("core", ()), **wanted).get(field)


def _threads(*, shared: bool) -> Callable[[Sections], float | None]:
    def ratio(sections: Sections) -> float | None:
        rows = sections.get("core", ())
        two = _first(rows, policy="fixed", threads=2, functions=1, shared=shared)
        one = _first(rows, policy="fixed", threads=1, functions=1)
        return _divide(two.get("pairs_per_s"), one.get("pairs_per_s"))

    return ratio


def _load(target: str, scenario: str, field: str) -> Callable[[Sections], float | None]:
    return lambda sections: _first(sections.get("grpc", ()), target=target, scenario=scenario).get(field)


def _against(first: str, second: str, scenario: str, field: str) -> Callable[[Sections], float | None]:
    above, below = _load(first, scenario, field), _load(second, scenario, field)
    return lambda sections: _divide(above(sections), below(sections))


def _storm(target: str) -> Callable[[Sections], float | None]:
    return lambda sections: _first(sections.get("storm", ()), target=target).get("storm_ratio")


def _growth(sections: Sections) -> float | None:
    return _first(sections.get("soak", ()), target="native").get("rss_growth_mb")


def _sim(policy: str) -> Callable[[Sections], float | None]:
    return lambda sections: _first(sections.get("sim", ()), policy=policy).get("invocations_per_s")


SIM_FIXED, SIM_DEFAULT = "fixed:keep_alive=300s", "level_gap"

_ONE = {"threads": 1, "functions": 1}
CLAIMS = (
    _Claim("warm pair in the engine, `fixed`, ns", False, 200, _core("warm_pair_ns", policy="fixed", **_ONE)),
    _Claim("warm pair in the engine, `level_gap`, ns", False, 300, _core("warm_pair_ns", policy="level_gap", **_ONE)),
    _Claim("two threads on functions of their own / one thread, pairs", True, 1.8, _threads(shared=False)),
    _Claim("two threads on one function / one thread, pairs", True, 0.5, _threads(shared=True)),
    _Claim("warm pair from Python, ns", False, 2000, lambda sections: sections.get("ffi", {}).get("warm_pair_ns")),
    _Claim("grpcio / constant replies, closed, calls/s", True, 0.9, _against("grpcio", "constant", CLOSED, "rps")),
    _Claim("grpcio, closed, calls/s", True, 30_000, _load("grpcio", CLOSED, "rps")),
    _Claim("grpcio / Go peer, 10,000/s, p99", False, 0.7, _against("grpcio", "go", "open 10000/s", "p99_us")),
    _Claim("grpcio / Go peer, 20,000/s, p99", False, 0.7, _against("grpcio", "go", "open 20000/s", "p99_us")),
    _Claim("native / Go peer, closed, calls/s", True, 1.5, _against("native", "go", CLOSED, "rps")),
    _Claim("native / Go peer, closed, p99", False, 0.6, _against("native", "go", CLOSED, "p99_us")),
    _Claim("native / Go peer, one stream, p50", False, 1.0, _against("native", "go", ONE_STREAM, "p50_us")),
    _Claim("native, 20,000/s, p99 µs", False, 1000, _load("native", "open 20000/s", "p99_us")),
    _Claim("native, growth of RSS over the soak, MB", False, 5, _growth),
    _Claim("simulator, `fixed`, invocations/s", True, 3e6, _sim(SIM_FIXED)),
    _Claim("simulator, `level_gap`, invocations/s", True, 1.5e6, _sim(SIM_DEFAULT)),
    _Claim("native, warm p99 beside a storm / quiet", False, 2, _storm("native")),
    _Claim("grpcio, warm p99 beside a storm / quiet", False, 2, _storm("grpcio")),
)


def verdicts(sections: Sections) -> list[Verdict]:
    """Hold every claim against the sections of one run: `core`, `ffi`, `grpc`, `sim`, `storm`, `soak`."""
    return [_verdict(claim, claim.measured(sections)) for claim in CLAIMS]


def _verdict(claim: _Claim, value: float | None) -> Verdict:
    limit = f"{'≥' if claim.at_least else '≤'} {claim.limit:,.10g}"
    if value is None:
        return Verdict(claim.text, limit, None, None)
    return Verdict(claim.text, limit, value, value >= claim.limit if claim.at_least else value <= claim.limit)
