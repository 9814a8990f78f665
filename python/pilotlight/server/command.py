"""`pilotlight serve`: its flags are `ServeConfig`'s fields."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotlight import log
from pilotlight.config import ServeConfig, flag_name, load
from pilotlight.server.environment import warn_of_unknown
from pilotlight.server.grpcio_versions import is_tested
from pilotlight.setting_values import choices, default_text

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")


def _settings(command: _F) -> _F:
    """Add one option a setting; an option that is not given stays None, so that weaker sources count."""
    for name, field in reversed(ServeConfig.model_fields.items()):
        flag = flag_name(name)
        help_text = f"{field.description}  [default: {default_text(field) or 'empty'}]"
        if field.annotation is bool:
            option = click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=help_text)
        else:
            kind = click.Choice(choices(field)) if choices(field) else str
            option = click.option(flag, name, type=kind, default=None, help=help_text)
        command = option(command)
    return command


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A TOML file of settings.")
@_settings
def serve(config_file: Path | None, **flags: object) -> None:
    """Serve the Scaler protocol over gRPC.

    Every flag is also a key of the TOML file (drain_timeout) and an environment variable (PILOTLIGHT_DRAIN_TIMEOUT).
    SIGTERM, SIGINT and SIGHUP drain; a second SIGTERM or SIGINT stops at once. The exit status is 1 when slots are left
    on the platform that nobody asked to leave.
    """
    config = load({name: value for name, value in flags.items() if value is not None}, config_file)
    log.configure(config.log_level, config.log_format)
    warn_of_unknown(os.environ)
    for name, value in grpc_variables(config).items():
        os.environ.setdefault(name, value)
    from pilotlight.server.app import run  # noqa: PLC0415 - grpc must see the variables

    sys.exit(run(config))


def grpc_variables(config: ServeConfig) -> dict[str, str]:
    """Return what the environment should say to gRPC, which reads it when it is loaded."""
    variables = {
        # Its default listener hands every event to another thread, which costs context switches on every call; a
        # version that no longer knows the name says so and goes on.
        "GRPC_EXPERIMENTS": "-event_engine_listener",
        "GRPC_VERBOSITY": "ERROR",  # every connection that goes away is a line otherwise
    }
    by_default = config.grpcio_mode == "auto" and not config.grpcio_interceptors and is_tested()
    if config.front == "grpcio" and (config.grpcio_mode == "completion_queue" or by_default):
        # One epoll set serves all threads of a process by default: another one may wake for a call, and hands it to the
        # thread that answers. With poll(2) each waits for its own.
        variables["GRPC_POLL_STRATEGY"] = "poll"
    return variables
