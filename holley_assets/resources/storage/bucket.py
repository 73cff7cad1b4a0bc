"""Files in a Cloud Storage bucket, for steps that run on machines of their own."""

from __future__ import annotations

import base64
import contextlib
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from holley_assets.resources.storage.interface import StorageError, checksum

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Bucket

SHA256 = "sha256"
# Larger files are sent in pieces of this size, so that no file is held in memory.
_CHUNK_BYTES = 8 << 20
_TIMEOUT_SECONDS = 60.0
# Folder of each kind of file that is no table; everything else is part of a report.
_ARTIFACT_FOLDERS = {
    "model.pt": "checkpoints",
    "heterodata.pt": "data",
    "serving_heterodata.pt": "data",
}


class BucketStore:
    """A :class:`~holley_assets.resources.storage.interface.FileStore` in a bucket.

    An object appears whole or not at all, and replaces the one before it in one step: so Cloud Storage
    promises. It is told the CRC32C of the bytes beforehand and takes no others; a SHA-256 in the object's
    metadata is verified whenever a file is fetched.

    Requests that may be sent again are sent again with growing pauses. An upload of the same bytes twice does no
    harm, so that it needs no precondition on the object's generation.

    Args:
        bucket: name of the bucket.
        folder: folder in the bucket that all keys are below.
        scratch: local folder for files under way; it holds fetched files too and may be emptied at any time.
        retry_seconds: how long a request is sent again.
    """

    is_remote: ClassVar[bool] = True

    def __init__(self, bucket: str, folder: str, scratch: Path, retry_seconds: float) -> None:
        self._bucket_name = bucket
        self._folder = folder
        self._scratch = scratch
        self._retry_seconds = retry_seconds
        self._opened: Bucket | None = None
        scratch.mkdir(parents=True, exist_ok=True)

    def staging_path(self, key: str) -> Path:
        target = self._scratch / "staging" / str(os.getpid()) / key
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def publish(self, staged: Path, key: str) -> None:
        blob = self._bucket().blob(self._name(key), chunk_size=_CHUNK_BYTES)
        blob.metadata = {SHA256: checksum(staged)}
        with self._as_storage_errors(key):
            blob.upload_from_filename(
                str(staged),
                checksum="crc32c",
                crc32c_checksum_value=_crc32c(staged),
                timeout=_TIMEOUT_SECONDS,
                retry=self._retry(),
            )
        # What was just sent need not be fetched.
        cached = self._cached(key, blob)
        cached.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(cached)
        self._forget_earlier(key, cached)

    def local_path(self, key: str) -> Path:
        blob = self._existing(key)
        cached = self._cached(key, blob)
        if not cached.is_file():
            self._fetch(key, blob, cached)
        return cached

    def keys(self, prefix: str) -> list[str]:
        root = self._name("")
        with self._as_storage_errors(prefix):
            blobs = self._bucket().list_blobs(
                prefix=self._name(prefix), timeout=_TIMEOUT_SECONDS, retry=self._retry()
            )
            return sorted(blob.name.removeprefix(root) for blob in blobs)

    def delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._as_storage_errors(key):
            self._bucket().blob(self._name(key)).delete(timeout=_TIMEOUT_SECONDS, retry=self._retry())

    def location(self, key: str) -> str:
        return f"gs://{self._bucket_name}/{self._name(key)}"

    def artifact_folder(self, name: str) -> str:
        return f"{_ARTIFACT_FOLDERS.get(name, 'reports')}/"

    def artifact_key(self, run_id: str, name: str) -> str:
        return f"{self.artifact_folder(name)}{run_id}/{name}"

    def _existing(self, key: str) -> Blob:
        """The object behind ``key`` as it is now."""
        blob = self._bucket().blob(self._name(key))
        with self._as_storage_errors(key):
            blob.reload(timeout=_TIMEOUT_SECONDS, retry=self._retry())
        return blob

    def _fetch(self, key: str, blob: Blob, target: Path) -> None:
        """Download one generation of an object, and let it appear at ``target`` once it is seen to be whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with self._as_storage_errors(key):
                blob.download_to_filename(
                    str(partial), checksum="crc32c", timeout=_TIMEOUT_SECONDS, retry=self._retry()
                )
            found, expected = checksum(partial), (blob.metadata or {}).get(SHA256)
            if found != expected:
                raise StorageError(
                    f"{self.location(key)} is not what was written: its SHA-256 is {found}, "
                    f"expected {expected or 'one in its metadata'}; write it again"
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        self._forget_earlier(key, target)

    def _cached(self, key: str, blob: Blob) -> Path:
        # The folder changes with the object and the name does not: readers go by it.
        return self._scratch / "cache" / str(blob.generation) / key

    def _forget_earlier(self, key: str, kept: Path) -> None:
        for path in (self._scratch / "cache").glob(f"*/{glob.escape(key)}"):
            if path != kept:
                path.unlink(missing_ok=True)

    def _name(self, key: str) -> str:
        return f"{self._folder}/{key}"

    def _retry(self) -> Retry:
        from google.cloud.storage.retry import DEFAULT_RETRY

        retry: Retry = DEFAULT_RETRY.with_timeout(self._retry_seconds)
        return retry

    def _bucket(self) -> Bucket:
        """The bucket, by Application Default Credentials; ``STORAGE_EMULATOR_HOST`` needs none."""
        if self._opened is None:
            from google.cloud import storage

            with self._as_storage_errors(""):
                self._opened = storage.Client().bucket(self._bucket_name)
        return self._opened

    @contextlib.contextmanager
    def _as_storage_errors(self, key: str) -> Iterator[None]:
        """Turn what the client raises into one line.

        Raises:
            FileNotFoundError: there is no such object, or no such bucket.
            StorageError: anything else that Cloud Storage or the way to it objects to.
        """
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests import RequestException

        where = self.location(key)
        try:
            yield
        except exceptions.NotFound:
            raise FileNotFoundError(
                f"{where} does not exist: materialize it first, or correct HOLLEY_STORAGE_BUCKET"
            ) from None
        except exceptions.Forbidden as error:
            raise StorageError(
                f"{where} is forbidden: grant roles/storage.objectUser on the bucket ({_line(error)})"
            ) from error
        except (DataCorruption, exceptions.BadRequest) as error:
            raise StorageError(f"{where} was damaged on its way: {_line(error)}") from error
        except (exceptions.GoogleAPIError, InvalidResponse, GoogleAuthError, RequestException) as error:
            raise StorageError(f"{where} cannot be reached: {_line(error)}") from error


def _crc32c(path: Path) -> str:
    """CRC32C of a file as Cloud Storage writes it: big-endian, base64."""
    import google_crc32c

    value = google_crc32c.Checksum()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            value.update(piece)
    return base64.b64encode(value.digest()).decode("ascii")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
