"""What a step asks of Kubernetes, as the tags that ``k8s_job_executor`` reads.

Memory is limited to what is asked for, since a step that needs more should end and not its neighbours.
Processors are asked for and not limited: a step may use what nobody else does. ``OMP_NUM_THREADS`` tells
PyTorch and BLAS how many those are, who would count those of the whole node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from holley_assets.settings import ComputeSettings, load_section

KUBERNETES_TAG = "dagster-k8s/config"
GPU_RESOURCE = "nvidia.com/gpu"

Heavy = Literal["train", "score", "graph"]


def heavy_step(kind: Heavy) -> Mapping[str, Any]:
    """``op_tags`` of a step that needs more than others; the ``multiprocess`` executor ignores them.

    Raises:
        SettingsError: a ``HOLLEY_COMPUTE_`` variable is wrong; one line.
    """
    compute = load_section(ComputeSettings)
    cpus, memory, gpus = {
        "train": (compute.train_cpus, compute.train_memory_gib, compute.train_gpus),
        "score": (compute.score_cpus, compute.score_memory_gib, 0),
        "graph": (compute.graph_cpus, compute.graph_memory_gib, 0),
    }[kind]
    container = container_resources(cpus, memory, gpus)
    return {
        KUBERNETES_TAG: {
            "container_config": {**container, "env": [{"name": "OMP_NUM_THREADS", "value": str(cpus)}]}
        }
    }


def container_resources(cpus: int, memory_gib: int, gpus: int = 0) -> dict[str, Any]:
    """``resources`` of a container."""
    memory = {"memory": f"{memory_gib}Gi"}
    limits = {**memory, GPU_RESOURCE: str(gpus)} if gpus else memory
    return {"resources": {"requests": {"cpu": str(cpus), **memory}, "limits": limits}}
