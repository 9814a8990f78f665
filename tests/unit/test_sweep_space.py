"""Which settings a sweep tries, and how bad ones are refused."""

from __future__ import annotations

import pytest

from pilotlight.errors import ConfigError
from pilotlight.sweep.space import Grid, Range, settings


def test_a_grid_combines_every_value_with_every_other() -> None:
    grids = [Grid.parse("lambda=1,2"), Grid.parse("scale=1,3")]
    assert settings("break_even", grids) == [
        "break_even:lambda=1,scale=1",
        "break_even:lambda=1,scale=3",
        "break_even:lambda=2,scale=1",
        "break_even:lambda=2,scale=3",
    ]


def test_parameters_of_the_policy_stay_beside_those_that_vary() -> None:
    assert settings("fixed:handoff=none", [Grid.parse("keep_alive=5s")]) == ["fixed:handoff=none,keep_alive=5s"]


def test_a_policy_without_a_grid_is_one_setting() -> None:
    assert settings("fixed", []) == ["fixed"]


def test_draws_follow_their_seed_and_stay_in_their_range() -> None:
    drawn = [Range.parse("lambda=log:0.1..100")]
    first = settings("level_gap", [], drawn, samples=30, seed=1)
    assert first == settings("level_gap", [], drawn, samples=30, seed=1)
    assert first != settings("level_gap", [], drawn, samples=30, seed=2)
    values = [float(spec.partition("=")[2]) for spec in first]
    assert len(values) == 30
    assert all(0.1 <= value <= 100 for value in values)
    assert sum(value < 3.2 for value in values) > 8, "half of the decades, about half of the draws"


def test_drawn_durations_have_their_unit_and_are_crossed_with_the_grid() -> None:
    found = settings(
        "fixed", [Grid.parse("handoff=oldest,none")], [Range.parse("keep_alive=uniform:1s..60s")], samples=3
    )
    assert len(found) == 6
    assert all(spec.endswith("s") for spec in found)


@pytest.mark.parametrize(
    ("policy", "grids", "ranges", "said"),
    [
        ("levelgap", [], [], "no policy is called so; there are fixed, break_even"),
        ("fixed", ["lambda=1"], [], "fixed has no parameter lambda; it has keep_alive"),
        ("fixed", ["keep_alive=1s,soon"], [], "keep_alive"),
        ("fixed", ["keep_alive=1s"], ["keep_alive=log:1s..9s"], "keep_alive is given twice"),
        ("fixed:keep_alive=3s", ["keep_alive=1s"], [], "keep_alive is given twice"),
        ("fixed", ["keep_alive"], [], "write NAME=VALUE,VALUE"),
        ("fixed", ["keep_alive=1s,,2s"], [], "write NAME=VALUE,VALUE"),
        ("break_even", [], ["lambda=0.1..100"], "write NAME=uniform:LOW..HIGH"),
        ("break_even", [], ["lambda=log:0..100"], "log's above 0"),
        ("break_even", [], ["lambda=uniform:5..5"], "LOW must be below HIGH"),
        ("fixed", [], ["keep_alive=log:1s..9m"], "both ends in the same unit"),
    ],
)
def test_what_cannot_be_tried_is_named_with_what_is_allowed(
    policy: str, grids: list[str], ranges: list[str], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(policy, [Grid.parse(text) for text in grids], [Range.parse(text) for text in ranges])
    assert said in str(refused.value)


def test_a_grid_that_would_never_end_is_refused() -> None:
    thousand = ",".join(str(value) for value in range(1001))
    with pytest.raises(ConfigError, match="at most 1,000,000"):
        settings("break_even", [Grid.parse(f"lambda={thousand}"), Grid.parse(f"scale={thousand}")])
