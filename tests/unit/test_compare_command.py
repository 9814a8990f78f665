"""`pilotlight compare`: tables, JSON, CSV and charts."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from pilotlight import cli
from pilotlight.comparison.command import compare
from pilotlight.comparison.families import available
from pilotlight.simulation.command import simulate
from pilotlight.traces import SynthSettings, synthesize, write_contest

if TYPE_CHECKING:
    from pathlib import Path

    import click

REQUESTS = 600
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = synthesize(SynthSettings(functions=40, requests=REQUESTS, length_s=60, bad_share=0.05))
    return write_contest(made, tmp_path_factory.mktemp("trace") / "set").requests.parent


class Tags(HTMLParser):
    """Names what a browser would see as tags and attributes; what scripts say is text."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]


def run(*arguments: object, command: click.Command = compare) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def document(*arguments: object, command: click.Command = compare) -> Any:  # noqa: ANN401 - JSON
    return json.loads(run(*arguments, "--json=-", command=command).stdout)


def test_table_shows_every_policy_there_is_and_the_clairvoyant_last(folder: Path) -> None:
    lines = run(folder, "--per-function").stdout.splitlines()
    firsts = [line.split()[0] for line in lines if line.strip()]
    end = firsts.index("clairvoyant")
    for family in available().values():
        assert family.policy in firsts[:end]
        assert {spec.partition(":")[2] for spec in family.specs} <= {*firsts[:end], ""}
    assert max(map(len, lines)) <= 100


def test_json_has_what_simulate_has_and_where_each_policy_stands(folder: Path) -> None:
    specs = ("--policy", "fixed:keep_alive=1s", "--policy", "fixed:keep_alive=60s", "--policy", "break_even")
    found = document(folder, *specs)
    simulated = document(folder, *specs, command=simulate)
    for one, other in zip(found["results"], simulated["results"], strict=True):
        assert {name: one[name] for name in other if name != "run_s"} == {
            name: value for name, value in other.items() if name != "run_s"
        }
        assert one["waste_gb_s"] == pytest.approx(sum(one["gb_s"].values()) - one["gb_s"]["busy"])
        assert (one["dominated_by"] is None) == (one["policy"] in found["frontier"])
    assert set(found["results"][2]["against"]) == {"fixed"}
    assert found["results"][0]["against"] == {}
    assert found["clairvoyant"]["wait_s"] == 0
    assert found["trace"] == simulated["trace"]
    assert found["settings"] == simulated["settings"]


def test_family_and_policy_choose_what_runs(folder: Path) -> None:
    found = document(folder, "--family", "break_even", "--policy", "fixed", "--policy", "fixed")
    assert [result["policy"] for result in found["results"]] == [*available()["break_even"].specs, "fixed"]


def test_per_function_costs_price_waiting_by_lambda(folder: Path) -> None:
    specs = ("--policy", "fixed:keep_alive=1s", "--policy", "break_even")
    found = document(folder, *specs, "--per-function", "--lambda", 3)
    assert found["lambda"] == 3
    assert len(found["functions"]) == found["trace"]["called"]
    for function in found["functions"]:
        assert [row["policy"] for row in function["policies"]] == [spec for spec in specs if spec != "--policy"]
        for row in function["policies"]:
            assert row["cost"] == pytest.approx(row["waste_gb_s"] + 3 * row["wait_s"])


def test_csv_has_a_row_for_each_policy_and_the_clairvoyant(folder: Path, tmp_path: Path) -> None:
    run(folder, "--family", "fixed", "--policy", "break_even", "--csv", tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["policy"] for row in rows] == [*available()["fixed"].specs, "break_even", "clairvoyant"]
    assert float(rows[-1]["waste_gb_s"]) < float(rows[0]["waste_gb_s"])
    assert rows[0]["against_fixed_less_waste"] == ""


def test_per_function_csv_has_a_row_for_each_function_and_policy(folder: Path, tmp_path: Path) -> None:
    specs = ("--policy", "fixed", "--policy", "break_even")
    found = document(folder, *specs, "--per-function", "--csv", tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert len(rows) == 2 * found["trace"]["called"]
    assert [row["key"] for row in rows[::2]] == [function["key"] for function in found["functions"]]


def test_html_holds_all_it_needs(folder: Path, tmp_path: Path) -> None:
    run(folder, "--plot", tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    found = Tags()
    found.feed(page)
    assert {"script", "style", "main"} <= set(found.names)
    assert not {"src", "href", "link", "iframe"} & {*found.names, *found.attributes}
    assert "default-src 'none'" in page
    assert re.findall(r"<h2 id=[^>]+>(.*?)</h2>", page) == [
        "Wasted memory against waiting",
        "Where the score comes from",
        "Who wins which function",
    ]
    for family in available().values():
        assert all(json.dumps(spec) in page for spec in family.specs)


def test_svg_and_png_are_drawn_without_a_browser(folder: Path, tmp_path: Path) -> None:
    run(folder, "--family", "fixed", "--plot", tmp_path / "out.svg")
    drawn = ET.fromstring((tmp_path / "out.svg").read_text(encoding="utf-8"))  # noqa: S314 - our own file
    assert drawn.tag.endswith("svg")
    texts = {element.text for element in drawn.iter() if element.text}
    assert {"fixed 1s", "fixed 1200s", "Who wins which function"} <= texts
    run(folder, "--family", "fixed", "--plot", tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(PNG_HEAD)


@pytest.mark.parametrize("spec", ["break_even", "fixed:keep_alive=0s"])
def test_one_policy_alone_is_drawn_too(folder: Path, tmp_path: Path, spec: str) -> None:
    shown = run(folder, "--policy", spec, "--create-ms", 0, "--per-function", "--plot", tmp_path / "out.svg").stdout
    assert "on the frontier" in shown
    assert (tmp_path / "out.svg").stat().st_size > 0


def test_chart_is_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        run(folder, "--family", "break_even", "--plot", tmp_path / name)
    assert (tmp_path / "one.svg").read_text() == (tmp_path / "two.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--plot", "out.pdf"], "must end in .html, .svg or .png"),
        (["--plot", "no/such/folder.svg"], "is not a folder; make it first"),
        (["--policy", "bogus"], "bogus"),
        (["--policy", "fixed:keep_alive=5"], "keep_alive"),
        (["--family", "bogus"], "no policy is called bogus"),
        (["--lambda", "-1"], "-1"),
        (["--jobs", "0"], "0"),
    ],
    ids=str,
)
def test_bad_input_ends_with_status_2_before_the_trace_is_read(
    capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", "no/such/trace", *arguments])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert "no/such/trace" not in captured.err
    assert captured.out == ""


def test_comparison_without_a_plot_loads_no_drawing_library(folder: Path) -> None:
    script = (
        "import sys\nfrom pilotlight.cli import main\n"
        "try:\n    main(['compare', sys.argv[1], '--policy', 'break_even'])\nexcept SystemExit as ended:\n"
        "    assert not ended.code\n"
        "assert not {'altair', 'vl_convert', 'grpc'} & set(sys.modules), sorted(sys.modules)\n"
    )
    output = subprocess.run([sys.executable, "-c", script, folder], check=True, capture_output=True, text=True).stdout
    assert "break_even" in output
