"""`--synth` of `pilotlight simulate` and `pilotlight compare`: generated load in the place of a TRACE."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from pilotlight import cli
from pilotlight.comparison.command import compare
from pilotlight.simulation.command import simulate
from pilotlight.traces import generate, write_contest

if TYPE_CHECKING:
    from pathlib import Path

    import click

WINDOW = {"start_s": 0.0, "length_s": None}

both = pytest.mark.parametrize("command", [simulate, compare], ids=lambda command: command.name)


def document(command: click.Command, *arguments: object) -> tuple[Any, str]:
    """Run one cheap policy; return the JSON document and what was said on stderr."""
    words = [*map(str, arguments), "--policy", "break_even", "--json=-"]
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), result.stderr


@both
def test_load_of_the_kind_is_played_and_announced(command: click.Command) -> None:
    spec = "on_off:on=30s,off=2m"
    found, said = document(command, "--synth", spec, "--seed", 7)
    made = generate(spec, seed=7)
    assert found["trace"]["source"] == made.source | {"window": WINDOW}
    assert found["trace"]["source"]["on_s"] == 30
    assert found["trace"]["execution_s"] == made.trace.execution_s
    assert f"generated {spec} load, {len(made.trace)} requests of 20 functions in 3600 s, seed 7" in said


def test_seed_decides_the_load() -> None:
    lengths = [
        document(simulate, "--synth", "poisson", "--seed", seed)[0]["trace"]["execution_s"] for seed in (1, 1, 2)
    ]
    assert lengths[0] == lengths[1] != lengths[2]


def test_without_trace_and_kind_the_load_is_the_contest_kind() -> None:
    plain, _ = document(simulate, "--length", "30s")
    named, _ = document(simulate, "--length", "30s", "--synth", "contest")
    assert plain["trace"] == named["trace"]
    assert plain["trace"]["source"]["load"] == "contest"


def test_generated_load_written_and_read_back_gives_the_same_figures(tmp_path: Path) -> None:
    made = generate("regime_switch:switches=2", seed=3)
    write_contest(made.trace, tmp_path / "set")
    generated, _ = document(simulate, "--synth", "regime_switch:switches=2", "--seed", 3)
    read, _ = document(simulate, tmp_path / "set")
    for one, other in zip(generated["results"], read["results"], strict=True):
        assert one | {"run_s": 0} == other | {"run_s": 0}


@both
def test_window_cuts_generated_load(command: click.Command) -> None:
    found, _ = document(command, "--synth", "one_shot", "--start", "10m", "--length", "5m")
    assert 0 < found["trace"]["requests"] < 5_000
    assert found["trace"]["length_s"] < 300
    assert found["trace"]["source"]["requests"] == 5_000
    assert found["trace"]["source"]["window"] == {"start_s": 600.0, "length_s": 300.0}


@pytest.mark.parametrize("command", ["simulate", "compare"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["no/such/trace", "--synth", "poisson"], "--synth generates the load to play; leave it out, or TRACE"),
        (["--requests", "no/such/file", "--synth", "poisson"], "--synth generates the load to play"),
        (["--metas", "no/such/file", "--synth", "poisson"], "--synth generates the load to play"),
        (["--synth", "bogus"], "load of kind 'bogus' is not known; choose one of contest, azure, poisson"),
        (["--synth", ""], "load of kind '' is not known"),
        (["--synth", "on_off:on=3"], "on_off: on is '3', not a duration"),
        (["--synth", "poisson:rate=3"], "poisson has no parameter 'rate'"),
    ],
    ids=str,
)
def test_wrong_use_ends_with_status_2_and_says_why(
    capsys: pytest.CaptureFixture[str], command: str, arguments: list[str], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, *arguments])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""
