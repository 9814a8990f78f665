"""The settings: sources, their order, and what a wrong value says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.config import ServeConfig, load
from pilotlight.errors import ConfigError
from pilotlight.server.command import serve
from pilotlight.server.config_docs import configuration_page
from pilotlight.setting_values import default_text, split_address
from pilotlight.units import format_duration, format_memory, parse_duration, parse_memory

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServeConfig.model_fields:
        monkeypatch.delenv(f"PILOTLIGHT_{name.upper()}", raising=False)


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    return tmp_path / "pilotlight.toml"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("250ms", 0.25),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        ("7us", 7e-6),
        ("0", 0.0),
        ("0s", 0.0),
    ],
)
def test_durations_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "s", "-1s", "5 s", "1d", "nan", "infs", "", "5s5s", True, 5, 2.5])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="write a number and its unit"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "memory_mb"), [("512MB", 512), ("64GB", 65_536), ("0", 0), ("1536MB", 1536)])
def test_memory_sizes_are_read_with_their_unit(text: str, memory_mb: int) -> None:
    assert parse_memory(text) == memory_mb
    assert format_memory(memory_mb) == text
    assert load({"max_memory": text}).max_memory == memory_mb


@pytest.mark.parametrize("text", ["64", "-1GB", "1.5GB", "64 GB", "64gb", "", True, 64])
def test_what_is_no_memory_size_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match=r"--max-memory = .*write a whole number and MB or GB"):
        load({"max_memory": text})


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("127.0.0.1:9001", "127.0.0.1", 9001), ("localhost:0", "localhost", 0), ("[::1]:65535", "::1", 65535)],
)
def test_addresses_split_into_host_and_port(address: str, host: str, port: int) -> None:
    assert split_address(address) == (host, port)


@pytest.mark.parametrize(
    "address", ["", "9001", "127.0.0.1", "127.0.0.1:", ":9001", "::1:9001", "h:65536", "http://h:1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--platform-address = .*write host:port"):
        load({"platform_address": address})


def test_defaults_satisfy_their_own_rules() -> None:
    assert load({name: default_text(field) for name, field in ServeConfig.model_fields.items()}) == load()


def test_flags_win_over_environment_over_file_over_defaults(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file.write_text('drain_timeout = "1s"\nassign_deadline = "1s"\npolicy = "file"\n')
    monkeypatch.setenv("PILOTLIGHT_DRAIN_TIMEOUT", "2s")
    monkeypatch.setenv("PILOTLIGHT_ASSIGN_DEADLINE", "2s")
    config = load({"drain_timeout": "3s"}, settings_file)
    assert (config.drain_timeout, config.assign_deadline, config.policy) == (3.0, 2.0, "file")
    assert config.start_attempts == ServeConfig.model_fields["start_attempts"].default


def test_an_empty_metrics_address_turns_metrics_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTLIGHT_METRICS_ADDRESS", "")
    assert load().metrics_address == ""


def test_toml_values_have_their_own_types(settings_file: Path) -> None:
    settings_file.write_text("platform_retries = 7\ndrain_leave_slots = true\nsim_create_failure = 0.5\n")
    config = load(config_file=settings_file)
    assert (config.platform_retries, config.drain_leave_slots, config.sim_create_failure) == (7, True, 0.5)


def test_an_unknown_key_in_the_file_names_file_and_key(settings_file: Path) -> None:
    settings_file.write_text('drain_timeuot = "1s"\n')
    with pytest.raises(ConfigError, match=r"pilotlight\.toml: drain_timeuot: unknown key"):
        load(config_file=settings_file)


def test_a_value_that_does_not_parse_names_its_source_and_remedy(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"flag --drain-timeout = '5': .*for example 5s"):
        load({"drain_timeout": "5"})
    monkeypatch.setenv("PILOTLIGHT_PLATFORM_RETRIES", "some")
    with pytest.raises(ConfigError, match=r"environment PILOTLIGHT_PLATFORM_RETRIES = 'some': .*integer, 0 or more"):
        load()
    monkeypatch.delenv("PILOTLIGHT_PLATFORM_RETRIES")
    settings_file.write_text("drain_timeout = 5\n")
    with pytest.raises(ConfigError, match=r"pilotlight\.toml: drain_timeout = 5: .*for example 5s"):
        load(config_file=settings_file)


def test_a_value_out_of_range_names_the_range() -> None:
    with pytest.raises(ConfigError, match=r"--start-attempts = '0': .*integer, 1 or more, at most 100"):
        load({"start_attempts": "0"})
    with pytest.raises(ConfigError, match=r"--platform-create-timeout = '0s': .*above 0s, at most 10m"):
        load({"platform_create_timeout": "0s"})


def test_every_wrong_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--policy.*--log-level.*one of debug, info, warning, error"):
        load({"policy": "", "log_level": "loud"})


@pytest.mark.parametrize("content", [b"drain_timeout = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_names_the_file(settings_file: Path, content: bytes) -> None:
    settings_file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"pilotlight\.toml: not a TOML file"):
        load(config_file=settings_file)


def test_a_file_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot read"):
        load(config_file=tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot read"):
        load(config_file=tmp_path)


def test_every_setting_has_a_flag_and_a_description() -> None:
    flags = {parameter.name for parameter in serve.params}
    assert flags == {*ServeConfig.model_fields, "config_file"}
    assert all(field.description for field in ServeConfig.model_fields.values())


def test_the_committed_page_is_the_generated_one() -> None:
    page = REPOSITORY / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == configuration_page(), (
        "run: python -m pilotlight.server.config_docs > docs/configuration.md"
    )
