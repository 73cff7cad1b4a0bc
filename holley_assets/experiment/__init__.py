"""The experiment on customers: its declaration, its power plan and its readout, as pure functions.

Nothing here knows Dagster, the graph, the ranker, the clock or the environment. :mod:`.declaration` says before the
start what will be compared and how it will be decided; :mod:`.power` says how many users that takes.
"""
