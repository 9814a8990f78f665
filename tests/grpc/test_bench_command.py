"""`pilotlight bench grpc` and `storm` against real scalers; the documented fields are those that are written."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pilotlight import _core
from pilotlight.bench.load import LoadSettings
from pilotlight.bench.soak import Soak, soak_row
from pilotlight.cli import main

if TYPE_CHECKING:
    from conftest import ServeProcess

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bench.md"


def documented(*sections: str) -> set[str]:
    """Collect the fields of tables in docs/bench.md: what is in backticks in their first columns."""
    text = DOCS.read_text(encoding="utf-8")
    found: set[str] = set()
    for section in sections:
        table = text[text.index(section) :].split("|---|---|\n", 1)[1].split("\n\n", 1)[0]
        found.update(name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1]))
    return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments, "--json", "-"])
    assert ended.value.code == 0
    results: dict[str, Any] = json.loads(capsys.readouterr().out)
    return results


def test_grpc_measures_a_scaler_and_writes_the_documented_fields(
    serve_process: ServeProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    platform = _core.InstantPlatform()
    flags = ("--address=127.0.0.1:0", f"--platform-address={platform.address}", "--metrics-address=")
    target = serve_process(*flags, "--policy=fixed:keep_alive=60s").event("listening")["address"]
    loads = ("--streams", "2", "--rate", "200", "--functions", "3", "--duration", "300ms", "--warm-up", "0s")
    results = run(capsys, "grpc", "--target", target, *loads, "--rounds", "2")
    platform.close()
    closed, opened = results["results"]
    assert (closed["scenario"], opened["scenario"]) == ("closed 8x2", "open 200/s")
    assert closed["failures"] == opened["failures"] == {}
    assert closed["calls"] > 0
    assert closed["rounds"] == 2
    assert len(results["rounds"]) == 4
    fields = documented("### `grpc` and `storm`")
    assert set(closed) | {"round"} == fields == set(results["rounds"][0]) | {"rounds"}
    assert set(results) >= {"benchmark", "machine", "surroundings", "settings", "ratios"}


def test_storm_beside_another_scaler_writes_the_documented_fields(capsys: pytest.CaptureFixture[str]) -> None:
    storm = ("--requests", "20", "--storm-functions", "5", "--over", "100ms", "--create", "10ms", "--init", "20ms")
    load = ("--rate", "100", "--functions", "2", "--duration", "1s", "--warm-up", "0s", "--connections", "1")
    results = run(capsys, "storm", "--serve", "native", "--against", "grpcio", *storm, *load)
    native, grpcio = results["results"]
    assert (native["target"], grpcio["target"]) == ("native", "grpcio")
    for row in (native, grpcio):
        assert row["storm_calls"] == 40
        assert row["failures"] == row["storm_failures"] == row["beside_storm_failures"] == {}
        assert row["starts"] >= 8 + 5
        assert row["rss_mb"] > 10
    assert set(native) | {"round"} == documented("### `grpc` and `storm`", "`storm` alone")
    assert results["ratios"][0]["target"] == "native / grpcio"


@pytest.mark.parametrize(("soak", "least"), [(Soak(calls=3000), 3000), (Soak(seconds=0.2), 1)])
def test_soak_ends_with_its_calls_or_its_time(soak: Soak, least: int) -> None:
    shares: list[float] = []
    load = LoadSettings(duration=0.1, warm_up=0.0, connections=2, functions=2).closed(4)

    def progress(_text: str, share: float) -> None:
        shares.append(share)

    row = soak_row("native", soak, policy="fixed:keep_alive=60s", progress=progress, load=load)
    assert row["calls"] >= least
    assert row["failures"] == {}
    assert row["rss_mb"] > 10
    assert max(shares) <= 1.0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("grpc",), "--target HOST:PORT or --serve NAME"),
        (("grpc", "--target", "127.0.0.1:1", "--serve", "go"), "--target HOST:PORT or --serve NAME"),
        (("grpc", "--target", "nobody"), "'nobody' is neither host:port nor one of native"),
        (("grpc", "--serve", "grpcio", "--against", "grpcio"), "against itself"),
        (("grpc", "--target", "127.0.0.1:1", "--duration", "5"), "not a duration"),
        (("grpc", "--target", "127.0.0.1:1", "--rate", "0"), "--rate"),
        (("grpc", "--target", "127.0.0.1:1", "--threads", "9"), "each thread needs a connection"),
        (("all", "--soak", "long"), "or a number of calls"),
        (("core", "--policy", "fixd"), "fixd"),
        (("sim", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_ends_with_status_2_and_says_why(
    arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_target_that_nobody_serves_ends_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(SystemExit) as ended:
            main(["bench", "grpc", "--target", f"127.0.0.1:{probe.getsockname()[1]}"])
    assert ended.value.code == 2
    assert "is the scaler running?" in capsys.readouterr().err
