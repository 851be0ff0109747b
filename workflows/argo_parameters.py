"""What a user may set for a run on Kubernetes with Argo Workflows: the parameters of all engines, and its own."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from common.stage import Stage
from workflows.parameters import COMMON, GPU_SUFFIX, IMAGE_PREFIX, Parameter, option_parameters
from workflows.pipeline import STAGES, gpu_backends

_PROJECT = Path(__file__).parent.parent / "pyproject.toml"
_TOLERATIONS = '[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]'
_SIX_HOURS = 6 * 60 * 60  # chosen by hand: a two-hour recording at ten frames a second is through by then


def project_version() -> str:
    """The version of this checkout: the tag of its images."""
    return str(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"])


def memory_parameter(stage: Stage) -> Parameter:
    """How much memory a pod of a stage gets at its first attempt."""
    return Parameter(
        f"memory-{stage.name}",
        str(round(stage.resources.memory_gib * 1024)),
        "Memory of a pod at its first attempt; the second gets twice, the third three times as much. [MiB]",
        (stage.name,),
    )


def gpu_memory_parameter(stage: Stage) -> Parameter:
    """How much memory a pod of a stage gets at its first attempt with a backend that is made for a GPU."""
    return Parameter(
        f"gpu-memory-{stage.name}",
        str(round(stage.resources.gpu_memory_gib * 1024)),
        "The same with a backend that is made for a GPU; the machine's memory, not the GPU's. [MiB]",
        (stage.name,),
    )


def gpu_cpu_parameter(stage: Stage) -> Parameter:
    """How many cores a pod of a stage gets with a backend that is made for a GPU."""
    return Parameter(
        f"gpu-cpu-{stage.name}",
        str(stage.resources.gpu_cpus),
        "Cores of a pod with a backend that is made for a GPU: with fewer the GPU waits.",
        (stage.name,),
    )


def engine_parameters(stages: Sequence[Stage] = STAGES) -> tuple[Parameter, ...]:
    """What only a run on Kubernetes takes."""
    on_gpu = [stage for stage in stages if gpu_backends(stage)]
    gpu = tuple(stage.name for stage in on_gpu)
    cores = max(stage.resources.cpus for stage in stages)
    return (
        Parameter(
            "image-prefix", IMAGE_PREFIX, "What the names of the images begin with: registry.example/team/ghost-"
        ),
        Parameter("image-tag", project_version(), "Tag of the images."),
        Parameter(
            "gpu-image-tag",
            f"{project_version()}{GPU_SUFFIX}",
            "Tag of the images of pods with a backend that is made for a GPU: those with torch.",
            gpu,
        ),
        Parameter(
            "claim",
            "ghost-data",
            "Volume claim that is /data in every pod; none: no shared volume, recordings, results and weights on S3.",
        ),
        Parameter(
            "weights",
            "/data/weights",
            "Where the model files are: a folder of the shared volume, or s3://… (the only place with claim=none).",
        ),
        Parameter(
            "gpus", "1", "GPUs for each pod with a backend that is made for one, unless device is cpu; 0: none.", gpu
        ),
        Parameter("gpu-tolerations", _TOLERATIONS, "Taints of nodes that pods with a GPU accept: a JSON list.", gpu),
        Parameter("node-selector", "{}", "Labels that nodes of pods with a GPU must have: a JSON object.", gpu),
        Parameter("cpu", str(cores), "Cores of a pod, but for those of gpu-cpu-<stage>."),
        *(memory_parameter(stage) for stage in stages),
        *(gpu_cpu_parameter(stage) for stage in on_gpu),
        *(gpu_memory_parameter(stage) for stage in on_gpu),
        Parameter("retries", "2", "Further attempts of a pod that was killed, lost its node or met a passing failure."),
        Parameter("stage-deadline", str(_SIX_HOURS), "Longest time that a pod may take. [s]"),
    )


def argo_parameters(stages: Sequence[Stage] = STAGES) -> tuple[Parameter, ...]:
    """All parameters of the workflow, in the order in which they are shown."""
    return (*COMMON, *option_parameters(stages), *engine_parameters(stages))
