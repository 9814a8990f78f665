"""Which variables of the environment are taken for misspelt settings."""

from __future__ import annotations

import pytest

from pilotlight.config import ServeConfig
from pilotlight.server.environment import unknown_variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PILOTLIGHT_DRAIN_TIMEUOT", "PILOTLIGHT_DRAIN_TIMEOUT"),
        ("PILOTLIGHT_DRAINTIMEOUT", "PILOTLIGHT_DRAIN_TIMEOUT"),
        ("PILOTLIGHT_METRIC_ADDRESS", "PILOTLIGHT_METRICS_ADDRESS"),
        ("pilotlight_polcy", "PILOTLIGHT_POLICY"),
        ("PILOTLIGHT_", None),
        ("PILOTLIGHT_FAVOURITE_COLOUR", None),
    ],
)
def test_a_misspelt_setting_is_named_with_what_was_meant(name: str, meant: str | None) -> None:
    assert unknown_variables({name: "5s"}) == {name: meant}


def test_settings_and_what_is_not_ours_are_no_complaint() -> None:
    settings = {f"PILOTLIGHT_{name.upper()}": "" for name in ServeConfig.model_fields}
    lower = {name.lower(): "" for name in settings}
    others = {"PATH": "", "PILOTLIGHTS": "", "MY_PILOTLIGHT_POLICY": ""}
    assert unknown_variables(settings | lower | others) == {}


@pytest.mark.parametrize("service", ["PILOTLIGHT", "PILOTLIGHT_METRICS", "PILOTLIGHT_2", "PILOTLIGHT_PLATFORM"])
def test_what_kubernetes_injects_for_its_services_is_no_complaint(service: str) -> None:
    injected = {
        f"{service}_SERVICE_HOST": "10.0.0.11",
        f"{service}_SERVICE_PORT": "9001",
        f"{service}_SERVICE_PORT_GRPC": "9001",
        f"{service}_SERVICE_PORT_HTTP_METRICS": "9464",
        f"{service}_PORT": "tcp://10.0.0.11:9001",
        f"{service}_PORT_9001_TCP": "tcp://10.0.0.11:9001",
        f"{service}_PORT_9001_TCP_PROTO": "tcp",
        f"{service}_PORT_9001_TCP_PORT": "9001",
        f"{service}_PORT_9001_TCP_ADDR": "10.0.0.11",
        f"{service}_PORT_53_UDP": "udp://[fd00::1]:53",
        f"{service}_PORT_53_UDP_ADDR": "fd00::1",
    }
    assert unknown_variables(injected) == {}


def test_a_port_that_is_a_number_is_somebodys_idea_of_a_setting() -> None:
    given = {"PILOTLIGHT_PORT": "9001", "PILOTLIGHT_METRICS_PORT": "9464"}
    assert list(unknown_variables(given)) == list(given)
