"""The experiment on customers: its declaration, its power plan and its readout, as pure functions.

Nothing here knows Dagster, the graph, the ranker, the clock or the environment. :mod:`.declaration` says before the
start what will be compared and how it will be decided, :mod:`.power` how many users that takes. :mod:`.readout` reads
the table of :mod:`.outcomes` as of a day: :mod:`.traffic` checks the arms, :mod:`.estimates` compares them,
:mod:`.looks` has the bounds, :mod:`.segments` what is read beside, and :mod:`.verdict` decides. :mod:`.page` shows it,
:mod:`.offline` sets the lifts of the weekly report beside it, and :mod:`.rollout` says how far a rollout may go.
"""
