"""Long trainings keep their memory, and those that die leave a state from which the retry goes on."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gnn.small_world import make_graph, make_tables
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Epoch
from holley_assets.gnn.edge_training import EdgeTraining
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training import train
from holley_assets.gnn.training_options import EdgeOptions, TrainingOptions

MODEL = ModelOptions(embedding_dim=16, attention=AttentionOptions(hidden_dim=16, heads=2, part_type_dim=4))
EDGES = EdgeOptions(epochs=8, patience=8, batches=2)
# A few fits after the start, then eight epochs.
OPTIONS = TrainingOptions(loss="bce", strengths=(10.0,), edges=EDGES, validation_share=0.2)
# Epochs after which memory is compared with that of the last one: until then allocators still settle.
SETTLED, LAST = 20, 120
MEBIBYTE = 1024 * 1024


def resident_bytes() -> int:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(state_path: Path, last: int = LAST, leak: Callable[[], None] = lambda: None) -> int:
    """Resident memory that a training gains from epoch ``SETTLED`` to ``last``."""
    measured: dict[int, int] = {}

    def on_epoch(epoch: Epoch) -> None:
        leak()
        if epoch.epoch in (SETTLED, last):
            measured[epoch.epoch] = resident_bytes()

    graph = make_graph(make_tables(users=60, active=50)).data
    edges = replace(EDGES, epochs=last, patience=last)
    train(graph, MODEL, replace(OPTIONS, edges=edges), state_path=state_path, on_epoch=on_epoch)
    return measured[last] - measured[SETTLED]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc/self/statm, which Linux has")
@pytest.mark.parametrize(
    ("last", "leak"), [(LAST, False), (SETTLED + 20, True)], ids=["as it is", "with a leak that is planted"]
)
def test_memory_does_not_grow_over_a_hundred_epochs(tmp_path: Path, last: int, leak: bool) -> None:
    """In a process of its own: the memory of a test worker moves with whatever else its threads do."""
    script = f"""
        from pathlib import Path
        import torch
        from gnn.test_endurance import MEBIBYTE, growth
        kept = []
        planted = (lambda: kept.append(torch.ones(MEBIBYTE // 4))) if {leak} else (lambda: None)
        print(growth(Path({str(tmp_path / "state.pt")!r}), {last}, planted))
    """
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=_environment() | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
    ).stdout
    grown = int(output.splitlines()[-1])
    if leak:
        assert grown > 16 * MEBIBYTE, "a mebibyte an epoch is seen"
    else:
        assert grown < 8 * MEBIBYTE


def _environment() -> dict[str, str]:
    """Of a process that finds the tests and computes with as many threads as this one."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, ["tests", *sys.path])),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory"), torch.OutOfMemoryError("CUDA")],
    ids=lambda error: type(error).__name__,
)
def test_a_training_that_runs_out_of_memory_goes_on_where_it_was(
    graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    unbroken = train(graph, MODEL, OPTIONS)
    compute = EdgeTraining.epoch
    calls: list[EdgeTraining] = []

    def fail_in_the_middle_of_an_epoch(self: EdgeTraining) -> float:
        calls.append(self)
        if len(calls) == 3:
            self.model.zero_grad()
            next(self.model.parameters()).data.add_(1.0)
            raise error
        return compute(self)

    state = tmp_path / "state.pt"
    with monkeypatch.context() as patched:
        patched.setattr(EdgeTraining, "epoch", fail_in_the_middle_of_an_epoch)
        with pytest.raises(type(error)):
            train(graph, MODEL, OPTIONS, state_path=state)
    assert state.is_file()
    seen: list[EdgeTraining] = []
    monkeypatch.setattr(EdgeTraining, "epoch", _noting(compute, seen))
    resumed = train(graph, MODEL, OPTIONS, state_path=state)
    assert len(seen) == EDGES.epochs - 2, "epochs that were done are not done again"
    assert resumed.checkpoint.fingerprint == unbroken.checkpoint.fingerprint
    assert not state.exists()


def _noting(
    epoch: Callable[[EdgeTraining], float], seen: list[EdgeTraining]
) -> Callable[[EdgeTraining], float]:
    def noted(self: EdgeTraining) -> float:
        seen.append(self)
        return epoch(self)

    return noted


@pytest.mark.parametrize("fit", [5, 10])
def test_a_training_killed_by_the_system_goes_on_where_it_was(tmp_path: Path, fit: int) -> None:
    """SIGKILL, which the out-of-memory killer sends, at whatever the process is doing then."""
    state = tmp_path / "state.pt"
    script = f"""
        from pathlib import Path
        from gnn.small_world import make_graph, make_tables
        from gnn.test_endurance import MODEL, OPTIONS
        from holley_assets.gnn.training import train
        graph = make_graph(make_tables(users=60, active=50)).data
        train(graph, MODEL, OPTIONS, state_path=Path({str(state)!r}),
              on_epoch=lambda epoch: print(epoch.epoch, flush=True))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdout is not None, "it is piped"
        for line in process.stdout:
            if int(line) == fit:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert state.is_file()

    graph = make_graph(make_tables(users=60, active=50)).data
    seen: list[Epoch] = []
    resumed = train(graph, MODEL, OPTIONS, state_path=state, on_epoch=seen.append)
    unbroken = train(graph, MODEL, OPTIONS)
    assert resumed.checkpoint.fingerprint == unbroken.checkpoint.fingerprint
    assert [epoch.epoch for epoch in seen] == list(range(len(unbroken.history)))
    assert sum(epoch.stage == "attention" for epoch in seen) == EDGES.epochs
