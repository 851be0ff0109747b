"""What this machine has to offer to a local run: cores, memory, GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.device_names import cuda_index
from common.errors import UsageError
from common.gpus import VARIABLE
from common.stage import Stage
from workflows.pipeline import gpu_backends
from workflows.units import stage_options

_THREADS = "OMP_NUM_THREADS"  # what torch goes by


def usable_cores() -> int:
    """Cores that this process may use: a scheduler may have given it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float:
    """Memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)


def unit_memory_gib(stage: Stage, options: Mapping[str, Any]) -> float:
    """Memory that one unit of a stage declares to need with these options of a run."""
    return stage.resources.gpu_memory_gib if made_for_gpu(stage, options) else stage.resources.memory_gib


def made_for_gpu(stage: Stage, options: Mapping[str, Any]) -> bool:
    """Whether the backend that a stage has with these options of a run is made for a GPU, wherever it is run."""
    return getattr(stage.make_options(stage_options(stage, options)), "backend", None) in gpu_backends(stage)


def default_jobs(
    stages: Sequence[Stage], options: Mapping[str, Any], *, cores: int, gib: float, gpus: Sequence[str] = ()
) -> int:
    """Processes at once: one per core, unless the memory that stages declare does not suffice for that many.

    A GPU that units work on counts as a process with memory and several cores of its own set aside. On what is left,
    and be it nothing, there is always room for one process beside: it makes what the next units on GPUs need.
    """
    places = {stage: gpus_of(stage, options, gpus) for stage in stages}
    on_gpu = [stage for stage in stages if places[stage]]
    largest = max((unit_memory_gib(stage, options) for stage in on_gpu), default=0.0)
    used = len({gpu for stage in on_gpu for gpu in places[stage]})
    busy = max(1, min(used, int(gib / largest))) if on_gpu else 0
    spare = cores - busy * max((stage.resources.gpu_cpus for stage in on_gpu), default=0)
    others = [unit_memory_gib(stage, options) for stage in stages if stage not in on_gpu]
    room = int((gib - busy * largest) / max(others, default=1.0))
    return max(1, busy + min(room, max(1, spare)))


def gpus_of(stage: Stage, options: Mapping[str, Any], gpus: Sequence[str]) -> tuple[str, ...]:
    """Those of the GPUs on which units of a stage may work: all, or the one that --device cuda:N names; often none."""
    chosen = stage.make_options(stage_options(stage, options))
    if not stage.uses_gpu(chosen):
        return ()
    index = cuda_index(str(getattr(chosen, "device", "auto")))
    return tuple(gpus) if index is None else tuple(gpus[index : index + 1])


def may_use_gpus(stages: Sequence[Stage], options: Mapping[str, Any]) -> bool:
    """Whether a unit of the run would work on a GPU if there were one."""
    return any(stage.uses_gpu(stage.make_options(stage_options(stage, options))) for stage in stages)


def model_threads(*, cores: int, jobs: int) -> dict[str, str]:
    """Variables that give a unit the cores which no other process keeps busy, for models made for a GPU on the CPU.

    There memory allows few of them at once. What the user has said about threads stands.
    """
    if _THREADS in os.environ:
        return {}
    return {_THREADS: str(max(1, cores // jobs))}


def choose_gpus(wanted: int | None, found: Sequence[str]) -> tuple[str, ...]:
    """The GPUs that a run uses: all that were found, or as many as are wanted.

    Raises:
        UsageError: there are not that many.
    """
    if wanted is not None and wanted > len(found):
        seen = f"{len(found)} can be seen" if found else "none can be seen"
        raise UsageError(f"--gpus {wanted}: {seen} here. See with nvidia-smi and {VARIABLE} which there are.")
    return tuple(found[:wanted])


@dataclass(frozen=True)
class Place:
    """Where a unit's models run.

    Attributes:
        gpu: what it has for itself while it runs; "" if it shares all that it uses.
        environment: variables of its process.
    """

    gpu: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class GpuPlaces:
    """Gives each unit that works on a GPU one of its own.

    Attributes:
        gpus: their names, from `common.gpus`.
        on_cpu: variables for a unit whose backend is made for a GPU and that gets none.
    """

    gpus: Sequence[str]
    on_cpu: Mapping[str, str] = field(default_factory=dict)
    _taken: dict[int, str] = field(default_factory=dict)

    def take(self, unit: int, stage: Stage, options: Mapping[str, Any]) -> Place | None:
        """A place for a unit; None if it has to wait for one.

        Args:
            unit: a number that is its own until it leaves.
            stage: its stage.
            options: of the run.
        """
        place = self._place(stage, options)
        if place is not None and place.gpu:
            self._taken[unit] = place.gpu
        return place

    def leave(self, unit: int) -> None:
        """The unit is over."""
        self._taken.pop(unit, None)

    def _place(self, stage: Stage, options: Mapping[str, Any]) -> Place | None:
        chosen = stage.make_options(stage_options(stage, options))
        on_gpu = stage.uses_gpu(chosen)
        if not on_gpu and not made_for_gpu(stage, options):
            return Place()
        taken = self._taken.values()
        device = str(getattr(chosen, "device", "auto"))
        if device == "mps" or cuda_index(device) is not None:
            return self._named(stage, options, device)
        if not on_gpu or not self.gpus:  # without a GPU, a unit finds out by itself
            return Place(environment=self.on_cpu)
        free = [gpu for gpu in self.gpus if gpu not in taken]
        return Place(free[0], {VARIABLE: free[0]}) if free else None

    def _named(self, stage: Stage, options: Mapping[str, Any], device: str) -> Place | None:
        """The place of a unit whose device the user has chosen: all such units go there, in turn.

        Its process sees all GPUs of the run in their order, so that cuda:1 is the second of them and no other: by
        itself CUDA counts the fastest first.
        """
        found = gpus_of(stage, options, self.gpus)
        name = found[0] if found else device
        environment = {VARIABLE: ",".join(self.gpus)} if self.gpus and device != "mps" else {}
        return None if name in self._taken.values() else Place(name, environment)
