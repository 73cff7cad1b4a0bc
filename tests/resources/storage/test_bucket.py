"""Files in a bucket: whole or absent, verified, and one line when Cloud Storage says no."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from faulty_proxy import Fault, FaultyProxy, proxy_to
from storage_emulator import BUCKET, StorageEmulator

from holley_assets.core.materialized import Materialized
from holley_assets.resources.io_manager import ParquetIOManager
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage import bucket as bucket_store
from holley_assets.resources.storage.artifacts import ArtifactError, ArtifactStore
from holley_assets.resources.storage.bucket import BucketStore
from holley_assets.resources.storage.interface import FileStore, FolderStore, StorageError


@pytest.fixture
def proxy(storage_emulator: StorageEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    with proxy_to(storage_emulator.url) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    """A folder in the bucket for this test alone."""
    return str(request.node.name).replace("[", "/").rstrip("]")


@pytest.fixture
def store(proxy: FaultyProxy, folder: str, tmp_path: Path) -> BucketStore:
    return BucketStore(BUCKET, folder, tmp_path / "here", retry_seconds=5)


@pytest.fixture
def elsewhere(proxy: FaultyProxy, folder: str, tmp_path: Path) -> BucketStore:
    """The same folder, seen from another machine."""
    return BucketStore(BUCKET, folder, tmp_path / "elsewhere", retry_seconds=5)


def publish(store: FileStore, text: str, key: str = "assets/parts.parquet") -> None:
    staged = store.staging_path(key)
    staged.write_text(text)
    store.publish(staged, key)


def test_what_one_machine_publishes_another_reads(store: BucketStore, elsewhere: BucketStore) -> None:
    publish(store, "first")
    assert elsewhere.local_path("assets/parts.parquet").read_text() == "first"
    publish(store, "second")
    path = elsewhere.local_path("assets/parts.parquet")
    assert (path.read_text(), path.name) == ("second", "parts.parquet")
    assert store.location("assets/parts.parquet").startswith(f"gs://{BUCKET}/")


def test_a_file_is_fetched_once_a_generation(
    store: BucketStore, elsewhere: BucketStore, proxy: FaultyProxy
) -> None:
    publish(store, "content")
    first = elsewhere.local_path("assets/parts.parquet")
    proxy.requests.clear()
    assert elsewhere.local_path("assets/parts.parquet") == first
    assert store.local_path("assets/parts.parquet").read_text() == "content", "the writer has it already"
    assert not [request for request in proxy.requests if "alt=media" in request.path]
    publish(store, "newer")
    assert elsewhere.local_path("assets/parts.parquet").read_text() == "newer"
    assert not first.exists(), "a generation that is gone does not fill the disk"


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_keys_are_listed_and_deleted_alike(kind: str, store: BucketStore, tmp_path: Path) -> None:
    files: FileStore = store if kind == "bucket" else FolderStore(tmp_path / "folder")
    for key in ("tracking/pending/2.json", "tracking/pending/1.json", "tracking/refused/0.json"):
        publish(files, "x", key)
    assert files.keys("tracking/pending/") == ["tracking/pending/1.json", "tracking/pending/2.json"]
    for _ in range(2):
        files.delete("tracking/pending/1.json")
    assert files.keys("tracking/pending/") == ["tracking/pending/2.json"]
    assert files.keys("nothing/") == []


@pytest.mark.parametrize("kind", ["folder", "bucket"])
@pytest.mark.parametrize("name", ["model.pt", "serving_heterodata.pt", "eval_report.json"])
def test_the_files_of_one_name_of_all_runs_lie_in_one_folder(
    kind: str, name: str, store: BucketStore, tmp_path: Path
) -> None:
    files: FileStore = store if kind == "bucket" else FolderStore(tmp_path / "folder")
    for run in ("run-1", "run-2"):
        ArtifactStore(files, run).publish_text("x", name)
    folder = files.artifact_folder(name)
    assert folder.endswith("/")
    assert files.keys(folder) == [f"{folder}{run}/{name}" for run in ("run-1", "run-2")]


def test_artifacts_lie_where_the_plan_says(store: BucketStore, elsewhere: BucketStore, folder: str) -> None:
    artifacts = ArtifactStore(store, "run-1")
    names = ("model.pt", "heterodata.pt", "eval_report.html")
    references = {name: artifacts.publish_text(f"content of {name}", name) for name in names}
    assert [store.location(reference.path) for reference in references.values()] == [
        f"gs://{BUCKET}/{folder}/checkpoints/run-1/model.pt",
        f"gs://{BUCKET}/{folder}/data/run-1/heterodata.pt",
        f"gs://{BUCKET}/{folder}/reports/run-1/eval_report.html",
    ]
    for name, reference in references.items():
        assert ArtifactStore(elsewhere, "run-2").locate(reference).read_text() == f"content of {name}"


def test_another_files_bytes_are_refused(store: BucketStore, elsewhere: BucketStore) -> None:
    """Replaced by hand: without the checksum in its metadata, or with another than the reference's."""
    reference = ArtifactStore(store, "run-1").publish_text("weights", "model.pt")
    blob = store._bucket().blob(store._name(reference.path))
    blob.upload_from_string("other weights")
    with pytest.raises(StorageError, match="is not what was written"):
        elsewhere.local_path(reference.path)
    publish(store, "other weights", reference.path)
    with pytest.raises(ArtifactError, match="is not the file that run run-1 wrote"):
        ArtifactStore(elsewhere, "run-2").locate(reference)


