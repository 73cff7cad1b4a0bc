"""Where steps run and what each may use.

Dagster needs these when it loads the definitions, before any run: they are the only settings that are read
then, and none is a secret.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Gibibytes, Processors, Section


class ComputeSettings(Section):
    """Where steps run and what each may use."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "COMPUTE_")

    executor: Literal["multiprocess", "k8s"] = Field(
        "multiprocess", description="a step is a process of the run's machine, or a Kubernetes pod of its own"
    )
    steps_at_once: Processors = Field(
        2, description="steps of one run that run side by side and share the memory"
    )
    train_gpus: Annotated[int, Field(ge=0, le=64)] = Field(
        1, description="k8s: GPUs of the training step; 0 trains on the processors"
    )
    train_cpus: Processors = Field(8, description="k8s: processors of the training step")
    train_memory_gib: Gibibytes = Field(32, description="k8s: memory of the training step")
    score_cpus: Processors = Field(
        16, description="k8s: processors of the steps that embed and rank everybody"
    )
    score_memory_gib: Gibibytes = Field(
        32, description="k8s: memory of the steps that embed and rank everybody"
    )
    graph_cpus: Processors = Field(4, description="k8s: processors of the step that builds both graphs")
    graph_memory_gib: Gibibytes = Field(16, description="k8s: memory of the step that builds both graphs")
    step_cpus: Processors = Field(2, description="k8s: processors of every other step")
    step_memory_gib: Gibibytes = Field(8, description="k8s: memory of every other step")
