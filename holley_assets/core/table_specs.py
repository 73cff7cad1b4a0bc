"""The tables of group ``2_graph_tables``: what one row is, why it exists, and what must hold of it.

Lineage is not repeated here: it is read from the SQL file of the same name.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """``columns`` of ``table`` name a row of ``node_table`` by ``node_columns``."""

    table: str
    columns: tuple[str, ...]
    node_table: str
    node_columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class TableSpec:
    """One SQL file, one asset, one Parquet file.

    Attributes:
        name: of the asset, the SQL file and the Parquet file.
        description: what the UI shows.
        key: columns that identify a row, unique and not null; empty where rows are events.
        not_null: further columns that are never null.
        weights: columns that are finite and positive where they are not null.
        endpoints: references that can be checked once this table is there: its own, or those of a table that
            it is made from.
        eligible: column that is null in the rows that may be recommended; there must be one.
        may_be_empty: nothing to learn from is no error: the graph falls back on structure.
        steady: a table that follows the catalogue and the customers, which shrinks only when something broke.
            Campaign clicks and a decaying window come and go.
    """

    name: str
    description: str
    key: tuple[str, ...] = ()
    not_null: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    eligible: str | None = None
    may_be_empty: bool = False
    steady: bool = True

    @property
    def referenced_tables(self) -> list[str]:
        """Other tables that the endpoints are about, sorted."""
        named = {name for endpoint in self.endpoints for name in (endpoint.table, endpoint.node_table)}
        return sorted(named - {self.name})


def _user(table: str) -> Endpoint:
    return Endpoint(table, ("email_lower",), "user_nodes", ("email_lower",))


def _product(table: str, column: str = "base_sku") -> Endpoint:
    return Endpoint(table, (column,), "product_nodes", ("base_sku",))


def _vehicle(table: str) -> Endpoint:
    return Endpoint(table, ("make", "model"), "vehicle_nodes", ("make", "model"))


_FITTING_PAIR = ("make", "model", "base_sku")

TABLE_SPECS: tuple[TableSpec, ...] = (
    TableSpec(
        name="user_accounts",
        key=("user_id",),
        not_null=("email_lower",),
        description="""One row a `user_id` that has an e-mail address: its latest vehicle, or why it has
none.

The source holds many rows a user with nested properties, some as text, some as numbers; the latest value of
each property wins. Dropped and counted: accounts without an id or an e-mail address.""",
    ),
    TableSpec(
        name="machine_bursts",
        key=("visitor", "first_click"),
        not_null=("last_click", "clicks"),
        may_be_empty=True,
        steady=False,
        description="""One row a burst of clicks that a machine made: three or more of one visitor within ten \
seconds.

Security scanners open every link of an e-mail. Their clicks, and what they view in the burst and in the seconds
after it, count nowhere; `interaction_events` and `test_clicks` count what was left out.""",
    ),
    TableSpec(
        name="interaction_events",
        not_null=("event_date", "user_id", "interaction", "sku", "base_sku"),
        may_be_empty=True,
        description="""One row a product that a visitor viewed, put in the cart or ordered between the
intent start and `as_of`.

Nested properties of events are unnested here, and what needs events reads this table. Two read the source again:
`source_rows` to count its rows, and `machine_clicks` for the views that are left out here. Visitors without an account
stay, because they show prices, images and global popularity. Dropped and counted: rows without user, time or SKU, views
of machines, and exact repeats.""",
    ),
    TableSpec(
        name="order_lines",
        not_null=("buyer", "sku", "base_sku", "order_date"),
        may_be_empty=True,
        description="""One row an order line of anybody before `as_of`, from the order history and from
events.

Up to three events report one purchase: `counts_as_order` marks one line a buyer, base SKU and day.
`counts_in_popularity` takes the order history before the intent start and events after it, so that no order
counts twice. Dropped and counted: dates that do not parse, lines without SKU or buyer, exact repeats.""",
    ),
    TableSpec(
        name="daily_orders",
        key=("base_sku", "order_date"),
        weights=("orders",),
        may_be_empty=True,
        description="""One row a part and day on which it was ordered: how many buyers ordered it.

Popularity is its sum; what is in season is how its last weeks differ from all time.""",
    ),
    TableSpec(
        name="parts",
        key=("sku",),
        eligible="serving_ineligible_reason",
        not_null=("base_sku", "refurbished"),
        description="""One row a SKU variant of the catalogue or of the fitment data: price, image, sales
and the first rule that keeps it from being recommended.

The rules are applied once, here, for every system that is compared and for what is delivered. Plain columns
are as of the cutoff, `serving_` columns as of `as_of`: an image or a price first seen in the test window is
not known to the training view.""",
    ),
    TableSpec(
        name="user_nodes",
        key=("email_lower",),
        not_null=("year", "make", "model", "engagement_tier", "serving_engagement_tier"),
        description="""One row a customer with a usable vehicle; one customer is one e-mail address.

