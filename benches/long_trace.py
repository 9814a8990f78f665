"""Measure long traces on disk: what a million requests costs from 1 M to 100 M of them, and the memory that takes.

Writes generated load of 1, 10 and 100 million requests to FOLDER as Parquet, at the same rate and over the same
functions, then simulates each in processes of their own, smallest first, and prints a table in Markdown.

    python benches/long_trace.py FOLDER [POLICY...]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

MILLIONS = (1, 10, 100)
PER_SECOND = 1_000
FUNCTIONS = 1_000
KIND = "zipf"
POLICIES = ("fixed:keep_alive=300s", "level_gap")


def write(folder: Path, millions: int) -> None:
    """Generate load and write it, block by block."""
    from pilotlight.traces.generators import load_named  # noqa: PLC0415 (only here)
    from pilotlight.traces.parquet import write_blocks  # noqa: PLC0415

    requests = millions * 1_000_000
    load = load_named(KIND, functions=FUNCTIONS, requests=requests, length_s=requests / PER_SECOND)
    stream = load.stream()
    write_blocks(folder, stream.functions, stream.origin_ms, stream.blocks, {"kind": "synth", "load": KIND})


def simulate(folder: Path, policy: str) -> dict[str, float]:
    """Play one policy from disk; return what it takes: seconds of CPU, because other work may share the machine."""
    from pilotlight.simulation.runner import PreparedTrace, run_policy  # noqa: PLC0415
    from pilotlight.simulation.runner import prepare as prepare_trace  # noqa: PLC0415
    from pilotlight.traces.parquet import open_parquet  # noqa: PLC0415

    begun = time.process_time()
    prepared: PreparedTrace = prepare_trace(open_parquet(folder))
    bound_s = time.process_time() - begun
    result = run_policy(prepared, policy)
    run_s = time.process_time() - begun - bound_s
    return {"bound_s": bound_s, "run_s": run_s, "wall_s": result.run_s, "slots": result.peak_instances}


def measure(step: str, folder: Path, *arguments: str) -> dict[str, float]:
    """Run one step in a process of its own; its memory is then its own, too."""
    command = [sys.executable, __file__, step, str(folder), *arguments]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main(folder: Path, policies: tuple[str, ...]) -> None:
    """Measure everything and print it."""
    print("| requests | step | CPU s | µs a request | most memory, MiB |\n|---|---|---|---|---|")
    for millions in MILLIONS:
        path = folder / f"{millions}m"
        if not path.exists():
            made = measure("write", path, str(millions))
            print(row(millions, "write", made["run_s"], made["memory_mib"]), flush=True)
        for policy in policies:
            found = measure("simulate", path, policy)
            print(row(millions, f"bound (before `{policy}`)", found["bound_s"], found["memory_mib"]), flush=True)
            print(row(millions, f"`{policy}`", found["run_s"], found["memory_mib"]), flush=True)


def row(millions: int, step: str, seconds: float, memory_mib: float) -> str:
    """Render a line of the table."""
    return f"| {millions} M | {step} | {seconds:.1f} | {seconds / millions:.3f} | {memory_mib:.0f} |"


if __name__ == "__main__":
    if sys.argv[1] in {"write", "simulate"}:
        step, target = sys.argv[1], Path(sys.argv[2])
        report: dict[str, float] = {}
        if step == "write":
            write(target, int(sys.argv[3]))
            report["run_s"] = time.process_time()
        else:
            report = simulate(target, sys.argv[3])
        report["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(report))
    else:
        main(Path(sys.argv[1]), tuple(sys.argv[2:]) or POLICIES)
