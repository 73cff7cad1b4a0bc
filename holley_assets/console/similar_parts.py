"""What could be bought instead of a part, and what goes with it: from table ``similar_parts`` of the newest run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from holley_assets.console.errors import ConsoleError
from holley_assets.console.run_files import RunFiles
from holley_assets.ranking.similar_parts import nearest_targets, pair_vectors

_TITLES = {"alternative": "Could be bought instead", "goes_with": "Is bought with it or after it"}


def similar_parts(files: RunFiles, part: str) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """Base SKU of a part, and its rows by relation, best first; a relation without rows is there too.

    Args:
        part: a SKU or a base SKU.

    Raises:
        ConsoleError: the run knows no such part, or nothing is similar to it. The message says what to do.
    """
    base_sku = _base_sku_of(files, part)
    rows = sorted(
        files.table("similar_parts", only={"base_sku": base_sku}).to_pylist(), key=lambda row: row["rank"]
    )
    if not rows:
        raise ConsoleError(
            f"{part.strip().upper()} has no similar parts: it may not be shown, or nothing of its type fits its "
            "cars and few bought it"
        )
    return base_sku, {name: [row for row in rows if row["relation"] == name] for name in _TITLES}


def _base_sku_of(files: RunFiles, part: str) -> str:
    wanted = part.strip().upper()
    for column in ("sku", "base_sku"):
        found = files.table("parts", ["base_sku"], only={column: wanted})["base_sku"].to_pylist()
        if found:
            return str(found[0])
    raise ConsoleError(f"{wanted} is not a part of this run: ask for a SKU or a base SKU")


def rendered_search(files: RunFiles, part: str, count: int) -> Iterator[RenderableType]:
    """The parts that ``part`` leads to by the vectors of all ordered pairs, as VECTOR_SEARCH finds them in BigQuery.

    Args:
        count: of parts, at most.

    Raises:
        ConsoleError: the run knows no such part, or nobody ordered another part with it or after it.
    """
    base_sku = _base_sku_of(files, part)
    dimensions = files.settings(files.find_run("latest")).run.pair_dimensions
    found = nearest_targets(pair_vectors(files.table("ordered_pairs"), dimensions), base_sku, count)
    if not found.num_rows:
        raise ConsoleError(f"{base_sku} leads to no part: nobody ordered another part with it or after it")
    types = _types(files)
    table = Table(title=f"{base_sku} leads to", title_justify="left", header_style="")
    for column in ("", "part", "type", "score"):
        table.add_column(column, justify="left" if column in {"part", "type"} else "right")
    for rank, row in enumerate(found.to_pylist(), start=1):
        table.add_row(str(rank), row["base_sku"], types.get(row["base_sku"]) or "", f"{row['score']:.4f}")
    yield table


def _types(files: RunFiles) -> dict[str, str | None]:
    return {row["base_sku"]: row["part_type"] for row in files.table("product_nodes").to_pylist()}


def rendered(files: RunFiles, part: str) -> Iterator[RenderableType]:
    """What is printed: a table for each relation, with types and the evidence.

    Raises:
        ConsoleError: as :func:`similar_parts`.
    """
    base_sku, found = similar_parts(files, part)
    types = _types(files)
    yield f"{base_sku} ({types.get(base_sku) or 'no type'})"
    for relation, title in _TITLES.items():
        if not found[relation]:
            yield f"{title}: nothing."
            continue
        table = Table(title=title, title_justify="left", header_style="")
        for column in ("", "part", "type", "score", "buyers", "cars in common"):
            table.add_column(column, justify="left" if column in {"part", "type"} else "right")
        for row in found[relation]:
            other, evidence = row["other_base_sku"], row["evidence"]
            counts = (f"{evidence[name]:,}" for name in ("buyers", "shared_vehicles"))
            table.add_row(str(row["rank"]), other, types.get(other) or "", f"{row['score']:.4f}", *counts)
        yield table
