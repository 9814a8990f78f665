"""The contest's simulator in real time: plays data sets against a scaler over gRPC and keeps its statistics.

Import from the modules: `session` (a whole replay), `load` (the requests), `platform` and `slots` (what the scaler
calls), `statistics`, `web` and `report` (what the user sees), `command` (the command line).
"""
