"""The tables of speed and what became slower, by hand."""

from __future__ import annotations

import datetime
import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
DAY = datetime.date(2026, 11, 27)


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("speed")


def entry(day: str, *, cores: int = 2, users: int = 1000, **seconds: float) -> dict[str, Any]:
    return {
        "benchmark": "end_to_end",
        "users": users,
        "as_of": "2026-02-15",
        "day": day,
        "commit": "abc1234",
        "machine": {
            "processor": "P",
            "cores": cores,
            "load_average": [0.5, 1, 2],
            "python": "3.11",
            "torch": "2",
        },
        "measurements": [
            {"name": name, "seconds": value, "cpu_seconds": 2 * value, "peak_mib": 1234}
            for name, value in seconds.items()
        ],
    }


def test_what_takes_more_than_a_tenth_longer_is_named(speed: ModuleType) -> None:
    before = entry("2026-11-25", training=10.0, ranking=10.0, graphs=10.0, short=0.5, gone=1.0)
    after = entry("2026-11-26", training=11.0, ranking=11.01, graphs=2.0, short=0.9, new=99.0)
    assert speed.slower([before, after]) == [
        "end_to_end, 1,000 users, ranking: 11.0 s, 10.0 s on 2026-11-25 (abc1234)"
    ]
    assert speed.slower([before]) == []


def test_the_newest_is_compared_with_the_one_before_on_a_machine_of_its_kind(speed: ModuleType) -> None:
    slow, fast = entry("2026-11-24", training=50.0), entry("2026-11-25", training=10.0)
    others = [
        entry("2026-11-26", training=1.0, cores=16),
        entry("2026-11-26", training=1.0, users=2000),
        {**entry("2026-11-26", training=1.0), "as_of": "2026-11-25"},
        {**entry("2026-11-26", training=1.0), "benchmark": "ranking"},
    ]
    newest = entry("2026-11-27", training=20.0)
    assert speed.slower([slow, fast, *others, newest]) == [
        "end_to_end, 1,000 users, training: 20.0 s, 10.0 s on 2026-11-25 (abc1234)"
    ]
    assert speed.slower([fast, slow, newest]) == []


def test_the_page_gets_the_newest_of_each_question_between_its_markers(speed: ModuleType) -> None:
    page = f"# Before\n\n{speed.BEGIN}\nold\n{speed.END}\n\nafter\n"
    entries = [
        entry("2026-11-24", users=2000, training=3.0),
        entry("2026-11-24", training=1.0),
        entry("2026-11-25", training=2.5, parts=0.99, fitment=1.0),
        {**entry("2026-11-25", loop=0.5), "benchmark": "ranking", "as_of": None},
    ]
    assert (
        speed.with_tables(page, entries)
        == f"""# Before

{speed.BEGIN}

`end_to_end.py`, 1,000 users, as of 2026-02-15:

|  | seconds | CPU seconds | peak MiB |
| --- | ---: | ---: | ---: |
| training | 2.50 | 5.00 | 1,234 |
| fitment | 1.00 | 2.00 | 1,234 |

`end_to_end.py`, 2,000 users, as of 2026-02-15:

|  | seconds | CPU seconds | peak MiB |
| --- | ---: | ---: | ---: |
| training | 3.00 | 6.00 | 1,234 |

`ranking.py`, 1,000 users:

|  | seconds | CPU seconds | peak MiB |
| --- | ---: | ---: | ---: |
| loop | 0.50 | 1.00 | 1,234 |

|  | users | as of | measured | commit | machine | versions |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| end_to_end | 1,000 | 2026-02-15 | 2026-11-25 | `abc1234` | P, 2 cores, load 0.5 | python 3.11, torch 2 |
| end_to_end | 2,000 | 2026-02-15 | 2026-11-24 | `abc1234` | P, 2 cores, load 0.5 | python 3.11, torch 2 |
| ranking | 1,000 | – | 2026-11-25 | `abc1234` | P, 2 cores, load 0.5 | python 3.11, torch 2 |

{speed.END}

after
"""
    )
    again = speed.with_tables(page, entries)
    assert speed.with_tables(again, entries) == again


