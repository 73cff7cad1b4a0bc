"""The Cloud Storage emulator: a real server on loopback for the real client."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gcp_storage_emulator.server import create_server

BUCKET = "holley-emulated"


@dataclass(frozen=True)
class StorageEmulator:
    """A running emulator with one bucket.

    ``STORAGE_EMULATOR_HOST=emulator.url`` and ``HOLLEY_STORAGE_BUCKET=emulator.bucket`` point a run at it.
    """

    url: str
    bucket: str = BUCKET


@contextmanager
def running_storage() -> Iterator[StorageEmulator]:
    """Start the emulator on a free port with its objects in memory, and stop it at the end.

    Where it is less than Cloud Storage: it ignores preconditions on generations and knows no permissions.
    """
    for name in ("gcp_storage_emulator", "api", "api.object"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET) as server:
        yield StorageEmulator(f"http://127.0.0.1:{server._api._httpd.server_address[1]}")
