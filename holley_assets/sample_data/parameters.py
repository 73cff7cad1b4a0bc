"""What a sample is made from: the sizes, the days and the streams of random numbers."""

from __future__ import annotations

import datetime
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

# Raised whenever the same parameters give other bytes: folders of an older version are not reused.
GENERATOR_VERSION = 8

FULL_SCALE_USERS = 475_000
FULL_SCALE_PRODUCTS = 25_000
FULL_SCALE_MODELS = 2_000
# Days of import_orders before the first day of interaction events; about half of all order lines.
HISTORY_DAYS = 150

SampleKind = Literal["segment", "taste", "real_cars", "null"]
KINDS: tuple[SampleKind, ...] = get_args(SampleKind)
# Visitors, views and orders as a share of the real ones. Above ten times, the generator's shares of users add
# up to more than all of them.
MAXIMUM_TRAFFIC = 10.0
# Views, orders and clicks that go back to a part that their person had met before. It is 85 % in the log of a
# marketplace, where visits follow from a wish; e-mails reach people at other times.
RETURN_SHARE = 0.3


@dataclass(frozen=True)
class SampleParameters:
    """Everything that decides the contents of a sample; equal parameters give equal bytes.

    ``users`` counts registered e-mail addresses, ``products`` base SKUs and ``models`` makes and models.
    ``traffic`` multiplies visitors, views and orders, and ``return_share`` is the share of later views, orders
    and clicks that go back to a part their person had met before.
    """

    users: int
    kind: SampleKind
    seed: int
    as_of: datetime.date
    intent_start: datetime.date
    products: int
    models: int
    test_days: int
    traffic: float
    return_share: float

    @classmethod
    def resolve(
        cls,
        *,
        users: int,
        kind: SampleKind,
        seed: int,
        as_of: datetime.date,
        intent_start: datetime.date,
        products: int | None,
        models: int | None,
        test_days: int,
        traffic: float = 1.0,
        return_share: float = RETURN_SHARE,
    ) -> SampleParameters:
        """Fill in the default sizes and refuse what cannot be generated.

        A catalogue grows more slowly than its users: 40,000 users buy from about 4,000 products for 300
        models, 475,000 from 25,000 for 2,000, which gives the exponents 0.74 and 0.766.

        Raises:
            ValueError: one line that names the parameter, its value and what is allowed.
        """
        ratio = users / FULL_SCALE_USERS
        resolved = cls(
            users=users,
            kind=kind,
            seed=seed,
            as_of=as_of,
            intent_start=intent_start,
            products=products if products is not None else max(60, round(FULL_SCALE_PRODUCTS * ratio**0.74)),
            models=models if models is not None else max(8, round(FULL_SCALE_MODELS * ratio**0.766)),
            test_days=test_days,
            traffic=traffic,
            return_share=return_share,
        )
        resolved._validate()
        return resolved

    def _validate(self) -> None:
        if self.kind not in KINDS:
            allowed = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
            raise ValueError(f"kind={self.kind!r} is not allowed; allowed: {allowed}")
        if not 0.0 < self.traffic <= MAXIMUM_TRAFFIC:
            raise ValueError(
                f"traffic={self.traffic} is not allowed; allowed: above 0 and up to {MAXIMUM_TRAFFIC:g}"
            )
        if not 0.0 <= self.return_share <= 1.0:
            raise ValueError(f"return_share={self.return_share} is not allowed; allowed: from 0 to 1")
        for name, minimum in (("users", 100), ("products", 40), ("models", 4), ("test_days", 1), ("seed", 0)):
            if getattr(self, name) < minimum:
                raise ValueError(f"{name}={getattr(self, name)} is not allowed; allowed: {minimum} or more")
        if self.as_of <= self.intent_start:
            raise ValueError(
                f"as_of={self.as_of} is not allowed; allowed: a day after intent_start={self.intent_start}"
            )

    @property
    def scale(self) -> float:
        """Users as a share of full scale."""
        return self.users / FULL_SCALE_USERS

    @property
    def activity(self) -> float:
        """Daily counts of orders and events as a share of the real ones at full scale."""
        return self.scale * self.traffic

    @property
    def cutoff(self) -> datetime.date:
        """First day of the test window."""
        return self.as_of - datetime.timedelta(days=self.test_days)

    @property
    def history_start(self) -> datetime.date:
        """First day with orders."""
        return self.intent_start - datetime.timedelta(days=HISTORY_DAYS)

    @property
    def test_start(self) -> datetime.date:
        """First day with clicks: the cutoff, or the first day of events where that is later."""
        return max(self.cutoff, self.intent_start)

    def random(self, stream: str) -> np.random.Generator:
        """A generator for each named step, so that a change in one step leaves the others alone."""
        return np.random.default_rng([self.seed, zlib.crc32(stream.encode())])

    def manifest(self) -> dict[str, Any]:
        """The parameters and the generator's version as plain JSON values."""
        values = {
            name: value.isoformat() if isinstance(value, datetime.date) else value
            for name, value in asdict(self).items()
        }
        return {"generator_version": GENERATOR_VERSION, **values}


MICROSECONDS_PER_DAY = 86_400_000_000
MINUTE = 60_000_000


def microseconds(day: datetime.date) -> int:
    """Midnight UTC of ``day`` in microseconds since 1970."""
    return (day - datetime.date(1970, 1, 1)).days * MICROSECONDS_PER_DAY
