"""When cron expressions tick: shorthands, fields, and the days on which a clock changes."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from pilotlight.errors import TraceError
from pilotlight.traces import generate
from pilotlight.traces.cron import SHORTHANDS, UTC, cron_ticks_s, zone_named
from pilotlight.traces.synth import EPOCH_MS

YEAR_S = 366 * 86_400.0


def ticks(expression: str, zone: str, day: str) -> list[str]:
    """Return the UTC times of an expression's ticks from midnight UTC of a day on, for 24 hours."""
    since_s = datetime.fromisoformat(f"{day}T00:00+00:00").timestamp() - EPOCH_MS / 1000
    seconds = cron_ticks_s(expression, since_s + 86_400, zone_named(zone))
    moments = (datetime.fromtimestamp(EPOCH_MS / 1000 + at, tz=timezone.utc) for at in seconds[seconds >= since_s])
    return [moment.strftime("%H:%M") for moment in moments]


@pytest.mark.parametrize("name", SHORTHANDS)
def test_shorthand_ticks_as_its_fields_do(name: str) -> None:
    expected = cron_ticks_s(SHORTHANDS[name], YEAR_S).tolist()
    assert cron_ticks_s(name, YEAR_S).tolist() == cron_ticks_s(f" {name.upper()} ", YEAR_S).tolist() == expected


def test_shorthands_tick_as_often_as_they_say() -> None:
    counts = {name: len(cron_ticks_s(name, YEAR_S)) for name in SHORTHANDS}
    assert counts == {
        "@hourly": 366 * 24,
        "@daily": 366,
        "@midnight": 366,
        "@weekly": 52,
        "@monthly": 12,
        "@yearly": 1,
        "@annually": 1,
    }


@pytest.mark.parametrize(
    ("expression", "skipped", "twice"),
    [
        # In Berlin the clock goes from 2:00 to 3:00 at 1:00 UTC in spring, and from 3:00 to 2:00
        # at 1:00 UTC in autumn.
        ("30 2 * * *", ["01:00"], ["00:30"]),
        ("0,30 2-3 * * *", ["01:00", "01:30"], ["00:00", "00:30", "02:00", "02:30"]),
        ("30 3 * * *", ["01:30"], ["02:30"]),
        ("*/30 2 * * *", [], ["00:00", "00:30", "01:00", "01:30"]),
        ("0 30 2 * * *", [], ["00:30", "01:30"]),
        ("@daily", ["22:00"], ["23:00"]),
    ],
)
def test_hours_that_a_zone_skips_or_has_twice(expression: str, skipped: list[str], twice: list[str]) -> None:
    assert ticks(expression, "Europe/Berlin", "2024-03-31") == skipped
    assert ticks(expression, "Europe/Berlin", "2024-10-27") == twice


@pytest.mark.parametrize("day", ["2024-03-31", "2024-10-27"])
def test_jobs_of_every_hour_and_minute_keep_their_pace_when_the_clock_changes(day: str) -> None:
    assert ticks("@hourly", "Europe/Berlin", day) == ticks("@hourly", UTC, day)
    assert ticks("*/20 * * * *", "Europe/Berlin", day) == ticks("*/20 * * * *", UTC, day)


def test_zone_of_generated_jobs_is_a_parameter() -> None:
    here, there = (
        generate(f"cron:schedule=0 9 * * *,zone={zone},jitter=0", functions=1, length_s=86_400.0).trace
        for zone in ("UTC", "Asia/Kolkata")
    )
    assert here.origin_ms - there.origin_ms == 5.5 * 3_600_000


@pytest.mark.parametrize("expression", ["@reboot", "@every 5m", "* * * *", "* * * * * * *", "0 12 * * ?", ""])
def test_what_is_no_expression_is_refused_with_what_is_one(expression: str) -> None:
    with pytest.raises(TraceError, match=r"is no cron expression: .*; write five fields such as .*, six with seconds"):
        cron_ticks_s(expression, YEAR_S)


@pytest.mark.parametrize("zone", ["Berlin", "../etc/passwd", "", "/etc/localtime"])
def test_unknown_zone_is_named(zone: str) -> None:
    with pytest.raises(TraceError, match=r"cron: the time zone .* is not known; take a name such as Europe/Berlin"):
        generate(f"cron:schedule=@daily,zone={zone}")
