"""Run the benchmarks and keep what they measured: benches/results/NAME.json and .md, with machine, commit and date.

`make bench` runs it. `--third-set FOLDER` adds the simulation of a contest data set.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
POLICIES = ("fixed:keep_alive=300s", "fixed:keep_alive=1s", "break_even", "level_gap")


def machine() -> dict[str, Any]:
    """Say where this ran."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    commit = _output("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "commit": commit,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "rustc": _output("rustc", "--version"),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def criterion() -> dict[str, float]:
    """Run the Rust benchmarks; return their medians in ns."""
    subprocess.run(["cargo", "bench", "-p", "pilotlight-benches", "--locked"], cwd=ROOT, check=True)  # noqa: S607
    found = sorted((ROOT / "target" / "criterion").glob("*/*/new/estimates.json"))
    medians = {}
    for path in found:
        name = json.loads((path.parent / "benchmark.json").read_text())["full_id"]
        medians[name] = json.loads(path.read_text())["median"]["point_estimate"]
    return medians


def ffi() -> float:
    """Run the pair through the extension; return its median in ns."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "ffi.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--benchmark-json",
            str(result),
            str(ROOT / "benches" / "bench_ffi.py"),
        ]
        subprocess.run(command, cwd=ROOT, check=True)
        return float(json.loads(result.read_text())["benchmarks"][0]["stats"]["median"]) * 1e9


def third_set(folder: Path) -> list[dict[str, Any]]:
    """Simulate a contest data set; return seconds and requests a second by policy, the best of three runs."""
    program = shutil.which("pilotlight", path=str(Path(sys.executable).parent))
    assert program is not None
    policies = [word for policy in POLICIES for word in ("--policy", policy)]
    runs = [json.loads(_output(program, "simulate", str(folder), *policies, "--json=-")) for _ in range(3)]
    requests = runs[0]["trace"]["requests"]
    rows = []
    for number, policy in enumerate(POLICIES):
        seconds = min(run["results"][number]["run_s"] for run in runs)
        rows.append(
            {"policy": policy, "requests": requests, "run_s": seconds, "invocations_per_s": round(requests / seconds)}
        )
    return rows


def page(results: dict[str, Any]) -> str:
    """Render results as Markdown."""
    where = results["machine"]
    lines = [
        f"# {where['date']}, commit {where['commit']}",
        "",
        f"{where['cpu']}, {where['cores']} cores, Linux {where['kernel']}.",
        f"Python {where['python']}, {where['rustc']}; load {where['load_1m']} at the start.",
        "",
        "| what | median |",
        "|---|---|",
    ]
    lines += [f"| {name} | {ns:,.0f} ns |" for name, ns in results["criterion_ns"].items() if ns < 1e5]
    lines += [
        f"| {name} (100,000 requests) | {ns / 1e6:,.1f} ms |"
        for name, ns in results["criterion_ns"].items()
        if ns >= 1e5
    ]
    lines += [f"| warm pair through the extension, bytes to bytes | {results['ffi_warm_pair_ns']:,.0f} ns |"]
    lines += [
        f"| third contest set, {row['requests']:,} requests, {row['policy']} "
        f"| {row['run_s']:.2f} s, {row['invocations_per_s']:,} invocations/s |"
        for row in results.get("third_set", [])
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything and write the two files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="latest", help="name of the files in benches/results (default: latest)")
    parser.add_argument("--third-set", type=Path, help="folder of a contest data set to simulate")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine()}
    results["criterion_ns"] = criterion()
    results["ffi_warm_pair_ns"] = ffi()
    if arguments.third_set:
        results["third_set"] = third_set(arguments.third_set)
    folder = ROOT / "benches" / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{arguments.name}.json").write_text(json.dumps(results, indent=2) + "\n")
    (folder / f"{arguments.name}.md").write_text(page(results))
    print(page(results))


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()


if __name__ == "__main__":
    main()
