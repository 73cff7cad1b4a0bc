"""Names of the table of sends and of its columns stand in the text of a query."""

from __future__ import annotations

import pytest

from holley_assets.settings import SettingsError, load_settings


def test_unset_there_is_no_table_of_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().experiment.sends_table is None


@pytest.mark.parametrize("table", ["mails.sent", "project-1.mails.sent"])
def test_a_table_of_a_dataset(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    monkeypatch.setenv("HOLLEY_EXPERIMENT_SENDS_TABLE", table)
    monkeypatch.setenv("HOLLEY_EXPERIMENT_SENDS_EMAIL_COLUMN", "E_Mail2")
    chosen = load_settings().experiment
    assert (chosen.sends_table, chosen.sends_email_column, chosen.sends_time_column) == (
        table,
        "E_Mail2",
        "sent_at",
    )


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("TABLE", "sent", "dataset.table"),
        ("TABLE", "mails.sent` WHERE 1=1", "dataset.table"),
        ("TABLE", "a.b.c.d", "dataset.table"),
        ("EMAIL_COLUMN", "e-mail", "letters, digits and _"),
        ("EMAIL_COLUMN", "a`, `b", "letters, digits and _"),
        ("TIME_COLUMN", 'a" AS b', "letters, digits and _"),
        ("TIME_COLUMN", "sent at", "letters, digits and _"),
    ],
)
def test_what_is_no_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"HOLLEY_EXPERIMENT_SENDS_{name}", value)
    with pytest.raises(SettingsError, match=f"HOLLEY_EXPERIMENT_SENDS_{name}=.*{allowed}") as raised:
        load_settings()
    assert "\n" not in str(raised.value)
