"""The `pilotlight` command: a group whose subcommands are imported only when they are used."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import click

from pilotlight.errors import PilotlightError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "serve": "pilotlight.server.command:serve",
    "replay": "pilotlight.replay.command:replay",
    "simulate": "pilotlight.simulation.command:simulate",
    "trace": "pilotlight.traces.command:trace",
    "policies": "pilotlight.simulation.command:policies",
}
"""Subcommand → module:function. Starting `pilotlight serve` must not import Polars, nor `simulate` grpcio."""


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module when the subcommand is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order of `COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        del ctx
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{target} is not a click command")
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pilotlight")
def cli() -> None:
    """Hand out warm instances, and decide what to keep, start ahead and retire."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; bad input ends with one line on stderr and exit status 2.

    Args:
        arguments: the words after `pilotlight`; None takes the process's own.
    """
    try:
        cli.main(args=None if arguments is None else list(arguments), prog_name="pilotlight")
    except PilotlightError as error:
        click.echo(f"pilotlight: {error}", err=True)
        sys.exit(2)
