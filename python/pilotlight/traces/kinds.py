"""The kinds of generated load: what each is called, its law of arrivals, its sizes and its parameters.

A new kind is a law in `arrivals` and a row in `KINDS`; the commands, their error texts and `pilotlight trace kinds` are
made from the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pilotlight.traces import arrivals
from pilotlight.traces.azure_like import AZURE_MEAN_MS, azure, draw_azure_functions
from pilotlight.traces.contest_like import contest
from pilotlight.traces.parameters import Parameter
from pilotlight.traces.synth import LogNormal, SynthSettings, draw_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pilotlight.traces.courses import Course, Rng
    from pilotlight.traces.trace import FunctionTable

    Law: TypeAlias = Callable[..., Iterator[tuple[int, Course]]]

CONTEST = "contest"
"""The kind made when nothing else is asked for."""

MEAN_MS = LogNormal(200, 1.2, 5, 30_000)
"""Mean durations of functions: of every kind that does not have its own."""


class Kind(NamedTuple):
    """A kind of load.

    Attributes:
        summary: one phrase.
        law: the course of each function's load.
        functions: size of the function table, unless told otherwise.
        requests: number of requests, unless told otherwise; None: they follow from the other sizes.
        length_s: time in which they arrive, unless told otherwise.
        parameters: what a specification may set.
        mean_ms: law of the functions' mean durations; None: the courses draw durations themselves.
        draw_functions: draws the function table, with keys that begin with a prefix.
        prefix: of the keys; empty: the kind's name.
    """

    summary: str
    law: Law
    functions: int
    requests: int | None
    length_s: float
    parameters: tuple[Parameter, ...] = ()
    mean_ms: LogNormal | None = MEAN_MS
    draw_functions: Callable[[int, Rng, str], FunctionTable] = draw_functions
    prefix: str = ""


def _time(name: str, default_s: float, meaning: str) -> Parameter:
    return Parameter(name, default_s, 1e-3, 10_000 * _HOUR_S, meaning, "time")


_CONTEST = SynthSettings()
_HOUR_S = 3600.0
KINDS = {
    CONTEST: Kind(
        "as in the contest's data sets",
        contest,
        _CONTEST.functions,
        _CONTEST.requests,
        _CONTEST.length_s,
        mean_ms=None,
        prefix="synth",
    ),
    "azure": Kind(
        "as published of Azure Functions (ATC 2020)",
        azure,
        400,
        100_000,
        24 * _HOUR_S,
        mean_ms=AZURE_MEAN_MS,
        draw_functions=draw_azure_functions,
    ),
    "poisson": Kind("independent requests at a steady rate", arrivals.poisson, 20, 20_000, _HOUR_S),
    "zipf": Kind(
        "independent requests, a few functions called most",
        arrivals.zipf,
        200,
        20_000,
        _HOUR_S,
        (Parameter("exponent", 1.5, 0, 10, "rank r is called in proportion to r to its negative"),),
    ),
    "constant": Kind("requests at equal gaps", arrivals.constant, 20, 20_000, _HOUR_S),
    "on_off": Kind(
        "load and silence in turn",
        arrivals.on_off,
        20,
        20_000,
        _HOUR_S,
        (_time("on", 60, "how long there is load"), _time("off", 240, "how long there is none")),
    ),
    "bursty": Kind(
        "bursts and calms of random length (two-state MMPP)",
        arrivals.bursty,
        20,
        20_000,
        _HOUR_S,
        (
            _time("calm", 60, "mean length of a calm"),
            _time("burst", 6, "mean length of a burst"),
            Parameter("factor", 50, 1, 1e6, "rate of a burst over that of a calm"),
        ),
    ),
    "regime_switch": Kind(
        "rates and timers' periods that jump, several times",
        arrivals.regime_switch,
        20,
        20_000,
        _HOUR_S,
        (
            Parameter("switches", 4, 1, 10_000, "how many jumps", "count"),
            Parameter("factor", 10, 1, 1e6, "high rate over low rate"),
        ),
    ),
    "flash_crowd": Kind(
        "a steady load and one great burst",
        arrivals.flash_crowd,
        20,
        20_000,
        _HOUR_S,
        (
            Parameter("factor", 100, 1, 1e6, "rate of the burst over the steady one"),
            Parameter("at", 0.5, 0, 1, "when it begins, as a share of the length"),
            _time("burst", 30, "how long it lasts"),
        ),
    ),
    "diurnal": Kind(
        "a rate that follows the day",
        arrivals.diurnal,
        20,
        100_000,
        24 * _HOUR_S,
        (
            _time("period", 24 * _HOUR_S, "from trough to trough"),
            Parameter("depth", 0.9, 0, 1, "swing to either side, as a share of the mean rate"),
        ),
    ),
    "periodic": Kind(
        "timers of 1, 5, 15 and 60 min, as of cron",
        arrivals.periodic,
        100,
        None,
        4 * _HOUR_S,
        (Parameter("jitter", 2, 0, 3600, "how late a tick may be", "time"),),
    ),
    "cron": Kind(
        "jobs that follow cron expressions",
        arrivals.cron,
        60,
        None,
        24 * _HOUR_S,
        (
            Parameter("schedule", "", 0, 0, "expressions, separated by |; empty: a usual mix", "text"),
            Parameter("zone", "UTC", 0, 0, "time zone of the clock they are about", "text"),
            Parameter("jitter", 2, 0, 3600, "how late a tick may be", "time"),
        ),
    ),
    "drifting_period": Kind(
        "timers whose period drifts",
        arrivals.drifting_period,
        20,
        None,
        4 * _HOUR_S,
        (
            _time("period", 60, "the first period, from a half of it to twice"),
            Parameter("drift", 2, 1e-3, 1e3, "last period over first"),
        ),
    ),
    "one_shot": Kind("functions that are called once", arrivals.one_shot, 5_000, None, _HOUR_S),
}
"""The kinds by name."""
