"""Look the locked dependencies up in the advisory databases, as far as they can be reached: `make audit`.

Exit status 1: something that ships has a known vulnerability. What cannot be looked up is skipped, and said so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
UV = REPOSITORY / ".venv" / "bin" / "uv"
PIP_AUDIT = "pip-audit==2.10.1"
PYPI = f"https://pypi.org/pypi/{PIP_AUDIT.replace('==', '/')}/json"
"""Where PyPI has its advisories, for one package that is there; mirrors often lack this half."""

PATIENCE_S = 180


def main() -> int:
    """Audit both languages and print a line for each, and one for each vulnerability."""
    found = 0
    for language, audit in (("Python", python), ("Rust", rust)):
        try:
            checked, vulnerable = audit()
        except UnavailableError as reason:
            print(f"audit of {language}: skipped: {reason}")
            continue
        print(f"audit of {language}: {checked} dependencies, {len(vulnerable)} known vulnerabilities")
        for line in vulnerable:
            print(f"  {line}")
        found += len(vulnerable)
    return 1 if found else 0


class UnavailableError(Exception):
    """There is no database or no tool to look it up; the text says which."""


def python() -> tuple[int, list[str]]:
    """Look up what `uv.lock` has for those who install Pilotlight."""
    try:
        urllib.request.urlopen(PYPI, timeout=10).close()
    except OSError as error:
        raise UnavailableError(f"{PYPI} cannot be read: {error}") from None
    locked = run([UV, "export", "--frozen", "--quiet", "--all-extras", "--no-dev", "--no-emit-project"])
    options = ["--requirement=/dev/stdin", "--disable-pip", "--format=json", "--progress-spinner=off"]
    return read_pip_audit(run([UV, "tool", "run", "--from", PIP_AUDIT, "pip-audit", *options], locked))


def read_pip_audit(report: str) -> tuple[int, list[str]]:
    """Count what pip-audit could look up, and list what it found."""
    dependencies = document("pip-audit", report)["dependencies"]
    known = [dependency for dependency in dependencies if "skip_reason" not in dependency]
    if not known:
        raise UnavailableError("pip-audit found none of the packages in its database")
    return len(known), [
        f"{dependency['name']} {dependency['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for dependency in known
        for vulnerability in dependency["vulns"]
    ]


def rust() -> tuple[int, list[str]]:
    """Look up what `Cargo.lock` has."""
    if "audit" not in run(["cargo", "--list"]).split():
        raise UnavailableError("there is no cargo-audit; install it with: cargo install --locked cargo-audit")
    return read_cargo_audit(run(["cargo", "audit", "--json"]))


def read_cargo_audit(report: str) -> tuple[int, list[str]]:
    """Count what cargo-audit looked up, and list what it found."""
    audited = document("cargo-audit", report)
    return audited["lockfile"]["dependency-count"], [
        f"{found['package']['name']} {found['package']['version']}: {found['advisory']['id']}, "
        f"fixed in {', '.join(found['versions']['patched']) or 'no version'}"
        for found in audited["vulnerabilities"]["list"]
    ]


def document(tool: str, report: str) -> dict[str, Any]:
    """Read a tool's report; one that could not reach its database writes none."""
    try:
        return json.loads(report)  # type: ignore[no-any-return]
    except ValueError:
        raise UnavailableError(f"{tool} wrote no report; can it reach its database?") from None


def run(command: list[str | Path], given: str = "") -> str:
    """Run a command and return what it prints, whatever its exit status."""
    try:
        ended = subprocess.run(
            command, check=False, capture_output=True, cwd=REPOSITORY, input=given, text=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]} did not run: {error}") from None
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
