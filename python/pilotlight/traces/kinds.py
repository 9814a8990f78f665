"""The kinds of generated load: what each is called, its law of arrivals, its sizes and its parameters.

A new kind is a law in `arrivals` and a row in `KINDS`; the commands, their error texts and `pilotlight trace kinds` are
made from the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from pilotlight.config import format_duration, parse_duration
from pilotlight.errors import TraceError
from pilotlight.traces import arrivals
from pilotlight.traces.synth import SynthSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Law: TypeAlias = Callable[..., list[NDArray[np.float64]]]

CONTEST = "contest"
"""The kind that `synthesize` makes: it draws all of a trace by itself."""


class Parameter(NamedTuple):
    """A number that a kind's specification may set.

    Attributes:
        name: as the specification has it.
        default: unless told otherwise; a time is in seconds.
        low: least value allowed.
        high: greatest value allowed.
        meaning: one phrase.
        sort: a `time` is written with its unit, such as `90s`; a `count` is a whole number.
    """

    name: str
    default: float
    low: float
    high: float
    meaning: str
    sort: Literal["number", "count", "time"] = "number"

    @property
    def argument(self) -> str:
        """What the law calls it: a time ends in its unit."""
        return f"{self.name}_s" if self.sort == "time" else self.name

    def shown(self, value: float) -> str:
        """Write a value the way a specification does."""
        return format_duration(value) if self.sort == "time" else f"{value:g}"

    def read(self, text: str) -> float:
        """Read a value the way a specification writes it.

        Raises:
            TraceError: it is none, or out of range; the text begins with the parameter's name.
        """
        readers: dict[str, Callable[[str], float]] = {"number": float, "count": int, "time": parse_duration}
        try:
            value = readers[self.sort](text)
        except ValueError as error:
            reason = {"number": "not a number", "count": "not a whole number"}.get(self.sort, str(error))
            raise TraceError(f"{self.name} is {text!r}, {reason}") from error
        if not self.low <= value <= self.high:
            raise TraceError(
                f"{self.name} is {text}; it must be from {self.shown(self.low)} to {self.shown(self.high)}"
            )
        return value


class Kind(NamedTuple):
    """A kind of load.

    Attributes:
        summary: one phrase.
        law: the arrivals of each function, in seconds; None: see `CONTEST`.
        functions: size of the function table, unless told otherwise.
        requests: number of requests, unless told otherwise; None: they follow from the other sizes.
        length_s: time in which they arrive, unless told otherwise.
        parameters: what a specification may set.
    """

    summary: str
    law: Law | None
    functions: int
    requests: int | None
    length_s: float
    parameters: tuple[Parameter, ...] = ()


def _time(name: str, default_s: float, meaning: str) -> Parameter:
    return Parameter(name, default_s, 1e-3, 10_000 * _HOUR_S, meaning, "time")


_CONTEST = SynthSettings()
_HOUR_S = 3600.0
KINDS = {
    CONTEST: Kind("as in the contest's data sets", None, _CONTEST.functions, _CONTEST.requests, _CONTEST.length_s),
    "poisson": Kind("independent requests at a steady rate", arrivals.poisson, 20, 20_000, _HOUR_S),
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