def test_three_sizes_of_one_day_and_machine_tell_how_a_step_grows(speed: ModuleType, tmp_path: Path) -> None:
    """Training grows as users do, its processor time and memory as their root; tables do not grow."""
    by_size = [
        entry("2026-11-25", users=users, training=training, tables=5.0, short=training / 10.1)
        for users, training in ((10_000, 10.0), (100, 0.1), (1000, 1.0))
    ]
    for each, root in zip(by_size, (100.0, 10.0, 10**1.5), strict=True):
        each["measurements"][0] |= {"cpu_seconds": root, "peak_mib": 10 * root}
    others = [entry("2026-11-25", users=7, cores=16, training=1.0), {**by_size[0], "benchmark": "ranking"}]
    others += [{**each, "as_of": "2026-11-25"} for each in by_size[:2]]
    (series,) = speed.series_of([*by_size, *others])
    assert (
        speed.growth_table(series)
        == """|  | 100 users | 1,000 users | 10,000 users | exponent | of CPU | of memory |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| training | 0.1 s, 100 MiB | 1.0 s, 316 MiB | 10.0 s, 1,000 MiB | 1.00 | 0.50 | 0.50 |
| tables | 5.0 s, 1,234 MiB | 5.0 s, 1,234 MiB | 5.0 s, 1,234 MiB | 0.00 | 0.00 | 0.00 |"""
    )
    assert speed.growth_table(series) in speed.tables(by_size)
    speed.draw_growth(series, tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(("longer", "rows"), [(1.02, ["step"]), (1.03, ["stage", "step"])])
def test_of_a_stage_and_its_only_step_the_step_is_shown(
    speed: ModuleType, longer: float, rows: list[str]
) -> None:
    """A stage that takes as long as a step at every size is that step; one that takes 3 % longer has more in it."""
    series = [
        entry("2026-11-25", users=users, step=float(users), stage=users * longer) for users in (100, 200, 400)
    ]
    table = speed.growth_table(series).splitlines()[2:]
    assert [line.split(" | ")[0].strip("| ") for line in table] == rows


@pytest.mark.parametrize(
    "page", ["", "{begin}", "{end} {begin}", "{begin} {end} {end}", "{begin} {begin} {end}"]
)
def test_a_page_without_its_markers_is_left_alone(speed: ModuleType, page: str) -> None:
    with pytest.raises(ValueError, match="each once"):
        speed.with_tables(page.format(begin=speed.BEGIN, end=speed.END), [])


def test_what_benchmarks_write_is_kept_with_day_and_commit(
    speed: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "commit", lambda: "abc1234+")
    one = {
        "name": "training",
        "seconds": 1.005,
        "runs": [1],
        "cpu_seconds": 2.006,
        "peak_mib": 99.6,
        "figures": {},
    }
    stages = {"users": 7, "stages": [one], "steps": [{**one, "name": "parts"}]}
    as_of = datetime.date(2026, 2, 15)
    kept = speed.entry("end_to_end", 7, as_of, DAY, {"machine": {"cores": 2}, "runs": [stages]})
    row = {"name": "training", "seconds": 1.0, "cpu_seconds": 2.01, "peak_mib": 100}
    assert kept == {
        "benchmark": "end_to_end",
        "users": 7,
        "as_of": "2026-02-15",
        "day": "2026-11-27",
        "commit": "abc1234+",
        "machine": {"cores": 2},
        "measurements": [row, {**row, "name": "parts"}],
    }
    plain = speed.entry("ranking", 7, as_of, DAY, {"machine": {}, "measurements": [one]})
    assert (plain["as_of"], plain["measurements"]) == (None, [row])


def test_the_page_is_that_of_what_was_measured(speed: ModuleType) -> None:
    page = speed.PAGE.read_text(encoding="utf-8")
    assert speed.with_tables(page, json.loads(speed.RESULTS.read_text())) == page, (
        "renew it: python tests/benchmarks/speed.py --only"
    )
