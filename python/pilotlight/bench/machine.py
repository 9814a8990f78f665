"""Where and when something was measured, and how much of the machine others took meanwhile."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from pilotlight import __version__

_SOURCES = Path(__file__).resolve().parents[3]


def describe() -> dict[str, Any]:
    """Describe this machine and this build."""
    return {
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "version": __version__,
        "commit": _commit(),
    }


class Surroundings:
    """What else the machine did between two moments; read from Linux's /proc/stat, zero where there is none."""

    def __init__(self) -> None:
        self._load_before = _load()
        self._before = _cpu_ticks()

    def now(self) -> dict[str, float]:
        """Return what is known by now.

        Returns:
            `load_1m_before` and `load_1m`, the mean number of runnable threads; `steal_share`, the share of all CPU
            time that the host gave to others.
        """
        passed = [now - before for now, before in zip(_cpu_ticks(), self._before, strict=True)]
        steal = passed[7] / sum(passed) if sum(passed) else 0.0
        return {"load_1m_before": self._load_before, "load_1m": _load(), "steal_share": round(steal, 4)}


def cpu_s(pid: int) -> float | None:
    """Return the CPU time a process has used, in steps of 10 ms; None if it is gone or Linux's /proc is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _cpu_ticks() -> list[int]:
    """Return user, nice, system, idle, iowait, irq, softirq and steal time."""
    try:
        return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return [0] * 8


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _commit() -> str | None:
    """Name the commit of the sources this runs from; None when it runs from an installed package."""
    command = ["git", "-C", str(_SOURCES), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
