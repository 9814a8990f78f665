"""Policies side by side over one trace: the frontier of wasted memory against waiting, and who loses where.

Import from the modules: `families` (what runs by default), `runs` (all cores over one trace), `frontier` (dominance and
curves), `comparison` (the results beside each other), `functions` (the view per function), `output` and `tables` (JSON,
CSV, terminal), `chart` (drawing; it alone loads Altair), `command` (the command line).
"""
