"""Terms that graph, ranking and evaluation have in common. They know nothing else of one another."""

from __future__ import annotations

from typing import Literal

# As of the cutoff, to learn and to evaluate; or as of the run's day, to deliver.
View = Literal["training", "serving"]
# What a customer did in the window: nothing, views alone, or more. The order is that of tables and plots.
TIERS = ("cold", "warm", "hot")
# What a car goes by in tables; parts fit by all three.
CAR = ("year", "make", "model")
# Parts that an e-mail shows.
SLOTS = 4
