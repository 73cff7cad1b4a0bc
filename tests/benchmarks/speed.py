"""Runs the benchmarks of speed, keeps what they measured, and writes the tables of ``README.md`` from it.

    python tests/benchmarks/speed.py                          # full scale, on an idle machine
    python tests/benchmarks/speed.py --users 20000 50000 150000 475000 --only end_to_end   # how it grows
    python tests/benchmarks/speed.py --only                   # measure nothing, write the tables again

Every run is one entry of ``speed.json`` beside this file: what was measured, on which day, machine and commit, with
which versions. At its end the command says what takes more than 10 % longer than when it was last measured at the same
size, as of the same day, on a machine of the same kind, and exits with 1.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from growth import SHORTEST_SECONDS, draw_growth, growth_table, series_of
from study import markdown, tell

from holley_assets.sample_data.parameters import FULL_SCALE_USERS

FOLDER = Path(__file__).parent
RESULTS, PAGE, PICTURE = FOLDER / "speed.json", FOLDER / "README.md", FOLDER / "growth.svg"
BEGIN, END = "<!-- speed.py writes from here -->", "<!-- speed.py writes to here -->"
BENCHMARKS = ("end_to_end", "ranking", "training_step")
SLOWER = 0.10

Entry = dict[str, Any]


def command(benchmark: str, users: int, as_of: datetime.date, output: Path) -> list[str]:
    """The benchmark at one size, its results in ``output``."""
    of_each = {
        "end_to_end": ["--as-of", str(as_of), "--output", str(output)],
        "ranking": ["--json", str(output)],
        "training_step": ["--output", str(output)],
    }
    return [sys.executable, str(FOLDER / f"{benchmark}.py"), "--users", str(users), *of_each[benchmark]]


def entry(benchmark: str, users: int, as_of: datetime.date, day: datetime.date, written: Entry) -> Entry:
    """What a benchmark wrote, as it is kept."""
    runs = written.get("runs")
    measured = [*runs[0]["stages"], *runs[0]["steps"]] if runs else written["measurements"]
    return {
        "benchmark": benchmark,
        "users": users,
        # The others draw a world of their own, or a sample of one day.
        "as_of": str(as_of) if benchmark == "end_to_end" else None,
        "day": str(day),
        "commit": commit(),
        "machine": written["machine"],
        "measurements": [
            {
                "name": each["name"],
                "seconds": round(each["seconds"], 2),
                "cpu_seconds": round(each["cpu_seconds"], 2),
                "peak_mib": round(each["peak_mib"]),
            }
            for each in measured
        ],
    }


def commit() -> str:
    """Commit of the code that was measured; with a + where files were changed since."""
    git = ["git", "-C", str(FOLDER), "describe", "--always", "--dirty=+", "--abbrev=7"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def same_question(one: Entry, other: Entry) -> bool:
    """Whether two entries may be compared: the same benchmark, size and as-of day, on the same kind of machine."""
    asked = [(each["benchmark"], each["users"], each["as_of"]) for each in (one, other)]
    kinds = [(each["machine"]["processor"], each["machine"]["cores"]) for each in (one, other)]
    return asked[0] == asked[1] and kinds[0] == kinds[1]


def slower(entries: Sequence[Entry]) -> list[str]:
    """What takes longer in the newest entry of each question than in the one before, a sentence each."""
    found = []
    for number, newest in enumerate(entries):
        if any(same_question(newest, later) for later in entries[number + 1 :]):
            continue
        earlier = [each for each in entries[:number] if same_question(newest, each)]
        if not earlier:
            continue
        before = {each["name"]: each["seconds"] for each in earlier[-1]["measurements"]}
        found += [
            f"{newest['benchmark']}, {newest['users']:,} users, {each['name']}: {each['seconds']:.1f} s, "
            f"{before[each['name']]:.1f} s on {earlier[-1]['day']} ({earlier[-1]['commit']})"
            for each in newest["measurements"]
            if each["name"] in before
            and each["seconds"] >= SHORTEST_SECONDS
            and each["seconds"] > before[each["name"]] * (1 + SLOWER)
        ]
    return found


def newest_of(entries: Sequence[Entry]) -> list[Entry]:
    """The newest entry of each question, in the order of the page."""
    newest = [
        each
        for number, each in enumerate(entries)
        if not any(same_question(each, later) for later in entries[number + 1 :])
    ]
    return sorted(
        newest, key=lambda each: (BENCHMARKS.index(each["benchmark"]), each["users"], each["as_of"] or "")
    )


def tables(entries: Sequence[Entry]) -> str:
    """The newest entry of each question as a table, how the whole job grows, and where all were measured.

    A step of the whole job that takes less than :data:`SHORTEST_SECONDS` is kept, but not shown.
    """
    newest = newest_of(entries)
    parts = []
    for each in newest:
        rows = [
            [one["name"], f"{one['seconds']:.2f}", f"{one['cpu_seconds']:.2f}", f"{one['peak_mib']:,}"]
            for one in each["measurements"]
            if each["benchmark"] != "end_to_end" or one["seconds"] >= SHORTEST_SECONDS
        ]
        day = f", as of {each['as_of']}" if each["as_of"] else ""
        parts.append(
            f"`{each['benchmark']}.py`, {each['users']:,} users{day}:\n\n"
            + markdown(["", "seconds", "CPU seconds", "peak MiB"], rows)
        )
    parts += [
        f"How `end_to_end.py` grows with users, as of {series[0]['as_of']}; with an exponent of 1 it doubles with "
        f"them:\n\n{growth_table(series)}"
        for series in series_of(newest)
    ]
    return "\n\n".join([*parts, _where(newest)]) if newest else "Nothing has been measured yet."


def _where(entries: Sequence[Entry]) -> str:
    rows = []
    for each in entries:
        machine = dict(each["machine"])
        processor, cores, load = (machine.pop(name) for name in ("processor", "cores", "load_average"))
        versions = ", ".join(f"{name} {version}" for name, version in machine.items())
        as_of = each["as_of"] or "–"
        row = [each["benchmark"], f"{each['users']:,}", as_of, each["day"], f"`{each['commit']}`"]
        rows.append([*row, f"{processor}, {cores} cores, load {load[0]:g}", versions])
    return markdown(["", "users", "as of", "measured", "commit", "machine", "versions"], rows)


def with_tables(page: str, entries: Sequence[Entry]) -> str:
    """``page`` with the tables of ``entries`` between its two markers.

    Raises:
        ValueError: the page does not have each marker once, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise ValueError(f"the page needs {BEGIN} and then {END}, each once")
    return f"{before}{BEGIN}\n\n{tables(entries)}\n\n{END}{after}"


