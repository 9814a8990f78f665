"""What Pilotlight claims of its speed, each claim against what one run measured: where regressions show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pilotlight.bench.load import Row

Sections = dict[str, Any]

FAILED_LIMIT = 0.001
"""A server that fails a larger share of its calls wins nothing: refusing is cheap."""


class Verdict(NamedTuple):
    """A claim and its figure; `value` is None when the run did not measure it, `why` names calls that failed."""

    claim: str
    limit: str
    value: float | None
    holds: bool | None
    why: str | None = None


class _Figure(NamedTuple):
    value: float | None
    rows: tuple[Row, ...]
    """What it was taken from."""


class _Claim(NamedTuple):
    text: str
    at_least: bool
    limit: float
    measured: Callable[[Sections], _Figure]


CLOSED, ONE_STREAM = "closed 8x8", "closed 1x1"
_ONE = {"threads": 1, "functions": 1}


def _first(rows: Iterable[Row], **wanted: object) -> Row:
    return next((row for row in rows if all(row.get(name) == value for name, value in wanted.items())), {})


def _field(section: str, field: str, **wanted: object) -> Callable[[Sections], _Figure]:
    def figure(sections: Sections) -> _Figure:
        row = _first(sections.get(section, ()), **wanted)
        return _Figure(row.get(field), (row,))

    return figure


def _quotient(
    above: Callable[[Sections], _Figure], below: Callable[[Sections], _Figure]
) -> Callable[[Sections], _Figure]:
    def figure(sections: Sections) -> _Figure:
        (first, ours), (second, theirs) = above(sections), below(sections)
        return _Figure(first / second if first is not None and second else None, ours + theirs)

    return figure


def _core(policy: str) -> Callable[[Sections], _Figure]:
    return _field("core", "warm_pair_ns", policy=policy, **_ONE)


def _threads(*, shared: bool) -> Callable[[Sections], _Figure]:
    two = _field("core", "pairs_per_s", policy="fixed", threads=2, functions=1, shared=shared)
    return _quotient(two, _field("core", "pairs_per_s", policy="fixed", **_ONE))


def _load(target: str, scenario: str, field: str) -> Callable[[Sections], _Figure]:
    return _field("grpc", field, target=target, scenario=scenario)


def _against(first: str, second: str, scenario: str, field: str) -> Callable[[Sections], _Figure]:
    return _quotient(_load(first, scenario, field), _load(second, scenario, field))


def _sim(policy: str) -> Callable[[Sections], _Figure]:
    return _field("sim", "invocations_per_s", policy=policy)


def _ffi(sections: Sections) -> _Figure:
    row = sections.get("ffi", {})
    return _Figure(row.get("warm_pair_ns"), (row,))


SIM_FIXED, SIM_DEFAULT = "fixed:keep_alive=300s", "level_gap"

CLAIMS = (
    _Claim("warm pair in the engine, `fixed`, ns", False, 200, _core("fixed")),
    _Claim("warm pair in the engine, `level_gap`, ns", False, 300, _core("level_gap")),
    _Claim("two threads on functions of their own / one thread, pairs", True, 1.8, _threads(shared=False)),
    _Claim("two threads on one function / one thread, pairs", True, 0.5, _threads(shared=True)),
    _Claim("warm pair from Python, ns", False, 2000, _ffi),
    _Claim("grpcio / constant replies, closed, calls/s", True, 0.9, _against("grpcio", "constant", CLOSED, "rps")),
    _Claim("grpcio, closed, calls/s", True, 30_000, _load("grpcio", CLOSED, "rps")),
    _Claim("grpcio / Go peer, 10,000/s, p99", False, 0.7, _against("grpcio", "go", "open 10000/s", "p99_us")),
    _Claim("grpcio / Go peer, 20,000/s, p99", False, 0.7, _against("grpcio", "go", "open 20000/s", "p99_us")),
    _Claim("native / Go peer, closed, calls/s", True, 1.5, _against("native", "go", CLOSED, "rps")),
    _Claim("native / Go peer, closed, p99", False, 0.6, _against("native", "go", CLOSED, "p99_us")),
    _Claim("native / Go peer, one stream, p50", False, 1.0, _against("native", "go", ONE_STREAM, "p50_us")),
    _Claim("native, 20,000/s, p99 µs", False, 1000, _load("native", "open 20000/s", "p99_us")),
    _Claim("native, growth of RSS over the soak, MB", False, 5, _field("soak", "rss_growth_mb", target="native")),
    _Claim("simulator, `fixed`, invocations/s", True, 3e6, _sim(SIM_FIXED)),
    _Claim("simulator, `level_gap`, invocations/s", True, 1.5e6, _sim(SIM_DEFAULT)),
    _Claim("native, warm p99 beside a storm / quiet", False, 2, _field("storm", "storm_ratio", target="native")),
    _Claim("grpcio, warm p99 beside a storm / quiet", False, 2, _field("storm", "storm_ratio", target="grpcio")),
)


def verdicts(sections: Sections) -> list[Verdict]:
    """Hold every claim against the sections of one run: `core`, `ffi`, `grpc`, `sim`, `storm`, `soak`."""
    return [_verdict(claim, claim.measured(sections)) for claim in CLAIMS]


def _verdict(claim: _Claim, figure: _Figure) -> Verdict:
    limit = f"{'≥' if claim.at_least else '≤'} {claim.limit:,.10g}"
    failed = [row for row in figure.rows if row.get("failed_share", 0.0) > FAILED_LIMIT]
    if failed:
        shares = dict.fromkeys(f"{row['target']} failed {row['failed_share']:.2%} of its calls" for row in failed)
        return Verdict(claim.text, limit, figure.value, holds=False, why="; ".join(shares))
    if figure.value is None:
        return Verdict(claim.text, limit, None, None)
    reached = figure.value >= claim.limit if claim.at_least else figure.value <= claim.limit
    return Verdict(claim.text, limit, figure.value, reached)
