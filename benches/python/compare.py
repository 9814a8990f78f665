"""Measure the benchmarks beside this file and compare them with the baseline of this machine.

`python benches/python/compare.py` prints a table and ends with status 1 if something has become
slower; `--save` keeps what was measured as the baseline of this machine instead.

A machine is never quiet. So times are those of processors, of all threads together, except where a
client waits for a front. The least of many counts, as the one that was disturbed least, and it is
divided by that of a fixed piece of work (`bench_reference`) measured in the same run, which takes
out how fast the machine is at the moment. A benchmark may take `TOLERANCE` more than its baseline,
or what it says of itself; and what seems slower is measured again, up to `AGAIN` times, before it
is said to be. Times of another machine or Python are shown, not judged.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from pilotlight.bench.machine import Surroundings, describe

HERE = Path(__file__).resolve().parent
BASELINES = HERE.parent / "baselines"
REFERENCE = "benches/python/bench_reference.py::test_reference"
TOLERANCE = 0.3
AGAIN = 2
MACHINE = ("cpu", "cores", "python")
"""What must be the same for times to be judged."""


class Verdict(NamedTuple):
    """A benchmark beside its baseline.

    Attributes:
        name: of the benchmark.
        least_s: its least time now.
        ratio: that over the baseline's, both in units of the reference; None: the baseline does
            not have it.
        tolerance: how much above 1 the ratio may be.
    """

    name: str
    least_s: float
    ratio: float | None
    tolerance: float

    @property
    def short(self) -> str:
        """Its name without the file's."""
        return self.name.rpartition("::test_")[2]

    @property
    def slower(self) -> bool:
        """Whether it takes longer than noise explains."""
        return self.ratio is not None and self.ratio > 1 + self.tolerance


def measure(names: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Run all benchmarks, or those named and the reference, and return the least and median time of each."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "--quiet", "--benchmark-quiet", f"--benchmark-json={report}"]
        command += ["--benchmark-max-time=0.5", "--benchmark-min-time=0.0005", "--benchmark-timer=time.process_time"]
        chosen = sorted(str(path) for path in HERE.glob("bench_*.py")) if names is None else [REFERENCE, *names]
        subprocess.run([*command, *chosen], check=True, cwd=HERE.parents[1], stdout=sys.stderr)
        found = json.loads(report.read_text(encoding="utf-8"))["benchmarks"]
    return {
        each["fullname"]: {
            "least_s": each["stats"]["min"],
            "median_s": each["stats"]["median"],
            "tolerance": each["extra_info"].get("tolerance", TOLERANCE),
        }
        for each in found
    }


def compare(now: dict[str, dict[str, float]], before: dict[str, dict[str, float]]) -> list[Verdict]:
    """Set what was measured beside the baseline."""
    speed = before[REFERENCE]["least_s"] / now[REFERENCE]["least_s"]
    return [
        Verdict(
            name,
            each["least_s"],
            each["least_s"] * speed / before[name]["least_s"] if name in before else None,
            each["tolerance"],
        )
        for name, each in now.items()
        if name != REFERENCE
    ]


def baseline_path(machine: dict[str, Any]) -> Path:
    """Name the baseline of a machine."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{machine['cpu']} {machine['cores']} python {machine['python']}")
    return BASELINES / f"{words.strip('-').lower()}.json"


def show(verdicts: list[Verdict], judged: bool) -> None:
    """Print one line a benchmark."""
    width = max(len(verdict.short) for verdict in verdicts)
    for verdict in verdicts:
        ratio = "      -" if verdict.ratio is None else f"{verdict.ratio:7.2f}"
        word = "new" if verdict.ratio is None else "SLOWER" if judged and verdict.slower else ""
        print(f"{verdict.short:{width}}  {verdict.least_s * 1e6:12,.1f} µs  {ratio}  {word}".rstrip())


def main() -> int:
    """Measure, then save or compare."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--save", action="store_true", help="keep the times as the baseline of this machine")
    save = arguments.parse_args().save
    surroundings = Surroundings()
    machine = describe()
    path = baseline_path(machine)
    now = measure()
    if save:
        document = {"machine": machine | surroundings.now(), "benchmarks": now}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"{path}: {len(now)} benchmarks")
        return 0
    others = sorted(BASELINES.glob("*.json"))
    judged = path.exists()
    if not judged and not others:
        print("no baseline; make bench-baseline records one")
        return 0
    before = json.loads((path if judged else others[0]).read_text(encoding="utf-8"))
    verdicts = compare(now, before["benchmarks"])
    for _ in range(AGAIN if judged else 0):
        slower = [verdict.name for verdict in verdicts if verdict.slower]
        if not slower:
            break
        again = {verdict.name: verdict for verdict in compare(measure(slower), before["benchmarks"])}
        verdicts = [min((each, again.get(each.name, each)), key=lambda one: one.ratio or 0) for each in verdicts]
    told = ", ".join(str(before["machine"][name]) for name in MACHINE)
    print(f"least time of each, and how many times that of commit {before['machine']['commit']} it is ({told}):")
    show(verdicts, judged)
    gone = sorted(set(before["benchmarks"]) - set(now))
    if gone:
        print(f"in the baseline only: {', '.join(gone)}")
    if not judged:
        print("another machine's times, not judged; make bench-baseline records this one's")
        return 0
    slower = [verdict.short for verdict in verdicts if verdict.slower]
    print(f"slower than the baseline: {', '.join(slower)}" if slower else "nothing is slower than the baseline")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
