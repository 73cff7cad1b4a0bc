"""Which clicks are of parts that their users had met before."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def new_parts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("new_parts")


def pairs(*of: tuple[str, str]) -> pa.Table:
    return pa.table({"email_lower": [user for user, _ in of], "base_sku": [part for _, part in of]})


def test_a_part_is_met_by_its_own_user_alone(new_parts: ModuleType) -> None:
    clicks = pairs(("ann@x.com", "A"), ("ann@x.com", "B"), ("bob@x.com", "A"), ("ann@x.com", "A"))
    met, new = new_parts.split_clicks(clicks, pairs(("ann@x.com", "A"), ("eve@x.com", "B")))
    assert met.to_pylist() == pairs(("ann@x.com", "A"), ("ann@x.com", "A")).to_pylist()
    assert new.to_pylist() == pairs(("ann@x.com", "B"), ("bob@x.com", "A")).to_pylist()
    nothing = pairs().cast(clicks.schema)
    assert new_parts.split_clicks(clicks, nothing)[1].equals(clicks)
