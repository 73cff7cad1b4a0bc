"""The queries under ``sql/``: BigQuery dialect, one SELECT a file, named like the table it makes.

Datasets stand in a query as ``{company}``, ``{data_company}`` and ``{working}``, because identifiers cannot
be query parameters; :func:`read_query` puts validated names in their place. Functions that several queries
share, such as ``base_sku``, are defined once under ``sql/functions/`` and travel with the queries that call
them.
"""

from __future__ import annotations

import csv
import functools
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlglot

from holley_assets.settings import is_dataset

_PACKAGE = Path(__file__).parents[2]
# An installed package carries the queries inside; a checkout has them beside the package.
SQL_FOLDER = _PACKAGE / "sql" if (_PACKAGE / "sql").is_dir() else _PACKAGE.parent / "sql"
_FUNCTION_FOLDER = "functions"
# Whoever calls a make by another name adds a line to it.
MAKE_ALIASES = SQL_FOLDER / _FUNCTION_FOLDER / "make_aliases.csv"

# Braces elsewhere, in a regular expression or a comment, are not placeholders.
_PLACEHOLDER = re.compile(r"(?<=`)\{([^{}]*)\}(?=\.)")
_FUNCTION = re.compile(r"CREATE TEMP FUNCTION\s+(\w+)\s*\(.*?^\);", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*")
_ORDER = re.compile(r"\nORDER BY (\w+(?:, \w+)*)\Z")
# A table in a query, with the dataset names filled in.
_REFERENCE = re.compile(r"`(?P<dataset>[\w.-]+)\.(?P<table>\w+)`")
_MAKE = re.compile(r"[A-Z0-9][A-Z0-9 &+/-]{0,99}")
_CALL = re.compile(r"(?<![\w.@])(\w+)\s*\(")


class QueryError(ValueError):
    """A query file or a name that goes into one is not usable."""


@dataclass(frozen=True)
class Datasets:
    """Where the tables of a query live: dataset names, each below a project where there is one."""

    company: str = "company_1950"
    data_company: str = "data_company_1950"
    working: str = "temp_holley_gnn"

    def __post_init__(self) -> None:
        for role in ("company", "data_company", "working"):
            validate_dataset(getattr(self, role))


@dataclass(frozen=True)
class Query:
    """One query in BigQuery dialect: a SELECT and the functions that it calls."""

    name: str
    functions: tuple[str, ...]
    select: str
    order: tuple[str, ...] = ()
    """Columns that the rows of the written file are sorted by. They are sorted where the file is written: in the cloud
    one worker would have to hold the whole result."""

    @functools.cached_property
    def parameters(self) -> frozenset[str]:
        """Names of the parameters, without the @."""
        tokens = sqlglot.tokenize(self.select, read="bigquery")
        return frozenset(
            name.text
            for sign, name in itertools.pairwise(tokens)
            if sign.token_type == sqlglot.TokenType.PARAMETER
        )

    @property
    def text(self) -> str:
        """What BigQuery runs."""
        return "\n\n".join((*self.functions, self.select))


def validate_dataset(name: str) -> str:
    """Return ``name`` if it is ``dataset`` or ``project.dataset`` and nothing else.

    Raises:
        QueryError: it is not; the text of a query is no place for it.
    """
    if not is_dataset(name):
        raise QueryError(
            f"{name!r} is not a dataset; expected letters, digits and _, optionally below a project"
        )
    return name


def query_names() -> list[str]:
    """Names of all queries, sorted."""
    return sorted(_query_paths())


@functools.cache
def read_query(name: str, datasets: Datasets | None = None) -> Query:
    """Read the query that makes table ``name``, with dataset names filled in.

    Raises:
        QueryError: there is no such query, or it has a placeholder that is no dataset.
    """
    paths = _query_paths()
    if name not in paths:
        raise QueryError(
            f"no query is named {name!r} under {SQL_FOLDER}; there are {', '.join(sorted(paths))}"
        )
    names: Mapping[str, str] = vars(datasets or Datasets())

    def dataset(match: re.Match[str]) -> str:
        if match[1] not in names:
            raise QueryError(f"query {name}: {match[0]} is no dataset; there are {', '.join(names)}")
        return names[match[1]]

    select = _PLACEHOLDER.sub(dataset, paths[name].read_text(encoding="utf-8")).strip()
    order = _ORDER.search(select)
    columns = tuple(order[1].split(", ")) if order else ()
    select = _ORDER.sub("", select)
    return Query(name, called_functions(select), select, columns)


def query_dependencies(name: str) -> list[str]:
    """Source tables and assets that a query reads, sorted. Lineage is written in the SQL alone."""
    return sorted({match["table"] for match in _REFERENCE.finditer(read_query(name).select)})


@functools.cache
def _query_paths() -> dict[str, Path]:
    paths = [path for path in sorted(SQL_FOLDER.glob("*/*.sql")) if path.parent.name != _FUNCTION_FOLDER]
    return {path.stem: path for path in paths}


@functools.cache
def shared_functions() -> dict[str, str]:
    """Definitions under ``sql/functions/``, by name, in an order in which each can be created."""
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((SQL_FOLDER / _FUNCTION_FOLDER).glob("*.sql"))
    )
    written = {match[1]: match[0] for match in _FUNCTION.finditer(text)}
    return {"make_alias": make_alias_function(MAKE_ALIASES), **written}


def make_alias_function(path: Path) -> str:
    """``CREATE TEMP FUNCTION make_alias``: the make that an alias of the table at ``path`` means, else NULL.

    Args:
        path: CSV with columns alias, make and source.

    Raises:
        QueryError: a line has no such columns, a name that is not upper-case letters, digits and blanks, or an alias
            that another line has too.
    """
    cases: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            alias, make = row.get("alias") or "", row.get("make") or ""
            if not (_MAKE.fullmatch(alias) and _MAKE.fullmatch(make)) or alias in cases:
                raise QueryError(
                    f"{path} line {number}: {alias!r},{make!r} is not usable; expected an alias that no other line "
                    "has and a make, both of upper-case letters, digits, blanks and & + / -"
                )
            cases[alias] = make
    branches = "\n".join(f"    WHEN '{alias}' THEN '{make}'" for alias, make in cases.items())
    return f"CREATE TEMP FUNCTION make_alias(alias STRING) AS (\n  CASE alias\n{branches}\n  END\n);"


def called_functions(select: str) -> tuple[str, ...]:
    """Definitions of the functions that ``select`` calls, and of those that these call in turn."""
    definitions = shared_functions()
    called: set[str] = set()
    unread = [select]
    while unread:
        found = set(_CALL.findall(_COMMENT.sub("", unread.pop()))) & definitions.keys() - called
        called |= found
        unread += [definitions[name].partition(" AS (")[2] for name in found]
    return tuple(definition for name, definition in definitions.items() if name in called)
