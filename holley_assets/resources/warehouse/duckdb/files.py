"""Files and folders as DuckDB is told of them: a path is the name of one file and never a pattern."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# What DuckDB takes for a pattern. In brackets a character stands for itself.
_SPECIAL = "*?["


class PathError(ValueError):
    """DuckDB cannot be told of a file. The message is one line that names it."""


def quote(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def exact_pattern(path: Path) -> str:
    """The pattern that ``path`` alone matches.

    Raises:
        PathError: there is none. DuckDB parts a pattern at each backslash, and takes names in UTF-8 alone.
    """
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PathError(f"{text!r}: the name of a file or folder is not UTF-8; rename it") from None
    if not any(character in _SPECIAL for character in text):
        return text
    if "\\" in text:
        raise PathError(f"{text!r}: a path with a backslash may hold none of {' '.join(_SPECIAL)}; rename it")
    return "".join(f"[{character}]" if character in _SPECIAL else character for character in text)


def parquet_relation(files: Iterable[Path], *, union_by_name: bool = False) -> str:
    """What stands behind FROM to read exactly these Parquet files, and of them exactly their own columns.

    Folders called ``order_date=2020-01-01`` would otherwise add a column, or take the place of the file's own.

    Raises:
        PathError: DuckDB cannot be told of a file.
    """
    listed = ", ".join(quote(exact_pattern(file)) for file in files)
    by_name = ", union_by_name = true" if union_by_name else ""
    return f"read_parquet([{listed}], hive_partitioning = false{by_name})"


def part_files(path: Path) -> list[Path]:
    """The Parquet files behind ``path``, a file or a folder of part files, sorted; ``[]`` if there is none.

    Symbolic links are followed. A file or folder that several names lead to is read once. A link that leads nowhere
    is listed all the same: whoever opens it finds that a part is missing.

    Raises:
        OSError: a folder cannot be listed.
    """
    if not path.is_dir():
        return [path] if path.is_file() else []
    found: dict[str, Path] = {}
    for part in sorted(_walk(path)):
        found.setdefault(os.path.realpath(part), part)
    return list(found.values())


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        # Writers leave hidden files and folders beside their parts.
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for name in files:
            part = Path(root, name)
            if (
                name[0] not in "._"
                and part.suffix.lower() == ".parquet"
                and (part.is_file() or part.is_symlink())
            ):
                yield part
