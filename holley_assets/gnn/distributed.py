"""One training by several processes: one a GPU, on this machine or on several.

:func:`train_in_processes` starts them on this machine. On several machines ``torchrun`` starts the same module,
with the same files in reach of each::

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29400 \\
        -m holley_assets.gnn.distributed --graph heterodata.pt --options options.json --output model.pt

Every process computes the message passing of the whole graph; they share the terms of the loss.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing.errors import record

from holley_assets.gnn.checkpoint import Checkpoint, Epoch, options_of
from holley_assets.gnn.demand import FitOptions
from holley_assets.gnn.graph import load_graph
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.process_group import ProcessGroup
from holley_assets.gnn.sampling import NegativeOptions
from holley_assets.gnn.training import TrainingResult, train
from holley_assets.gnn.training_options import EdgeOptions, TrainingOptions

WORKER_MODULE = "holley_assets.gnn.distributed"
# How the first process tells of an epoch, among whatever else is printed.
EPOCH_PREFIX = "epoch "


class DistributedTrainingError(RuntimeError):
    """A process of the training failed; the message is one line."""


def train_in_processes(
    graph: Path,
    model_options: ModelOptions,
    options: TrainingOptions,
    *,
    processes: int,
    state_path: Path | None = None,
    warm_start: Checkpoint | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainingResult:
    """Train on the graph at ``graph`` as :func:`holley_assets.gnn.training.train` does, in ``processes`` processes.

    Give each process a GPU or its share of the processors (``OMP_NUM_THREADS``).

    Raises:
        DistributedTrainingError: a process failed, in its own words; or there are too few GPUs.
    """
    if options.device.startswith("cuda") and (gpus := torch.cuda.device_count()) < processes:
        raise DistributedTrainingError(
            f"training in {processes} processes needs as many GPUs; here are {gpus}"
        )
    with TemporaryDirectory() as folder:
        options_path, output = Path(folder) / "options.json", Path(folder) / "model.pt"
        options_path.write_text(options_to_json(model_options, options), encoding="utf-8")
        # torchrun by its module name: the program need not be on the path.
        command = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(processes), "-m", WORKER_MODULE),
            *("--graph", str(graph), "--options", str(options_path), "--output", str(output)),
        ]
        if state_path is not None:
            command += ["--state", str(state_path)]
        if warm_start is not None:
            warm_start.save(Path(folder) / "warm_start.pt")
            command += ["--warm-start", str(Path(folder) / "warm_start.pt")]
        error_path = Path(folder) / "error.json"
        if _run(command, error_path, on_epoch):
            raise DistributedTrainingError(f"training in {processes} processes: {_first_error(error_path)}")
        checkpoint = Checkpoint.load(output)
        how = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    history = [Epoch(**epoch) for epoch in checkpoint.history]
    return TrainingResult(checkpoint, history, how["stopped_early"], how["warm_start_weights"])


def _run(command: list[str], error_path: Path, on_epoch: Callable[[Epoch], None] | None) -> int:
    """Run ``torchrun``, report epochs as they end, and return its exit status."""
    environment = {**os.environ, "TORCHELASTIC_ERROR_FILE": str(error_path)}
    # Epochs come through a pipe: where this process is killed, the first one of the training cannot tell of the
    # next epoch and ends, so that none goes on beside the training that is started again.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as launcher:
        try:
            for line in launcher.stdout or ():
                if not line.startswith(EPOCH_PREFIX):
                    print(line, end="", flush=True)
                elif on_epoch is not None:
                    on_epoch(Epoch(**json.loads(line.removeprefix(EPOCH_PREFIX))))
        except BaseException:
            launcher.terminate()
            raise
    return launcher.returncode


def _first_error(path: Path) -> str:
    """What the process that failed first says of it, in one line."""
    if not path.exists():
        return "one was killed, perhaps for want of memory; the log of the step tells which"
    lines = json.loads(path.read_text(encoding="utf-8"))["message"]["message"].splitlines()
    return str(lines[0])


def options_to_json(model_options: ModelOptions, options: TrainingOptions) -> str:
    """Both options as the processes read them."""
    return json.dumps({"model": asdict(model_options), "training": asdict(options)})


def options_from_json(text: str) -> tuple[ModelOptions, TrainingOptions]:
    """Inverse of :func:`options_to_json`."""
    values = json.loads(text)
    training = values["training"]
    edges = training["edges"]
    return options_of(values["model"]), TrainingOptions(
        **{
            **training,
            "strengths": tuple(training["strengths"]),
            "fit": FitOptions(**training["fit"]),
            "edges": EdgeOptions(**{**edges, "negatives": NegativeOptions(**edges["negatives"])}),
        }
    )


def _print_epoch(epoch: Epoch) -> None:
    print(f"{EPOCH_PREFIX}{json.dumps(epoch._asdict())}", flush=True)


@record
def main() -> None:
    """What each process does. ``torchrun`` tells it its place by environment variables, and what it failed with."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--graph", type=Path, required=True, help="heterodata.pt of a run")
    parser.add_argument("--options", type=Path, required=True, help="options of the network and the training")
    parser.add_argument("--output", type=Path, required=True, help="model.pt to write, by the first process")
    parser.add_argument("--state", type=Path, help="where an unfinished training is kept and found")
    parser.add_argument("--warm-start", type=Path, help="model.pt whose weights training starts from")
    chosen = parser.parse_args()
    model_options, options = options_from_json(chosen.options.read_text(encoding="utf-8"))
    if options.device.startswith("cuda"):
        options = replace(options, device=f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(options.device)
    distributed.init_process_group("nccl" if options.device.startswith("cuda") else "gloo")
    try:
        group = ProcessGroup.current()
        result = train(
            load_graph(chosen.graph),
            model_options,
            options,
            state_path=chosen.state,
            warm_start=Checkpoint.load(chosen.warm_start) if chosen.warm_start else None,
            on_epoch=_print_epoch,
            group=group,
        )
        if group.is_first:
            result.checkpoint.save(chosen.output)
            how = {"stopped_early": result.stopped_early, "warm_start_weights": result.warm_start_weights}
            chosen.output.with_suffix(".json").write_text(json.dumps(how), encoding="utf-8")
    finally:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
