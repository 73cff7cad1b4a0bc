"""What is watched is what there is to watch."""

from __future__ import annotations

import pytest

from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.settings import SettingsError, WatchSettings, load_section


def test_every_source_table_has_a_limit() -> None:
    limits = {name.removesuffix("_days") for name in WatchSettings.model_fields if name.endswith("_days")}
    assert limits == {*SOURCE_TABLES, "output"}
    assert all(WatchSettings().stale_after_days(table) > 0 for table in SOURCE_TABLES)


@pytest.mark.parametrize("required", [" ", "output", "import_items nonsense", "hours_between"])
def test_only_source_tables_can_be_required(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv("HOLLEY_WATCH_REQUIRED", required)
    with pytest.raises(
        SettingsError, match=r"HOLLEY_WATCH_REQUIRED=.* is not allowed; allowed: at least one"
    ):
        load_section(WatchSettings)
    monkeypatch.setenv("HOLLEY_WATCH_REQUIRED", "import_items  import_orders")
    assert load_section(WatchSettings).required_tables == ["import_items", "import_orders"]
