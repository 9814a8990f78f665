"""What the audit of dependencies makes of its tools' reports."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "audit.py"


@pytest.fixture(scope="module")
def audit() -> Any:  # noqa: ANN401 - a script, not a module of the package
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_vulnerabilities_of_python_packages_are_listed_with_their_remedy(audit: Any) -> None:  # noqa: ANN401
    vulnerable = {"name": "b", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2"]}]}
    report = {"dependencies": [{"name": "a", "version": "1", "vulns": []}, vulnerable], "fixes": []}
    assert audit.read_pip_audit(json.dumps(report)) == (2, ["b 1: PYSEC-1, fixed in 1.1, 2"])


def test_a_database_without_our_packages_is_no_all_clear(audit: Any) -> None:  # noqa: ANN401
    report = {"dependencies": [{"name": "a", "skip_reason": "not found on PyPI"}], "fixes": []}
    with pytest.raises(audit.UnavailableError, match="none of the packages"):
        audit.read_pip_audit(json.dumps(report))


def test_vulnerabilities_of_crates_are_listed_with_their_remedy(audit: Any) -> None:  # noqa: ANN401
    found = {"package": {"name": "c", "version": "1.0.0"}, "advisory": {"id": "RUSTSEC-1"}, "versions": {"patched": []}}
    report = {"lockfile": {"dependency-count": 7}, "vulnerabilities": {"list": [found]}}
    assert audit.read_cargo_audit(json.dumps(report)) == (7, ["c 1.0.0: RUSTSEC-1, fixed in no version"])


def test_a_tool_that_reaches_no_database_is_no_all_clear(audit: Any) -> None:  # noqa: ANN401
    for read in (audit.read_pip_audit, audit.read_cargo_audit):
        with pytest.raises(audit.UnavailableError, match="wrote no report"):
            read("")
