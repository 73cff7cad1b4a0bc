"""What is compared between the arms, and over which users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holley_assets.experiment.declaration import Declaration

Window = Literal["click", "order", "none"]


@dataclass(frozen=True)
class Metric:
    """A mean over users, or a ratio of two means.

    Attributes:
        name: in the declaration and in the readout.
        label: for people.
        value: column of the numerator (float64).
        covariate: column of the same thing before the first exposure; None: the metric is not adjusted.
        denominator: column that the mean is divided by; None: a mean over users.
        window: whose end a user must have reached to count.
        kind: how a value is written: a share, dollars or a number.
        more_is_better: False where a rise is a loss.
    """

    name: str
    label: str
    value: str
    covariate: str | None
    window: Window
    kind: Literal["share", "dollars", "number"]
    denominator: str | None = None
    more_is_better: bool = True

    def window_days(self, declaration: Declaration) -> tuple[int, str]:
        """Days of the window and the column that says that it is over."""
        if self.window == "none":
            return 0, ""
        days = declaration.windows.click_days if self.window == "click" else declaration.windows.order_days
        return days, f"{self.window}_window_over"


CLICK_RATE = Metric("click_rate", "Click rate", "clicked", "clicks_then", "click", "share")
_TESTED = (
    CLICK_RATE,
    Metric("conversion", "Conversion", "converted", "orders_then", "order", "share"),
    Metric("revenue_per_user", "Revenue a user", "order_value", "order_value_before", "order", "dollars"),
    Metric("clicks_per_user", "Clicks a user", "all_clicks", "clicks_then", "click", "number"),
    Metric("orders_per_user", "Orders a user", "all_orders", "orders_then", "order", "number"),
)
TESTED = {metric.name: metric for metric in _TESTED}
# Beside the capped revenue, to see what the cap took away; no test of its own.
UNCAPPED_REVENUE = Metric(
    "revenue_per_user_uncapped",
    "Revenue a user, not capped",
    "order_value_uncapped",
    "order_value_before",
    "order",
    "dollars",
)
_GUARDRAILS = (
    Metric("unsubscribe_rate", "Unsubscribe rate", "left", None, "order", "share", more_is_better=False),
    Metric("delivered_share", "Share received as assigned", "delivered", None, "none", "share"),
    Metric(
        "average_order_value", "Average order value", "order_value", None, "order", "dollars", "all_orders"
    ),
)
GUARDRAILS = {metric.name: metric for metric in _GUARDRAILS}
