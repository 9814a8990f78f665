"""Searches for good policy parameters: many settings over one or more traces, here or on a cluster, resumable.

Import from the modules: `space` (which settings), `points` (one setting over one trace: its identity and its row),
`store` (the Parquet file), `run` (what is left to do, done), `ray_cluster` (the same on Ray), `objective` (what is
best), `output` and `chart` (table, configuration, picture), `command` (the command line).
"""