def kept() -> list[Entry]:
    """All entries, the oldest first."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--users", type=int, nargs="+", default=[FULL_SCALE_USERS])
    parser.add_argument("--as-of", type=datetime.date.fromisoformat, default=datetime.date(2026, 2, 15))
    parser.add_argument("--only", nargs="*", choices=BENCHMARKS, default=list(BENCHMARKS))
    arguments = parser.parse_args()
    entries = kept()
    with tempfile.TemporaryDirectory() as folder:
        for benchmark, users in itertools.product(arguments.only, arguments.users):
            tell(f"{benchmark}, {users:,} users")
            output = Path(folder) / f"{benchmark}.json"
            subprocess.run(command(benchmark, users, arguments.as_of, output), check=True)
            day = datetime.datetime.now(datetime.UTC).date()
            written = json.loads(output.read_text())
            entries.append(entry(benchmark, users, arguments.as_of, day, written))
            # Kept at once: the next benchmark may take an hour and fail.
            lines = ",\n".join(json.dumps(each) for each in entries)
            RESULTS.write_text(f"[\n{lines}\n]\n")
    PAGE.write_text(with_tables(PAGE.read_text(), entries))
    # The newest day that was measured at several sizes.
    for series in series_of(newest_of(entries))[-1:]:
        draw_growth(series, PICTURE)
    found = slower(entries)
    print(
        "\n".join(["Slower by more than 10 %:", *found]) if found else "Nothing is slower by more than 10 %."
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
