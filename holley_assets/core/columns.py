"""What each column of each asset means, with its unit: the UI shows it beside the column.

A name means the same in every table; where one does not, the entry of its table goes first. Of a column and its twin
with ``serving_`` one entry serves both.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_SERVING = "serving_"
_SLOT = re.compile(r"rec_?(?:part_)?(\d)(?:_(price|score|image))?")

_REFERENCE = {
    "run_id": "run that wrote the file",
    "path": "where the file is in the store",
    "sha256": "SHA-256 of the file, hexadecimal",
    "bytes": "size of the file, bytes",
}
_OF_SLOT = {
    None: "SKU shown in slot {slot}; null in an empty one",
    "price": "price of the part in slot {slot}, US dollars",
    "score": "score of the part in slot {slot}, no unit; higher is better",
    "image": "address of the picture of the part in slot {slot}, https",
}

COLUMNS: dict[str, str] = {
    **_REFERENCE,
    # Who, what and for which car.
    "email_lower": "e-mail address of the customer, lower case",
    "user_id": "account or device as the source names it",
    "buyer": "who ordered: e-mail address, else user_id",
    "visitor": "who clicked: e-mail address, else user_id",
    "base_sku": "part without its colour or finish",
    "other_base_sku": "the other part of the pair, later in the alphabet",
    "sku": "part number of one variant, as the source names it, upper case",
    "part_type": "part type of the catalogue; null where it names none",
    "year": "model year of the car",
    "make": "make of the car, upper case",
    "model": "model of the car, upper case",
    "first_year": "first model year that fits",
    "last_year": "last model year that fits",
    "year_count": "model years that fit",
    "profile": "user node; customers with the same car and no history share one",
    "cold_profile": "user node of the same car without any history",
    "view": "training is as of the cutoff, serving as of the run's day",
    "system": "what ranked: a system of the comparison",
    "engagement_tier": "cold met nothing in the window, warm viewed, hot put a part in the cart or ordered",
    # Days and times.
    "as_of": "the run's day: nothing on or after it is read",
    "cutoff": "first day of the test window",
    "intent_start": "first day of interaction events",
    "source": "what kind of source the tables are from",
    "source_location": "where the source tables are",
    "event_date": "day of the event, UTC",
    "event_timestamp": "time of the event, UTC",
    "click_timestamp": "time of the click, UTC",
    "first_click": "time of the first click of the burst, UTC",
    "last_click": "time of the last click of the burst, UTC",
    "interaction_date": "day of the interaction, UTC",
    "order_date": "day of the order",
    "visit_date": "day of the visit",
    "generated_at": "start of the run's day, UTC",
    "vehicle_updated_at": "when the vehicle was last reported, UTC",
    # Counts.
    "views": "views, times",
    "carts": "cart updates, times",
    "orders": "orders, one a buyer, base SKU and day",
    "segment_orders": "orders by customers with this make and model",
    "make_orders": "orders by customers with this make",
    "users": "buyers who ordered both parts",
    "buyers": "buyers who ordered the other part with the first or soon after it",
    "earlier_users": "buyers who ordered both parts, without what customers ordered on their last visit",
    "visitors": "visitors who met exactly these parts",
    "earlier_visitors": "visitors who met both parts, without what customers first met on their last visit",
    "clicks": "clicks in the burst",
    "user_count": "customers with this make and model",
    "product_count": "base SKUs that fit this make and model",
    "parts": "parts in the set",
    "fitment_breadth": "years, makes and models that the part fits",
    "log_popularity": "ln(1 + orders)",
    "log_visitors": "ln(1 + visitors who viewed, carted or ordered the part)",
    # Events and order lines.
    "interaction": "what happened: view, cart or order",
    "price": "price, US dollars; null where none is known",
    "image": "address of the picture",
    "counts_as_order": "whether this line stands for the order; several sources report one",
    "counts_in_popularity": "whether popularity counts it",
    "refurbished": "whether the SKU is a refurbished part",
    "ineligible_reason": "first rule that keeps the part from being shown; null where none does",
    "refuses_email": "whether the account says no to e-mail",
    "vehicle_problem": "why the account's vehicle is of no use; null where it is",
    "treatment_tracking_id": "the e-mail that was clicked",
    # Sets of parts.
    "part_set": "number of the set of parts",
    "set_number": "number of the set of parts; negative for one part alone",
    "vehicle_number": "place of the make and model in the alphabet",
    # Scores, weights and vectors.
    "weight": "strength of the edge, no unit; null where it is not in this view",
    "rank": "place in the ranking, from 1",
    "score": "what the system ranks by, no unit; higher is better",
    "tier": "whose orders the score of sql trusts: segment (make and model), make or global",
    "sql_score": "score of system sql, from the orders of its tier; no unit",
    "popularity_score": "ln(1 + orders)",
    "similarity": "how alike the part is to what the user met, cosine and shares added up",
    "relation": "alternative: could be bought instead; goes_with: is bought with the part or after it",
    "evidence": "buyers who ordered the other part with or after the part, and years, makes and models that both fit",
    "reason": "what of the user's history speaks loudest for the part",
    "embedding": "vector of length one",
    "norm": "length of the vector before it was brought to one",
    "counted_popularity": "ln(1 + visitors) and what is in season; null in the serving view",
    "fitted_popularity": "logarithm of how often the part is chosen among those of the car; null in the serving view",
    "model_version": "version of the model that made the row",
    "best_epoch": "epoch that held-out visitors chose; 0 is before the first step",
    "history": "one record an epoch: its number, what was learned (stage), training and validation loss, validation "
    "MRR (of all held-out parts, by the car alone, by the customer), what the priors were multiplied by, seconds",
    "component": "part of the history that the weight belongs to",
    # Columns of the sources.
    "user_properties": "records of a name and a value (text, whole or real number): email, v1_year, v1_make, v1_model",
    "update_timestamp": "when the properties were last changed, UTC; the latest value of each wins",
    "auxia_insertion_timestamp": "when the row was inserted, UTC; decides between values of one time",
    "event_name": "what happened, such as Viewed Product, Cart Update or Placed Order, in any case",
    "client_event_timestamp": "time of the event, UTC",
    "event_properties": "records of a name and a value (text, whole or real number): SKU, price in US dollars, image",
    "treatment_id": "the campaign that the e-mail belongs to",
    "interaction_type": "VIEWED or CLICKED",
    "interaction_timestamp_micros": "time of the view or click, UTC",
    "v1_year": "model year of the car, or a range of years such as 1967-1969",
    "v1_make": "make of the car, in any case",
    "v1_model": "model of the car, in any case",
    "products": "records of a SKU that fits the car (product_number)",
    "PartNumber": "SKU",
    "PartType": "part type of the catalogue",
    "Price": "price as text, US dollars",
    "Tags": "tags of the part; a refurbished one is named here",
    "ITEM": "SKU",
    "SHIP_TO_EMAIL": "e-mail address of the buyer",
    "ORDER_DATE": "day of the order as text, such as Friday, January 10, 2025",
    # Visits that mixtures are chosen on, and what was chosen.
    "visit": "number of the visit",
    "parameter": "parameter of a mixture",
    "value": "value that was tried, no unit",
    "gain": "gain over the first value: log-likelihood for alpha, reciprocal rank for beta",
    "standard_error": "paired standard error of the gain",
    "chosen": "whether this value was chosen",
    "visits": "held-out visits that the gain is a mean of",
    # What became of the rows of the sources.
    "source_table": "table of the source",
    "outcome": "in: all rows of the table; kept, dropped for a reason, or lost for none",
    "source_rows": "rows of the source table",
    # Against the run before.
    "measure": "what is compared",
    "kind": "worse, drift or shown: what follows when the limit is passed",
    "before": "number of the run before",
    "now": "number of this run",
    "limit": "the most that the difference may be",
    "kept": "whether the limit is kept; null where there is none",
    "previous_run": "run that this one is compared with",
}

OF_TABLE: dict[str, dict[str, str]] = {
    "co_viewed_edges": {
        "visitors": "visitors who met both parts",
        "weight": "ln(1 + visitors); null where too few met both in this view",
    },
    "co_purchased_edges": {"weight": "ln(1 + users); null where too few ordered both in this view"},
    "ordered_pairs": {
        "other_base_sku": "the part that was ordered on the same day or later",
        "weight": "buyers, each exp(−days / HOLLEY_PAIR_DECAY_DAYS); null where too few ordered both in this view",
    },
    "similar_parts": {
        "other_base_sku": "the part that is similar",
        "score": "cosine of both vectors, or logarithm of how likely the part comes next; no unit; higher is better",
    },
    "interacts_edges": {
        "weight": "views, carts and orders by their base weights (HOLLEY_VIEW_WEIGHT …), decayed by age and added "
        "up; null outside this view",
    },
    "fits_edges": {"weight": "always 1"},
    "owns_edges": {"weight": "always 1"},
    "daily_orders": {"orders": "buyers who ordered the part on that day"},
    "visitor_demand": {
        "weight": "visitors who wanted the part for this car, shared over cars by Bayes' rule"
    },
    "held_out_visits": {
        "tier": "cold, warm or hot: what the customer had met before the visit",
        "weight": "strength of the choice, no unit",
    },
    "mixture_weights": {
        "tier": "tier that the value is for; null for all",
        "system": "system that the parameter belongs to",
    },
    "history_weights": {"weight": "share of all choices, from 0 to 1"},
    "run_comparison": {"value": "how far this run is from the one before; what the limit is held against"},
    "mixed_recommendations": {
        "arm": "whose parts the customer received: the graph's or the SQL pipeline's",
        "assigned_arm": "whose parts the hash of the address assigns to the customer",
    },
    "experiment_outcomes": {
        "assigned_arm": "arm that the hash assigned at the first exposure: graph or sql",
        "received_arm": "arm whose parts the user was shown at the first exposure",
        "first_exposure": "first day on which the experiment showed the user parts, UTC",
        "period": "number of the days in a row of one share, from 0",
        "share": "part of all users that was assigned to the graph in the period, from 0 to 1",
        "tier": "cold, warm or hot: what the user had met before the first exposure",
        "week": "week of the first exposure, from 0 at the start",
        "moved": "whether the user was seen in two assigned arms",
        "click_window_over": "whether all days in which clicks count are over",
        "order_window_over": "whether all days in which orders count are over",
        "clicks": "clicks on e-mails in the window, those of machines left out",
        "machine_clicks": "clicks of machines in the window",
        "orders": "orders in the window, one a base SKU and day",
        "order_value": "value of the orders, capped at the declared quantile of the buyers, US dollars",
        "order_value_uncapped": "value of the orders, US dollars",
        "unsubscribed": "whether the user refuses e-mail by now; null without HOLLEY_CONSENT_PROPERTY",
        "exposures": "days on which the user was shown parts",
        "received_as_assigned": "whether the received arm is the assigned one",
        "clicks_before": "clicks in as many days before the first exposure, those of machines left out",
        "orders_before": "orders in as many days before the first exposure",
        "order_value_before": "value of the orders before, US dollars",
        "person": "one for all addresses that are surely one person's",
        "model_version": "version of the model whose parts were shown at the first exposure",
        "system": "what ranked the parts that were shown at the first exposure",
    },
    "source_rows": {
        "reason": "why the rows were dropped, the first of their reasons; null for those in and kept"
    },
    "order_lines": {"source": "table that reported the order line"},
}


def describe_column(asset: str, column: str, columns: Collection[str]) -> str | None:
    """Description of ``column`` of ``asset``; None where there is none.

    Args:
        columns: all columns of the asset: one with a twin is as of the cutoff, and its twin as of the run's day.
    """
    if slot := _SLOT.fullmatch(column):
        return _OF_SLOT[slot[2]].format(slot=slot[1])
    plain = column.removeprefix(_SERVING)
    described = OF_TABLE.get(asset, {}).get(plain) or COLUMNS.get(plain)
    if described is None or f"{_SERVING}{plain}" not in columns:
        return described
    day = "the cutoff" if column == plain else "the run's day"
    return f"{described}; as of {day}"
