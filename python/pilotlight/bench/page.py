"""The page of results: the latest whole run of every machine, as tables and a chart. JSON in, Markdown and SVG out.

`python -m pilotlight.bench.page FOLDER` renders FOLDER/*.json into FOLDER/README.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotlight.bench.chart import draw
from pilotlight.bench.tables import CORE_COLUMNS, LOAD_COLUMNS, SIM_COLUMNS, SOAK_COLUMNS, STORM_COLUMNS, cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pilotlight.bench.load import Row

PAGE = "README.md"
_MARKS = {True: "yes", False: "**no**", None: "not measured"}


def main() -> None:
    """Render the folder named on the command line."""
    render(Path(sys.argv[1]))


def render(folder: Path) -> Path:
    """Write the page of a folder of results, and a chart beside it for each machine; return the page."""
    latest = _latest(folder.glob("*.json"))
    lines = [
        "# Results",
        "",
        "Made by `make bench` from the JSON files here; [what each figure is](../../docs/bench.md).",
        "",
    ]
    for number, (path, results) in enumerate(latest):
        chart = folder / f"chart-{number}.svg"
        draw(results, chart)
        lines += _machine(results, path.name, chart.name)
    others = sorted(path.name for path in folder.glob("*.md") if path.name != PAGE)
    lines += ["## Other measurements", "", *(f"* [{name.removesuffix('.md')}]({name})" for name in others)]
    page = folder / PAGE
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return page


def _latest(paths: Iterable[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Return the whole runs, the latest of each kind of machine, latest first."""
    found: dict[tuple[str, int], tuple[Path, dict[str, Any]]] = {}
    for path in paths:
        results = json.loads(path.read_text(encoding="utf-8"))
        if results.get("benchmark") != "all":
            continue
        machine = (results["machine"]["cpu"], results["machine"]["cores"])
        if machine not in found or found[machine][1]["machine"]["date"] < results["machine"]["date"]:
            found[machine] = (path, results)
    return sorted(found.values(), key=lambda entry: entry[1]["machine"]["date"], reverse=True)


def _machine(results: dict[str, Any], source: str, chart: str) -> list[str]:
    machine, around = results["machine"], results["surroundings"]
    where = f"{machine['date']}, commit {machine['commit']}, Linux {machine['kernel']}, Python {machine['python']}"
    load = f"Load before {around['load_1m_before']}, after {around['load_1m']}; {around['steal_share']:.1%} of the CPU"
    lines = [f"## {machine['cpu']}, {machine['cores']} cores", "", f"{where}; [{source}]({source})."]
    lines += [f"{load} time was stolen by the host. Client and server share the cores.", ""]
    lines += [f"Note: {results['note']}", ""] if results.get("note") else []
    lines += _verdicts(results["verdicts"])
    if results.get("grpc"):
        lines += ["### Over gRPC", "", f"![calls a second and latency]({chart})", ""]
        lines += _table(("scenario", "target"), LOAD_COLUMNS, results["grpc"])
    for title, section, heads, columns in (
        ("### Beside a storm of cold starts", "storm", ("target",), STORM_COLUMNS),
        ("### Soak", "soak", ("target",), SOAK_COLUMNS),
        ("### In the engine: warm Assign and its Idle", "core", ("policy", "scenario"), CORE_COLUMNS),
        ("### Simulator, one core", "sim", ("policy",), SIM_COLUMNS),
    ):
        if results.get(section):
            lines += [title, "", *_table(heads, columns, results[section])]
    lines += [f"Not measured: {text}" for text in results.get("skipped", [])]
    return [*lines, ""]


def _verdicts(verdicts: Sequence[dict[str, Any]]) -> list[str]:
    lost = [verdict["claim"] for verdict in verdicts if verdict["holds"] is False]
    lines = ["| goal | limit | measured | holds |", "|---|---|---|---|"]
    for verdict in verdicts:
        value = "-" if verdict["value"] is None else f"{verdict['value']:,.4g}"
        if verdict["value"] is not None and abs(verdict["value"]) >= 10_000:  # noqa: PLR2004 - no exponents in print
            value = f"{verdict['value']:,.0f}"
        why = f": {verdict['why']}" if verdict.get("why") else ""
        lines.append(f"| {verdict['claim']} | {verdict['limit']} | {value} | {_MARKS[verdict['holds']]}{why} |")
    return [*lines, "", f"Where it loses here: {'; '.join(lost)}." if lost else "No goal is missed here.", ""]


def _table(heads: Sequence[str], columns: Sequence[tuple[str, str, str]], rows: Sequence[Row]) -> list[str]:
    titles = [*heads, *(title.replace("\n", " ") for _, title, _ in columns)]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(heads)}{'---:|' * len(columns)}"]
    for row in rows:
        cells = [str(row[head]) for head in heads] + [cell(row.get(name), form) for name, _, form in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
