"""Metrics, significance, gates and the report: pure functions on rankings and clicks.

Nothing here knows Dagster, torch, the clock or the environment. :mod:`.metrics` turns rankings and held-out
clicks into a hit matrix and its metrics, :mod:`.significance` compares two systems on the same users,
:mod:`.gates` decides, :mod:`.report` gathers everything into one plain dictionary and :mod:`.report_page`
draws it.
"""
