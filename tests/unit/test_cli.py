"""The command's entry point."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pilotlight.cli import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"pilotlight {name}" in capsys.readouterr().out


def test_help_imports_none_of_the_large_libraries() -> None:
    script = (
        "import sys\nfrom pilotlight.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'grpc', 'polars', 'altair', 'vl_convert'} & set(sys.modules), sorted(sys.modules)\n"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert all(name in output for name in COMMANDS)


def test_bad_input_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "no/such/folder"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("pilotlight: no/such/folder")
    assert error.count("\n") == 1
