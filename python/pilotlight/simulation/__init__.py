"""Replays of a trace in virtual time on the compiled engine, and what they are worth.

Import from the modules: `score` (the contest's formula, no dependencies), `runner` (trace and policies in, results
out), `command` (the command line). Nothing is re-exported here, so that taking the formula does not load NumPy.
"""
