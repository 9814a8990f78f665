"""The contest's simulator in real time: plays data sets against a scaler over gRPC and keeps its statistics.

Import from the modules: `session` (a whole replay), `load` (the requests), `statistics`, `web` and `report` (what the
user sees), `command` (the command line). What the scaler calls is `_core.ContestPlatform` (`rust/load/src/contest`).
"""
