"""Models of starts: what they are made of, and what a simulation does with them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from pilotlight import cli
from pilotlight.errors import ConfigError
from pilotlight.simulation.command import simulate
from pilotlight.simulation.frames import function_frame
from pilotlight.simulation.runner import SimulationSettings, run_policies
from pilotlight.starts import MODELS, StartTable, start_table
from pilotlight.starts.catalogue import model_named
from pilotlight.starts.huawei import LEVELS, PARTS_S, TOTAL_S
from pilotlight.traces import FunctionTable, generate
from pilotlight.traces.start_costs import draw_cold_starts
from pilotlight.traces.trace import NS_PER_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

HUAWEI = Path(__file__).resolve().parents[3] / "shared" / "data" / "huawei2025"
POLICIES = ("fixed:keep_alive=5s", "break_even", "level_gap")


def functions(
    runtimes: list[str], memory_mb: int = 128, init_ms: int = 200, stages: dict[str, list[int]] | None = None
) -> FunctionTable:
    count = len(runtimes)
    return FunctionTable(
        keys=tuple(f"f{row}" for row in range(count)),
        runtimes=tuple(runtimes),
        timeout_s=np.full(count, 60, dtype=np.uint32),
        memory_mb=np.full(count, memory_mb, dtype=np.uint64),
        init_ns=np.full(count, init_ms * NS_PER_MS, dtype=np.uint64),
        stages={
            name: np.array(column, dtype=np.uint64) * np.uint64(NS_PER_MS) for name, column in (stages or {}).items()
        },
    )


def made(spec: str, table: FunctionTable, create_ms: int = 105, seed: int = 1) -> StartTable:
    return start_table(spec, table, np.full(len(table), create_ms * NS_PER_MS, dtype=np.uint64), seed)


def rows_s(starts: StartTable, function: int) -> NDArray[np.float64]:
    rows = starts.durations_ns.reshape(-1, len(starts.stages))
    first = int(starts.first[function])
    return rows[first : first + int(starts.count[function])] / 1e9


def test_contest_starts_are_what_the_trace_says() -> None:
    starts = made("contest", functions(["a", "b"]))
    assert (starts.stages, starts.create_stages, starts.is_random) == (("create", "init"), 1, False)
    assert rows_s(starts, 1).tolist() == [[0.105, 0.2]]
    assert starts.mean_ms.tolist() == [305, 305]


def test_contest_starts_have_the_stages_that_the_trace_names() -> None:
    starts = made("contest", functions(["a"], stages={"code": [150], "user": [50]}))
    assert starts.stages == ("create", "code", "user")
    assert rows_s(starts, 0).tolist() == [[0.105, 0.15, 0.05]]


@pytest.mark.parametrize(("runtime", "whose"), [("Node.js14", "nodejs"), ("python3.9", "python"), ("go1.x", "go")])
def test_huawei_totals_have_the_published_quantiles_of_the_runtime(runtime: str, whose: str) -> None:
    starts = made("huawei", functions([runtime]))
    totals_s = rows_s(starts, 0).sum(axis=1)
    assert np.quantile(totals_s, LEVELS) == pytest.approx(TOTAL_S[whose], rel=0.02)


def test_huawei_parts_are_correlated_with_the_total_and_near_their_own_quantiles() -> None:
    rows = rows_s(made("huawei", functions(["java11"])), 0)
    totals_s = rows.sum(axis=1)
    for stage in (0, 2, 3):
        assert np.corrcoef(np.argsort(np.argsort(rows[:, stage])), np.argsort(np.argsort(totals_s)))[0, 1] > 0.9
    parts = [part for part in PARTS_S["java"] if part is not None]
    medians = np.array([part[LEVELS.index(0.5)] for part in parts])
    assert np.median(rows, axis=0) / np.median(totals_s) == pytest.approx(medians / medians.sum(), abs=0.02)


@pytest.mark.parametrize("region", ["R1", "R2", "R3", "R4", "R5"])
@pytest.mark.parametrize("size_mb", [256, 512])
def test_huawei_totals_have_the_published_quartiles_of_the_pod_size(region: str, size_mb: int) -> None:
    if not HUAWEI.is_dir():
        pytest.skip(f"{HUAWEI} is not there")
    starts = made(f"huawei:region={region}", functions(["unheard-of"], memory_mb=size_mb))
    totals_s = rows_s(starts, 0).sum(axis=1)
    with (HUAWEI / "fig13_quartiles_by_region_podsize.csv").open(encoding="utf-8") as file:
        published = next(
            row
            for row in csv.DictReader(file)
            if row["region"] == region
            and row["metric"] == "total_cold_start_s"
            and row["pool_size"].startswith("small" if size_mb == 256 else "large")
        )
    expected = [float(published[name]) for name in ("q25", "q50", "q75")]
    assert np.quantile(totals_s, [0.25, 0.5, 0.75]) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("runtime", TOTAL_S)
def test_huawei_table_is_the_published_one(runtime: str) -> None:
    path = HUAWEI / "cdf_quantiles.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    named = {
        "csharp": "C#", "custom": "Custom", "go": "Go1.x", "http": "http", "java": "Java", "nodejs": "Node.js",
        "php": "PHP7.3", "python2": "Python2", "python": "Python3",
    }  # fmt: skip
    with path.open(encoding="utf-8") as file:
        rows = {row["figure"]: row for row in csv.DictReader(file) if row["group"] == named[runtime]}
    columns = [f"p{round(level * 100)}" for level in LEVELS]
    figures = ("fig15e", "fig15b", "fig15c", "fig15d")
    for figure, values in zip(("fig15a", *figures), (TOTAL_S[runtime], *PARTS_S[runtime]), strict=True):
        if values is None:
            assert figure not in rows
        else:
            assert [float(rows[figure][column]) for column in columns] == list(values)


def test_huawei_may_differ_by_function_instead_of_start() -> None:
    table = functions(["java"] * 500)
    starts = made("huawei:spread=function", table, seed=3)
    assert not starts.is_random
    totals_s = np.array([rows_s(starts, row).sum() for row in range(500)])
    assert np.quantile(totals_s, [0.25, 0.5, 0.75]) == pytest.approx([0.535, 0.742, 1.047], rel=0.2)
    same, other = made("huawei:spread=function", table, seed=3), made("huawei:spread=function", table, seed=4)
    assert starts.first.tolist() == same.first.tolist() != other.first.tolist()


def test_readers_draw_cold_starts_from_the_same_law() -> None:
    memory_mb = np.array([128] * 20_000 + [1024] * 20_000, dtype=np.uint64)
    drawn_s = draw_cold_starts(memory_mb, np.random.default_rng(1))
    assert np.quantile(drawn_s[:20_000], [0.25, 0.5, 0.75]) == pytest.approx([0.602, 1.189, 2.961], rel=0.03)
    assert np.quantile(drawn_s[20_000:], [0.25, 0.5, 0.75]) == pytest.approx([1.781, 2.636, 4.297], rel=0.03)


@pytest.mark.parametrize(("runtime", "median_ms"), [("python3.12", 91.9), ("java21", 255.9), ("go", 47.6), ("", 144.5)])
def test_aws_starts_are_the_sandbox_and_the_runtime(runtime: str, median_ms: float) -> None:
    starts = made("aws:own=1s", functions([runtime]))
    rows = rows_s(starts, 0)
    assert starts.stages == ("sandbox", "runtime", "init")
    assert np.median(rows, axis=0) * 1000 == pytest.approx([125, median_ms, 1000], rel=0.01)


def test_models_load_at_their_size_over_the_bandwidth(tmp_path: Path) -> None:
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("key,bytes\nf1,1GB\nf2,536870912\n", encoding="utf-8")
    starts = made(f"model:bytes=16GB,bandwidth=2GB/s,sizes={sizes}", functions(["a", "b", "c"]))
    assert starts.stages == ("create", "init", "data")
    assert [rows_s(starts, row)[0].tolist() for row in range(3)] == [
        [0.105, 0.2, 8],
        [0.105, 0.2, 0.5],
        [0.105, 0.2, 0.25],
    ]


@pytest.fixture
def observed(tmp_path: Path) -> Path:
    """Write 40 starts of f0, 3 of f1 and 30 of others in java; stages rise together."""
    rows: list[dict[str, Any]] = []
    for own, runtime, count, base in (("f0", "go", 40, 100), ("f1", "java", 3, 5_000), ("g", "java", 30, 1_000)):
        rows += [
            {"function": own, "runtime": runtime, "sandbox_ms": base + n, "init_s": (base + n) / 100, "note": "x"}
            for n in range(count)
        ]
    path = tmp_path / "starts.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n  \n\n"])
def test_files_of_starts_and_of_sizes_may_end_in_blank_lines(tmp_path: Path, observed: Path, end: str) -> None:
    starts, sizes = tmp_path / "starts.csv", tmp_path / "sizes.csv"
    starts.write_bytes(pl.read_parquet(observed).write_csv().encode() + end.encode())
    sizes.write_bytes(b"key,bytes\nf0,1GB\n" + end.encode())
    one, other = (made(f"measured:file={path}", functions(["go"])) for path in (observed, starts))
    assert other.mean_init_ns.tolist() == one.mean_init_ns.tolist()
    loaded = made(f"model:bytes=16GB,bandwidth=2GB/s,sizes={sizes}", functions(["go"]))
    assert rows_s(loaded, 0)[0].tolist() == [0.105, 0.2, 0.5]


def test_measured_starts_are_rows_of_the_function_or_its_runtime_or_all(observed: Path) -> None:
    starts = made(f"measured:file={observed}", functions(["go", "java", "php"]))
    assert (starts.stages, starts.create_stages) == (("sandbox", "init"), 1)
    assert starts.count.tolist() == [40, 33, 73]
    for function in range(3):
        rows = rows_s(starts, function)
        assert rows[:, 1] == pytest.approx(rows[:, 0] * 10)
    assert rows_s(starts, 0)[:, 0].tolist() == pytest.approx([0.1 + n / 1000 for n in range(40)])


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("bogus", "start model 'bogus' is not known; choose one of contest, huawei"),
        ("huawei:region=R9", "huawei: region is 'R9'; choose one of R1"),
        ("huawei:spread=x", "huawei: spread is 'x'; choose start or function"),
        ("contest:x=1", "contest has no parameter 'x'; it has none"),
        ("model:bytes=16", "model: bytes is '16', not a size; write a number and its unit"),
        ("model:bandwidth=0B/s", "model: bandwidth is 0B/s; it must be from 1KB/s to 1TB/s"),
        ("model:sizes=nowhere.csv", "nowhere.csv: cannot be read: No such file"),
        ("measured", "measured: name the observed starts, as measured:file=starts.csv"),
        ("measured:file=nowhere.csv", "nowhere.csv: cannot be read: No such file"),
        ("measured:least=0.5,file=x", "measured: least is '0.5', not a whole number"),
    ],
)
def test_wrong_models_are_named(spec: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(spec, functions(["a"]))
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("sandbox_ms,init_ms\n1,2\n", "has 1 starts; it must have 20"),
        ("sandbox_ms,init_ms\n1,-2\n", "init_ms is -2 in row 1; it must be a time of at least 0"),
        ("sandbox_ms,init_ms\n1,nan\n", "the column init_ms must hold numbers; it holds String"),
        ("sandbox_ms,init_ms\n1,2\n3,\n", "init_ms is None in row 2"),
        ("sandbox_ms,init_ms\n1,long\n", "the column init_ms must hold numbers; it holds String"),
        ("init_ms,sandbox_ms\n1,2\n", "the stages sandbox come before the slot is there; put them first"),
        ("init_s,init_ms\n1,2\n", "the column init_ms would be the stage init, which another column is"),
        ("queued_ms,init_ms\n1,2\n", "the column queued_ms would be the stage queued, which has a meaning of its own"),
        ("sandbox,init\n1,2\n", "has no stage; name columns for their stage and unit"),
        ("", "cannot be read"),
    ],
)
def test_wrong_files_of_observed_starts_are_named(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "starts.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        made(f"measured:file={path}", functions(["a"]))
    assert str(caught.value).startswith(f"{path}: {text}")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("key,size\nf0,1GB\n", ":1: needs the columns key and bytes; it has key, size"),
        ("key,bytes\nf0,lots\n", ":2: bytes is 'lots', not a size"),
        ("key,bytes\nf0,1GB\nf0,2GB\n", ":3: 'f0' was given in a line above"),
        ("key,bytes\nf7,1GB\n", ": 'f7' is no function of the trace"),
    ],
)
def test_wrong_files_of_sizes_are_named(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "sizes.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        made(f"model:sizes={path}", functions(["a"]))
    assert str(caught.value).startswith(f"{path}{text}")


def test_means_are_exact_and_random_starts_are_drawn_from_the_rows() -> None:
    trace = generate("poisson", functions=3, requests=300, length_s=90_000.0).trace
    settings = SimulationSettings(start="huawei", seed=5)
    simulation = run_policies(trace, ["fixed:keep_alive=0s"], settings)
    starts = simulation.starts
    assert simulation.results[0].ledger["cold_starts"] > 250
    waited_s = simulation.results[0].requests["wait_ns"] / 1e9
    for function in range(3):
        possible = np.sort(rows_s(starts, function).sum(axis=1))
        own = waited_s[trace.function == function]
        found = possible[np.clip(np.searchsorted(possible, own - 1e-6), 0, len(possible) - 1)]
        # All but those few that came during another request's start.
        assert np.mean(np.abs(found - own) < 1e-6) > 0.9
        assert starts.mean_ms[function] == pytest.approx(possible.mean() * 1000, rel=1e-6)


@pytest.mark.parametrize("spec", ["contest", "huawei", "aws", "model:bytes=1GB"])
def test_stage_waits_add_up_to_the_waits_for_cold_starts(spec: str) -> None:
    trace = generate("contest", functions=60, requests=5_000, length_s=300.0).trace
    simulation = run_policies(trace, POLICIES, SimulationSettings(start=spec, create_failure=0.02, init_failure=0.02))
    for result in simulation.results:
        stages = np.sum(list(result.stage_wait_s.values()), axis=0)
        assert stages == pytest.approx(result.functions["cold_start_wait_s"], abs=1e-6)
        assert stages.sum() > 0
        frame = function_frame(simulation, result)
        total = sum(frame[f"stage_wait_s_{stage}"].sum() for stage in (*simulation.starts.stages, "queued"))
        assert total == pytest.approx(stages.sum())


def test_seed_decides_random_starts() -> None:
    trace = generate("bursty", requests=2_000).trace
    waits = [
        run_policies(trace, ["break_even"], SimulationSettings(start="aws", seed=seed)).results[0].wait_s
        for seed in (1, 1, 2)
    ]
    assert waits[0] == waits[1] != waits[2]


def test_command_reports_the_model_and_the_stages(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    options = ["--synth", "bursty", "--length", "5m", "--start-model", "huawei:region=R4", "--policy", "break_even"]
    result = CliRunner().invoke(simulate, [*options, "--json", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "queued" in result.stdout
    assert "starts are drawn" in result.stdout
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["settings"]["start"] == "huawei:region=R4"
    assert document["start"]["create_stages"] == ["schedule", "sandbox"]
    assert document["start"]["init_stages"] == ["code", "dependency"]
    assert "EuroSys 2025" in document["start"]["source"]
    waits = document["results"][0]["stage_wait_s"]
    assert list(waits) == ["schedule", "sandbox", "code", "dependency", "queued"]
    assert sum(waits.values()) <= document["results"][0]["wait_s"] + 1e-6


def test_command_ends_with_status_2_on_an_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", "--start-model", "bogus"])
    assert ended.value.code == 2
    assert "start model 'bogus' is not known" in capsys.readouterr().err


def test_table_of_models_in_the_docs_is_complete() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "start-models.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}
    for name in MODELS:
        found, values = model_named(name)
        for parameter in found.parameters:
            assert f"`{parameter.name}={parameter.shown(values[parameter.argument])}`" in rows[name]