def test_a_truncated_upload_leaves_the_old_file(
    store: BucketStore, elsewhere: BucketStore, proxy: FaultyProxy
) -> None:
    publish(store, "the old file, whole")
    marker = b"the new file"

    def cut(body: bytes) -> bytes:
        start = body.index(marker)
        return body[: start + 4] + body[start + len(marker) :]

    proxy.judge = lambda request: Fault(body=cut) if marker in request.body else None
    with pytest.raises(StorageError, match="damaged on its way"):
        publish(store, "the new file, whole")
    proxy.judge = lambda request: None
    assert elsewhere.local_path("assets/parts.parquet").read_text() == "the old file, whole"


def test_a_large_upload_that_breaks_off_leaves_the_old_file_and_nothing_in_memory(
    store: BucketStore, elsewhere: BucketStore, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_store, "_CHUNK_BYTES", 256 << 10)
    publish(store, "old")
    size = 12 << 20
    staged = store.staging_path("assets/parts.parquet")
    with staged.open("wb") as file:
        file.truncate(size)
    pieces = iter(range(1000))
    proxy.judge = lambda request: Fault(drop=request.method == "PUT" and next(pieces) > 3)
    tracemalloc.start()
    with pytest.raises(StorageError, match="cannot be reached"):
        store.publish(staged, "assets/parts.parquet")
    # Proxy and emulator share the process and hold the few pieces that arrived.
    assert tracemalloc.get_traced_memory()[1] < size / 2
    tracemalloc.stop()
    assert elsewhere.local_path("assets/parts.parquet").read_text() == "old"

    proxy.judge = lambda request: None
    store.publish(staged, "assets/parts.parquet")
    assert elsewhere.local_path("assets/parts.parquet").stat().st_size == size


def test_a_damaged_download_is_refused_and_fetched_again(
    store: BucketStore, elsewhere: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "content")
    with monkeypatch.context() as damaged:
        damaged.setattr(bucket_store, "checksum", lambda path: "0" * 64)
        with pytest.raises(StorageError, match="its SHA-256 is 000"):
            elsewhere.local_path("assets/parts.parquet")
    assert elsewhere.local_path("assets/parts.parquet").read_text() == "content"


