"""The checkpoint that made a model version, among those of the runs in a data folder."""

from __future__ import annotations

from holley_assets.console.errors import ConsoleError
from holley_assets.console.run_files import RunFiles
from holley_assets.gnn.checkpoint import Checkpoint


def checkpoint_of(files: RunFiles, model_version: str) -> Checkpoint:
    """The weights whose hash is in ``model_version``: of the newest training, or of an earlier one.

    Raises:
        ConsoleError: they are gone.
    """
    trained = files.table("trained_checkpoint", ["path"])["path"].to_pylist()
    others = sorted((files.folder / "runs").glob("*/model.pt"), key=lambda path: -path.stat().st_mtime)
    for path in dict.fromkeys([*(files.folder / name for name in trained), *others]):
        if path.exists():
            checkpoint = Checkpoint.load(path)
            if model_version.endswith(f"-{checkpoint.fingerprint[:12]}"):
                return checkpoint
    raise ConsoleError(
        f"The weights of model {model_version} are no longer under {files.folder / 'runs'}: "
        "run weekly_retrain again, or restore the folder of the run that trained it"
    )
