"""`pilotlight simulate --explain`: which function is meant, and what is said of it on the terminal and in JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from pilotlight import cli
from pilotlight.errors import ConfigError
from pilotlight.report.explanation import SHOWN_DECISIONS
from pilotlight.simulation.command import simulate
from pilotlight.simulation.explanation import find_function
from pilotlight.simulation.output import result_fields
from pilotlight.simulation.runner import run_policies
from pilotlight.traces import SynthSettings, Trace, synthesize, write_contest

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ("pay", "payment", "report-1", "report-2")
POLICIES = ("--policy", "level_gap", "--policy", "fixed:keep_alive=1s")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return synthesize(SynthSettings(functions=40, requests=3000, length_s=120, bad_share=0.05))


@pytest.fixture(scope="module")
def folder(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_contest(trace, tmp_path_factory.mktemp("trace") / "set").requests.parent


@pytest.fixture(scope="module")
def busiest(trace: Trace) -> str:
    return trace.functions.keys[int(np.bincount(trace.function).argmax())]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(simulate, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(("wanted", "row"), [("pay", 0), ("paym", 1), ("payment", 1), ("report-2", 3)])
def test_a_key_wins_over_keys_that_begin_with_it(wanted: str, row: int) -> None:
    assert find_function(KEYS, wanted) == row


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("report", "2 functions begin so, report-1, report-2 among them; write more of the key"),
        ("", "4 functions begin so, pay, payment, report-1 among them"),
        ("report-3", "none of the 4 functions begins so; the closest: report-1, report-2, pay"),
        ("payments", "the closest: payment, pay, report-1"),
    ],
)
def test_an_unclear_function_is_refused_with_the_closest_keys(wanted: str, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        find_function(KEYS, wanted)
    assert f"--explain {wanted!r}: " in str(refused.value)
    assert text in str(refused.value)


def test_an_unknown_function_ends_with_status_2_and_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", str(folder), "--explain", "nobody"])
    captured = capsys.readouterr()
    assert (ended.value.code, captured.err.count("\n"), captured.out) == (2, 1, "")
    assert "nobody" in captured.err


def test_json_has_all_decisions_and_accounts_of_the_function(folder: Path, busiest: str) -> None:
    found = json.loads(run(folder, *POLICIES, "--explain", busiest, "--per-function", "--json=-"))
    for result in found["results"]:
        explanation = result["explanation"]
        (row,) = (row for row in result["functions"] if row["key"] == busiest)
        assert explanation["function"] == busiest
        counts = explanation["counts"]
        assert counts["assigns"] == row["requests"]
        assert sum(counts[name] for name in counts if name.endswith("_wait_s")) == pytest.approx(row["wait_s"])
        assert number_of(explanation, "starts an instance") == counts["starts"] > 0
        assert number_of(explanation, "gets the new instance") == counts["cold_starts"] > 0
        assert number_of(explanation, "keep-alive over") == counts["retired"] > 0
        moments = [decision["at_s"] for decision in explanation["decisions"]]
        assert moments == sorted(moments)
        assert explanation["accounts"][-1]["lines"]
        assert explanation["decisions_left_out"] == 0


def number_of(explanation: dict[str, Any], words: str) -> int:
    return sum(words in decision["what"] for decision in explanation["decisions"])


def test_explaining_changes_nothing_but_the_explanation(trace: Trace) -> None:
    plain, explained = (run_policies(trace, ["level_gap"], explain=row).results[0] for row in (None, 0))
    assert plain.explanation is None
    assert explained.explanation is not None
    assert {**result_fields(plain), "run_s": 0} == {**result_fields(explained), "run_s": 0}


def test_terminal_shows_counts_the_last_account_and_the_ends_of_the_log(folder: Path, busiest: str) -> None:
    shown = run(folder, *POLICIES, "--explain", busiest)
    found = json.loads(run(folder, *POLICIES, "--explain", busiest, "--json=-"))
    assert max(map(len, shown.splitlines())) <= 100
    _, *blocks = shown.split(", its account at ")
    for result, block in zip(found["results"], blocks, strict=True):
        explanation = result["explanation"]
        words = " ".join(block.split())
        assert all(line in words for line in explanation["accounts"][-1]["lines"])
        log = [line.split(" s  ", 1) for line in block.splitlines() if re.match(r" +[\d,]+\.\d{3} s  ", line)]
        decisions = [[f"{each['at_s']:,.3f}", each["what"]] for each in explanation["decisions"]]
        assert len(decisions) > 2 * SHOWN_DECISIONS
        assert f"{len(decisions) - 2 * SHOWN_DECISIONS:,} more: all of them with --json" in block
        assert [[at.strip(), what.strip()] for at, what in log] == [
            *decisions[:SHOWN_DECISIONS],
            *decisions[-SHOWN_DECISIONS:],
        ]


def test_a_function_that_is_not_called_has_no_decisions(folder: Path, trace: Trace) -> None:
    called = set(trace.function[trace.arrival_ns < 1_000_000_000].tolist())
    late = next(row for row in range(len(trace.functions)) if row not in called)
    shown = run(folder, "--length", "1s", "--policy", "fixed", "--explain", trace.functions.keys[late])
    assert "0 requests" in shown
    assert "No decision was made for it." in shown