def test_too_many_requests_are_sent_again_later(
    store: BucketStore, elsewhere: BucketStore, proxy: FaultyProxy
) -> None:
    proxy.fail_first(1, Fault(status=429))
    publish(store, "content")
    proxy.fail_first(1, Fault(status=503))
    assert elsewhere.local_path("assets/parts.parquet").read_text() == "content"


@pytest.mark.parametrize(
    ("status", "words"), [(403, "is forbidden: grant roles/storage"), (429, "cannot be reached: ")]
)
def test_a_refusal_is_one_line(
    status: int, words: str, proxy: FaultyProxy, folder: str, tmp_path: Path
) -> None:
    store = BucketStore(BUCKET, folder, tmp_path, retry_seconds=1)
    proxy.judge = lambda request: Fault(status=status)
    for action in (
        lambda: publish(store, "content"),
        lambda: store.local_path("assets/parts.parquet"),
        lambda: store.keys("assets/"),
    ):
        with pytest.raises(StorageError, match=words) as refused:
            action()
        assert "\n" not in str(refused.value) and "gs://" in str(refused.value)


def test_what_is_not_there_says_what_to_do(store: BucketStore, proxy: FaultyProxy, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"does not exist: materialize it first, or correct HOLLEY"):
        store.local_path("assets/parts.parquet")
    with pytest.raises(FileNotFoundError, match=r"gs://no-such-bucket/gnn/assets/parts\.parquet"):
        publish(BucketStore("no-such-bucket", "gnn", tmp_path, retry_seconds=5), "content")


def test_without_credentials_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    # No metadata server is asked for: a machine outside Google Cloud has none.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    store = BucketStore("bucket", "gnn", tmp_path, retry_seconds=1)
    with pytest.raises(StorageError, match="default credentials were not found") as refused:
        store.local_path("assets/parts.parquet")
    assert "\n" not in str(refused.value)


@pytest.fixture
def production(
    proxy: FaultyProxy, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SettingsResource:
    """Settings of a step in production, on a machine with a scratch folder of its own."""
    values = {
        "HOLLEY_DATA_DIR": str(tmp_path / "scratch"),
        "HOLLEY_ENV": "prod",
        "HOLLEY_STORAGE_BUCKET": BUCKET,
        "HOLLEY_STORAGE_FOLDER": folder,
        "HOLLEY_MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        "HOLLEY_BIGQUERY_PROJECT": "holley-emulated",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return SettingsResource()


def test_a_laptop_writes_to_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    assert isinstance(SettingsResource().store(), FolderStore)


def test_settings_are_frozen_in_the_bucket(production: SettingsResource, folder: str) -> None:
    resource = production
    assert resource.store().location("assets/x.parquet") == f"gs://{BUCKET}/{folder}/assets/x.parquet"
    where = resource.freeze(resource.load(), "run-1")
    assert where == f"gs://{BUCKET}/{folder}/runs/run-1/settings.json"
    assert resource.of_run(dg.DagsterRun(job_name="weekly_retrain", run_id="run-1")).run.env == "prod"


def test_parquet_goes_from_asset_to_asset_through_the_bucket(
    production: SettingsResource, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[pa.Table] = []

    @dg.asset
    def cars() -> Materialized:
        return dg.MaterializeResult(value=pa.table({"make": ["FORD"], "year": [1969]}))

    @dg.asset
    def years(cars: pa.Table) -> Materialized:
        received.append(cars)
        return dg.MaterializeResult(value=cars.select(["year"]))

    resources = {"io_manager": ParquetIOManager(settings=production)}
    first = dg.materialize([cars, years], resources=resources, selection=[cars])
    # The next step is a pod of its own.
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path / "another machine"))
    assert dg.materialize([cars, years], resources=resources, selection=[years]).success
    assert received[0].to_pylist() == [{"make": "FORD", "year": 1969}]
    metadata = first.asset_materializations_for_node("cars")[0].metadata
    assert metadata["path"].value == f"gs://{BUCKET}/{folder}/assets/cars.parquet"
