"""Play a data set in real time through `serve` and `replay`, and in virtual time through `simulate`, and compare.

`python benches/agreement.py DATASET [--policy SPEC] [--speed X] …` starts a scaler and the simulator on free
loopback ports, stops the scaler when the web statistics close, as run.sh does, and prints every term of both accounts.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PILOTLIGHT = str(Path(sys.executable).parent / "pilotlight")
TERMS = {
    "execution s": ("invocationExecutionTimeInSecs", "execution_s"),
    "execution GB·s": ("invocationExecutionTimeInGBs", "execution_gb_s"),
    "waiting in Assign s": ("invocationScheduleTimeInSecs", "schedule_s"),
    "waiting in Idle s": ("invocationIdleTimeInSecs", "idle_s"),
    "slots GB·s": ("totalSlotTimeInGBs", "slot_gb_s"),
}


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Say whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def replay(arguments: argparse.Namespace, slice_flags: list[str]) -> dict[str, Any]:
    """Play in real time; return the replay's JSON."""
    scaler, platform, web = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "replay.json"
        serve = [PILOTLIGHT, "serve", "--address", f"127.0.0.1:{scaler}", "--platform-address", f"127.0.0.1:{platform}"]
        serve += ["--metrics-address", "", "--policy", arguments.policy]
        play = [PILOTLIGHT, "replay", str(arguments.dataset), "--scaler", f"127.0.0.1:{scaler}", *slice_flags]
        play += ["--platform-address", f"127.0.0.1:{platform}", "--web-address", f"127.0.0.1:{web}"]
        play += ["--speed", str(arguments.speed), "--tail", arguments.tail, "--json", str(result)]
        with subprocess.Popen(serve) as server, subprocess.Popen(play) as player:
            while not accepts(web) and player.poll() is None:
                time.sleep(0.2)
            while accepts(web) and player.poll() is None:
                time.sleep(1)
            server.terminate()
            print(f"replay: exit status {player.wait()}; serve: exit status {server.wait()}", file=sys.stderr)
        report: dict[str, Any] = json.loads(result.read_text())
    return report


def main() -> None:
    """Play, simulate, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--policy", default="break_even")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--start", default="0s")
    parser.add_argument("--length")
    parser.add_argument("--tail", default="300s")
    parser.add_argument("--json", type=Path, help="where to keep both results")
    arguments = parser.parse_args()
    slice_flags = ["--start", arguments.start] + (["--length", arguments.length] if arguments.length else [])
    played = replay(arguments, slice_flags)
    command = [PILOTLIGHT, "simulate", str(arguments.dataset), "--policy", arguments.policy, *slice_flags]
    output = subprocess.run([*command, "--tail", arguments.tail, "--json=-"], check=True, capture_output=True).stdout
    simulated = json.loads(output)["results"][0]
    measured = played["data_sets"][0]
    print(f"{'':22}{'replay':>12}{'simulate':>12}{'difference':>12}")
    for term, (ours, theirs) in TERMS.items():
        real, virtual = measured["statistics"][ours], simulated["statistics"][theirs]
        difference = f"{(real - virtual) / virtual:+.1%}" if virtual else "-"
        print(f"{term:22}{real:12,}{virtual:12,}{difference:>12}")
    real, virtual = measured["statistics"]["score"], simulated["score"]
    print(f"{'score':22}{real:12.2f}{virtual:12.2f}{real - virtual:+12.2f}")
    print(f"success {measured['statistics']['successRate']:.4%}, slots left after the drain: {played['slots_left']}")
    print(f"assign latency ms {measured['latency_ms']['assign']}, issue lag ms {measured['issue_lag_ms']}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"replay": played, "simulate": simulated}, indent=2) + "\n")


if __name__ == "__main__":
    main()
