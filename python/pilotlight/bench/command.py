"""`pilotlight bench`: the group of what can be measured."""

from __future__ import annotations

import click

from pilotlight.bench.grpc_command import grpc, storm
from pilotlight.bench.local_command import core, ffi, sim
from pilotlight.bench.suite import everything


@click.group()
def bench() -> None:
    """Measure engine, extension, fronts and simulator, side by side with others; docs/bench.md explains each figure."""


for _command in (grpc, storm, core, ffi, sim, everything):
    bench.add_command(_command)
