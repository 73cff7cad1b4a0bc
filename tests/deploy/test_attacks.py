"""The page of attacks: each row names a test that exists, and each of the twelve kinds has one."""

from __future__ import annotations

import re
from pathlib import Path

from holley_assets.definitions import definitions

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "holley_assets" / "deploy" / "ATTACKS.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (\d+|Kills) ", line)]


def test_every_attack_names_a_test_that_exists() -> None:
    missing = []
    for row in ROWS:
        *_, named = (cell.strip(" `") for cell in row.strip("|").split(" | "))
        file, _, test = named.partition("::")
        path = TESTS / file
        if not path.is_file() or not re.search(rf"^ *def {test}\(", path.read_text(encoding="utf-8"), re.M):
            missing.append(named)
    assert missing == []


def test_every_kind_of_attack_has_a_row_and_every_path_is_tried() -> None:
    kinds = {int(found[1]) for row in ROWS if (found := re.match(r"\| (\d+) ", row))}
    assert kinds == set(range(1, 13))
    paths = {row.strip("|").split(" | ")[1].strip() for row in ROWS}
    assert paths == {"job", "alone", "again", "command", "daemon", "all"}


def test_the_launchpad_can_configure_no_resource() -> None:
    settable = {
        (job.name, name)
        for job in definitions.resolve_all_job_defs()
        for name, resource in job.resource_defs.items()
        if getattr(resource.config_schema.config_type, "fields", "anything")
    }
    assert settable == set()
