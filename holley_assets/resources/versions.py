"""Which packages and which code a run works with, so that two runs can be compared by them."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# Modules, queries, and the lists of names that both read.
_CODE = {".py", ".sql", ".csv"}


def versions() -> dict[str, str]:
    """Version of Python, of every installed package by name, and ``code``: a hash of the project's own sources."""
    return {
        "python": platform.python_version(),
        "code": code_hash(_PACKAGE),
        **_package_versions(),
    }


# A process imports each package once, so that what it works with does not change.
@functools.cache
def _package_versions() -> dict[str, str]:
    """Version of every installed package by name, in the order of names."""
    found = (distribution.metadata for distribution in metadata.distributions())
    return dict(sorted((about["Name"].lower().replace("_", "-"), about["Version"]) for about in found))


def code_hash(package: Path) -> str:
    """First 12 digits of the SHA-256 of names and contents of the package's modules, queries and lists.

    The queries lie beside the package in a checkout and inside it once it is installed; both give the same hash.
    """
    queries = next((folder for folder in (package / "sql", package.parent / "sql") if folder.is_dir()), None)
    inside = [path for path in package.rglob("*") if queries is None or not path.is_relative_to(queries)]
    files = {
        f"python/{path.relative_to(package).as_posix()}": path for path in inside if path.suffix in _CODE
    }
    if queries is not None:
        below = [path for path in queries.rglob("*") if path.suffix in _CODE]
        files |= {f"sql/{path.relative_to(queries).as_posix()}": path for path in below}
    digest = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]
