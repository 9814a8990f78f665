"""The `pilotlight` command: a group whose subcommands are imported only when they are used."""

from __future__ import annotations

import importlib
import shlex
import sys
from typing import TYPE_CHECKING

import click

from pilotlight.errors import PilotlightError
from pilotlight.stdout import clear_end

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "serve": ("pilotlight.server.command:serve", "Serve the Scaler protocol over gRPC."),
    "replay": ("pilotlight.replay.command:replay", "Measure a scaler as the contest's simulator does, in real time."),
    "simulate": ("pilotlight.simulation.command:simulate", "Play a trace against policies in virtual time."),
    "compare": ("pilotlight.comparison.command:compare", "Show every policy's waste against its waiting."),
    "bench": ("pilotlight.bench.command:bench", "Measure engine, fronts and simulator, side by side with others."),
    "sweep": ("pilotlight.sweep.command:sweep", "Search a policy's parameters over traces."),
    "trace": ("pilotlight.traces.command:trace", "Generate, convert, cut and inspect traces."),
    "policies": ("pilotlight.simulation.command:policies", "List the policies and their parameters."),
}
"""Subcommand → module:function and summary. `serve` must not import Polars, `simulate` and `compare` not grpcio, only
a chart Altair, and `--help` none of them."""


WORDS = "pilotlight.words"
"""Where click's context keeps the words after `pilotlight`."""


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module when the subcommand is used."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of the command line, for `command_line`."""
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order of `COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{name} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pilotlight")
def cli() -> None:
    """Hand out warm instances, and decide what to keep, start ahead and retire."""


def command_line() -> str:
    """Write the running command as it can be repeated; its name alone if `pilotlight` did not call it."""
    context = click.get_current_context()
    return shlex.join(["pilotlight", *context.meta.get(WORDS, [context.info_name])])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; bad input ends with one line on stderr and exit status 2, a full stdout likewise with 1.

    Args:
        arguments: the words after `pilotlight`; None takes the process's own.
    """
    with clear_end():
        try:
            cli.main(args=None if arguments is None else list(arguments), prog_name="pilotlight")
        except PilotlightError as error:
            click.echo(f"pilotlight: {error}", err=True)
            sys.exit(2)