All accounts of an address are merged and its latest usable vehicle wins as a whole, never the year of one
with the make of another. What no part fits is `UNKNOWN`. Tiers: cold without any interaction in the window,
warm with views only, hot with a cart or an order. Dropped and counted: accounts without
a usable vehicle, by what is missing.""",
    ),
    TableSpec(
        name="product_nodes",
        key=("base_sku",),
        not_null=(
            "log_popularity",
            "serving_log_popularity",
            "log_visitors",
            "serving_log_visitors",
            "fitment_breadth",
        ),
        description="""One row a base SKU: the features of a product node.

Colour and finish variants (a last letter B, R, G or P after a digit) are one product to the graph. Type and
price are those of the best-selling variant. `log_visitors` counts everybody who viewed, carted or ordered it.""",
    ),
    TableSpec(
        name="vehicle_nodes",
        key=("make", "model"),
        not_null=("user_count", "product_count"),
        endpoints=(_vehicle("fits_edges"), _vehicle("user_nodes")),
        description="""One row a make and model of the fitment data; `UNKNOWN` is what customers drive
and no part fits.

The year is no part of the node, it would cut the data too thin; it is a feature of the user, and fitment
for a recommendation still goes by year.""",
    ),
    TableSpec(
        name="interacts_edges",
        key=("email_lower", "base_sku"),
        weights=("weight", "serving_weight"),
        endpoints=(_user("interacts_edges"), _product("interacts_edges")),
        may_be_empty=True,
        steady=False,
        description="""One row a customer and part that met: views, carts, orders and their decayed weight.

view 1, cart 3, order 5, times exp(−days / 30) back from the end of the view. Plain columns end at the
cutoff and are null where the pair met only in the test window; `serving_` columns end at `as_of`.""",
    ),
    TableSpec(
        name="fits_edges",
        key=("make", "model", "base_sku"),
        weights=("weight",),
        endpoints=(_product("fits_edges"),),
        description="""One row a make, model and part that fits it in at least one year.

Structure that a customer without history has: the model passes messages over it.""",
    ),
    TableSpec(
        name="owns_edges",
        key=("email_lower",),
        weights=("weight",),
        endpoints=(_user("owns_edges"), _vehicle("owns_edges")),
        description="""One row a customer: the make and model of the car.""",
    ),
    TableSpec(
        name="visitor_sets",
        key=("set_number", "base_sku"),
        weights=("parts",),
        endpoints=(_product("visitor_sets"),),
        may_be_empty=True,
        steady=False,
        description="""One row a set of parts that visitors without a registered car met, and one part of it.

`visitors` met exactly this set before the cutoff, `serving_visitors` before `as_of`. No row names a visitor.""",
    ),
    TableSpec(
        name="visitor_set_models",
        key=("set_number", "vehicle_number"),
        weights=("parts",),
        may_be_empty=True,
        steady=False,
        description="""One row a set of `visitor_sets` and one make and model that all of its parts fit, with the \
years.

A set that no car fits as a whole is asked part by part: its number is then that of the part, negative.""",
    ),
    TableSpec(
        name="visitor_demand",
        key=("year", "make", "model", "base_sku"),
        weights=("weight", "serving_weight"),
        endpoints=(Endpoint("visitor_demand", _FITTING_PAIR, "fits_edges", _FITTING_PAIR),),
        may_be_empty=True,
        steady=False,
        description="""One row a year, make, model and part: how many visitors without a registered car wanted \
it for that car.

