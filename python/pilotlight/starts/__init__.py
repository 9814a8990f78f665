"""Models of starts: how long CreateSlot and Init take, stage by stage, for each function of a trace.

`catalogue` names the models; each turns a function table into a `StartTable` (`table`), of which the simulator draws.
"""

from pilotlight.starts.catalogue import MODELS, StartModel, start_table
from pilotlight.starts.table import StartTable

__all__ = ["MODELS", "StartModel", "StartTable", "start_table"]
