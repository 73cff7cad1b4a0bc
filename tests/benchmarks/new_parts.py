"""Do systems find parts that a user has never met, or only bring back what the user has seen?

    python tests/benchmarks/new_parts.py --source FOLDER --as-of 2026-02-15 --intent-start 2025-09-01

Hit Rate@4 in percent of test users by what they clicked: any part, parts that they had met before the cutoff, and parts
that they had not. The last column ranks the parts that each user had not met alone, four of them: there what a user has
seen takes no place from what is new.
"""

from __future__ import annotations

import argparse
import datetime
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from study import RESULTS_FOLDER, Study, add_source_arguments, markdown, source_study, tell, write_results

from holley_assets.evaluation.metrics import HeldOutClicks, UserMetrics, held_out_clicks, score_systems
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking import Scorer, rank_users

SLOTS = 4
PAIR = ("email_lower", "base_sku")
ANY, MET, NEW, NEW_ALONE = "any part", "met before", "new", "new, ranked alone"
SYSTEMS = ("gnn", "sql_similar", "item_to_item", "item_cosine", "last_seen", "sql", "popularity")


def split_clicks(clicks: pa.Table, met: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Clicks of parts that their users had met, and the others.

    Args:
        clicks, met: email_lower, base_sku and more columns.
    """
    is_met = pc.is_in(_keys(clicks), value_set=_keys(met))
    return clicks.filter(is_met), clicks.filter(pc.invert(is_met))


def _keys(table: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(*(table[name].cast(pa.string()) for name in PAIR), "\x1f")


@dataclass(frozen=True)
class NewPartsStudy(Study):
    """A study that judges systems by whether users had met what they clicked."""

    @functools.cached_property
    def met(self) -> pa.Table:
        """Pairs of a user and a part that the user met before the cutoff; a day at which the rules exclude them."""
        visits = self.tables["user_visits"]
        before = visits.filter(pc.less(visits["visit_date"], pa.scalar(self.windows.cutoff)))
        pairs = before.select(list(PAIR)).group_by(list(PAIR)).aggregate([])
        day = pa.repeat(pa.scalar(self.windows.cutoff - datetime.timedelta(days=1)), pairs.num_rows)
        return pairs.append_column("order_date", day)

    @functools.cached_property
    def truths(self) -> dict[str, HeldOutClicks]:
        """What each group of clicks holds."""
        met, new = split_clicks(self.tables["test_clicks"], self.met)
        nodes = self.tables["user_nodes"]
        return {
            ANY: self.truth,
            MET: held_out_clicks(met, nodes),
            NEW: held_out_clicks(new, nodes),
            NEW_ALONE: held_out_clicks(new, nodes),
        }

    def measure(self, scorer: Scorer, users: pa.Table | None = None) -> UserMetrics:
        """Hit Rate@4 of the users of each group of clicks."""
        purchases = self.tables["user_purchases"]
        columns = [pa.field(name, pa.string()) for name in PAIR] + [pa.field("order_date", pa.date32())]
        schema = pa.schema(columns)
        excluded = pa.concat_tables(
            [table.select(schema.names).cast(schema) for table in (purchases, self.met)]
        )

        def ranked(purchases: pa.Table) -> pa.Table:
            return rank_users(
                self.users if users is None else users,
                self.candidates,
                scorer,
                purchases=purchases,
                view_end=self.windows.cutoff,
                options=ranking_options(self.settings, self.settings.evaluation.depth),
            ).to_table("system")

        all_parts, new_parts = ranked(purchases), ranked(excluded)
        values: UserMetrics = {}
        for group, truth in self.truths.items():
            rankings = new_parts if group == NEW_ALONE else all_parts
            values[group] = score_systems(rankings, truth, ["system"])["system"]["hit_rate@4"]
        return values


def main() -> None:
    """Print the table and write it as JSON."""
    from peers import SYSTEMS as PEERS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_source_arguments(parser)
    parser.add_argument("--systems", nargs="+", choices=list(PEERS), default=SYSTEMS)
    arguments = parser.parse_args()
    study = NewPartsStudy(**vars(source_study(arguments)))
    results: dict[str, Any] = {}
    for system in arguments.systems:
        values = PEERS[system](study, arguments.seed)
        results[system] = {group: float(np.mean(of)) for group, of in values.items()}
        tell(f"{study.name}: {system} {100 * results[system][ANY]:.1f}")
    users = {group: truth.users for group, truth in study.truths.items()}
    write_results(
        RESULTS_FOLDER / f"new-parts-{study.name}.json", {"users": users, "systems": results}, arguments
    )
    header = ["Hit Rate@4, %", *(f"{group} ({users[group]:,} users)" for group in users)]
    print(
        markdown(
            header,
            [
                [system, *(f"{100 * value:.1f}" for value in groups.values())]
                for system, groups in results.items()
            ],
        )
    )


if __name__ == "__main__":
    main()