Most orders and views are by people whose car nobody knows, but what they look at together tells which cars it
can be for. Each visitor counts once, spread over the cars that all of its parts fit by Bayes' rule.""",
    ),
    TableSpec(
        name="visitor_parts",
        key=("part_set", "base_sku"),
        weights=("visitors",),
        endpoints=(_product("visitor_parts"),),
        may_be_empty=True,
        steady=False,
        description="""One row a set of parts that visitors without a registered car met, and one part of it.

What the network learns from: which parts one visitor met together, and how many visitors met exactly these. Their
cars are not guessed here, they are a part of what is learned. It ends at the cutoff, for nothing is learned from
what comes after. No row names a visitor.""",
    ),
    TableSpec(
        name="co_purchased_edges",
        key=("base_sku", "other_base_sku"),
        weights=("weight", "serving_weight"),
        endpoints=(_product("co_purchased_edges"), _product("co_purchased_edges", "other_base_sku")),
        may_be_empty=True,
        steady=False,
        description="""One row a pair of parts that at least two buyers ordered both of; weight ln(1 +
buyers).

Stored once with the smaller base SKU first; the graph holds both directions.""",
    ),
    TableSpec(
        name="ordered_pairs",
        key=("base_sku", "other_base_sku"),
        weights=("weight", "serving_weight"),
        endpoints=(_product("ordered_pairs"), _product("ordered_pairs", "other_base_sku")),
        may_be_empty=True,
        steady=False,
        description="""One row an ordered pair of parts: at least two buyers ordered the other with the first, or \
within a month after it.

Directed: what is bought after a carburettor is not what a carburettor is bought after. `weight` counts each buyer once
and the newest pairs most. `similar_parts` learns from it.""",
    ),
    TableSpec(
        name="user_visits",
        key=("email_lower", "visit_date", "base_sku", "interaction"),
        endpoints=(_user("user_visits"), _product("user_visits")),
        may_be_empty=True,
        steady=False,
        description="""One row a customer, day, part and kind of meeting: viewed, put in the cart or ordered.

What a customer's own history says is learned from the last visit of each. Views and carts are those between the
intent start and `as_of`, orders are of any age and source.""",
    ),
    TableSpec(
        name="co_viewed_edges",
        key=("base_sku", "other_base_sku"),
        weights=("weight", "serving_weight"),
        endpoints=(_product("co_viewed_edges"), _product("co_viewed_edges", "other_base_sku")),
        may_be_empty=True,
        steady=False,
        description="""One row a pair of parts that at least two visitors both met; weight ln(1 + visitors).

Stored once with the smaller base SKU first. The newest 50 parts of a visitor count. `earlier_visitors` leaves out
what customers first met on their last visit before the cutoff, which weights are learned from.""",
    ),
    TableSpec(
        name="fitment",
        key=("year", "make", "model", "base_sku"),
        endpoints=(Endpoint("fitment", ("base_sku",), "parts", ("base_sku",)),),
        description="""One row a year, make, model and part that fits: the candidates of a recommendation.

`sku` is the best-selling eligible variant that fits this very year, null where none is eligible. Dropped
and counted: unusable years, missing makes, models and part numbers, repeats.""",
    ),
    TableSpec(
        name="user_purchases",
        key=("email_lower", "base_sku", "order_date"),
        endpoints=(_user("user_purchases"),),
        may_be_empty=True,
        description="""One row a customer, part and day of an order, from all sources.

What a customer ordered within a year is not recommended again; true buyers are masked among the
negatives.""",
    ),
    TableSpec(
        name="popularity",
        key=("make", "model", "base_sku"),
        not_null=("tier", "sql_score", "popularity_score"),
        endpoints=(Endpoint("popularity", _FITTING_PAIR, "fits_edges", _FITTING_PAIR),),
        description="""One row a make, model and fitting part: its score in the SQL pipeline that is to be
beaten.

Segment (make and model) where it has orders enough, else make, else all orders. `popularity_score` ranks by
all orders alone, the second and weaker rival.""",
    ),
    TableSpec(
        name="test_clicks",
        key=("email_lower", "base_sku"),
        not_null=("engagement_tier",),
        endpoints=(_user("test_clicks"), _product("test_clicks")),
        may_be_empty=True,
        steady=False,
        description="""One row an e-mail click in `[cutoff, as_of)` and its part: the first that the
customer viewed within 30 minutes after it.

Nobody but evaluation reads it. Dropped and counted: clicks of machines and of unknown users, without a
view, on unknown parts, and further clicks of a customer on one part.""",
    ),
    TableSpec(
        name="machine_clicks",
        key=("email_lower", "base_sku"),
        not_null=("engagement_tier",),
        endpoints=(_user("machine_clicks"), _product("machine_clicks")),
        may_be_empty=True,
        steady=False,
        description="""One row a customer and part that clicks of machines in `[cutoff, as_of)` would have added to \
`test_clicks`.

Nothing learns from them and no metric counts them: the report shows the comparison with and without them. Their part is
the first that the customer viewed within 30 minutes, views of machines among them.""",
    ),
    TableSpec(
        name="test_interactions",
        key=("email_lower", "base_sku", "interaction_date"),
        not_null=("interaction", "engagement_tier"),
        endpoints=(_user("test_interactions"), _product("test_interactions")),
        may_be_empty=True,
        steady=False,
        description="""One row a customer, part and day in `[cutoff, as_of)` on which the customer met that part \
on the site: a part never viewed, put in the cart or ordered before.

Labels for `HOLLEY_EVALUATION_LABELS`, beside the clicks: no e-mail chose them. Nobody but evaluation reads it.
Dropped and counted: parts that the customer knew before the cutoff, unknown parts.""",
    ),
)

# What a step of the model writes, with the checks of a table.
HISTORY_SCORES = TableSpec(
    name="history_scores",
    key=("view", "profile", "base_sku"),
    not_null=("score", "similarity"),
    endpoints=(
        _product("history_scores"),
        Endpoint("history_scores", ("view", "profile"), "user_embeddings", ("view", "profile")),
    ),
    may_be_empty=True,
    steady=False,
    description="""One row a view, profile and part that the user's own history speaks for.

`score` is added to the dot product of the vectors, in evaluation and delivery alike; every other pair keeps the dot
product. `similarity` is how alike the part is to what the user met, 1 more for a part that was seen and not bought
since: system `sql_similar` reads it. `reason` is what speaks loudest: the part itself (`viewed`, `cart`), what goes
with parts that the user met (`co_viewed`, `co_purchased`), or both (`seen`). Users without a history have no row.""",
)
