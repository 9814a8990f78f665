"""`pilotlight trace`: make, cut, convert and inspect workloads."""

from __future__ import annotations

import click

from pilotlight.traces.convert import convert
from pilotlight.traces.cutting_command import sample, slice_
from pilotlight.traces.inspect_command import inspect
from pilotlight.traces.kinds import KINDS
from pilotlight.traces.synth_command import synth
from pilotlight.units import format_duration


@click.group()
def trace() -> None:
    """Make, cut, convert and inspect traces (recorded or generated workloads)."""


for command in (convert, synth, slice_, sample, inspect):
    trace.add_command(command)


@trace.command()
def kinds() -> None:
    """List the kinds of load that can be generated, their usual sizes and their parameters."""
    for name, kind in KINDS.items():
        requests = "" if kind.requests is None else f", {kind.requests} requests"
        click.echo(f"{name}: {kind.summary}; {kind.functions} functions{requests} in {format_duration(kind.length_s)}")
        for each in kind.parameters:
            click.echo(f"    {each.name}={each.shown(each.default)}  {each.meaning} ({each.range})")
