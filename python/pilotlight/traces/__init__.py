"""Workloads: readers, a writer and a generator around one columnar `Trace`.

`read_contest` reads a recorded data set, `synthesize` makes one up, `write_contest` keeps either; all speak `Trace`.
"""

from pilotlight.traces.contest import read_contest, read_metas
from pilotlight.traces.contest_writer import write_contest
from pilotlight.traces.synth import SynthSettings, synthesize
from pilotlight.traces.trace import FunctionTable, Trace

__all__ = ["FunctionTable", "SynthSettings", "Trace", "read_contest", "read_metas", "synthesize", "write_contest"]
