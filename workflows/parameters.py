"""What can be said to a run on a cluster: one list, from the declarations, for Argo, SLURM and the README alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import ExitCode
from common.stage import OptionSpec, Stage, option_specs
from workflows.pipeline import STAGES, all_options, gpu_backends

KILLED = 137  # 128 + SIGKILL: out of memory, or the node was wanted by somebody else
RETRIED = (*(int(code) for code in ExitCode if code.retry), KILLED)
"""Exit codes after which the same attempt is worth making again."""

IMAGE_PREFIX = "ghost-"
"""How images are called: ghost-sync:TAG, and ghost-sync.sif."""

GPU_SUFFIX = "-gpu"
"""What the names of those with torch end with: ghost-segment:TAG-gpu, and ghost-segment-gpu.sif."""

CLI_IMAGE = "cli"
"""The image that is no stage's: the whole `ghost` command, which fetches weights and closes a run."""


@dataclass(frozen=True)
class Parameter:
    """Something that a user may set for a run.

    Attributes:
        name: the same everywhere: `-p sam3d-step=2`, `--sam3d-step=2`.
        default: as text; None if it must be given.
        help: one line.
        stages: names of the stages that take it as an option; empty for what concerns the run as a whole.
        spec: the declaration of the option; None for what is no stage's option.
    """

    name: str
    default: str | None
    help: str
    stages: tuple[str, ...] = ()
    spec: OptionSpec | None = None

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false; stages spell it --smooth and --no-smooth."""
        return self.default in ("true", "false")


COMMON = (
    Parameter("scene", None, "The scene: its folder in the data root."),
    Parameter("data-root", "/data/recordings", "Where the recordings are: a folder of the shared volume, or s3://…"),
    Parameter("output-root", "/data/results", "Where results go: a folder of the shared volume, or s3://…"),
    Parameter("vis", "false", "Also draw masks, ids and skeletons: segmentation.mp4 (the preview stage)."),
)
"""What every run on a cluster takes, besides the options of stages."""


def option_parameters(stages: Sequence[Stage] = STAGES) -> tuple[Parameter, ...]:
    """Every option of every stage, in the order of the stages.

    What stages declare differently is one parameter for each of them: `segment-backend`, `body-backend`.
    """
    return tuple(
        Parameter(
            name=spec.flag[2:],
            default=str(spec.default).lower() if spec.type is bool else str(spec.default),
            help=spec.help + (f" [{spec.unit}]" if spec.unit else ""),
            stages=names,
            spec=spec,
        )
        for spec, names in all_options(stages).values()
    )


def parameter_name(stage: Stage, option: str, stages: Sequence[Stage] = STAGES) -> str:
    """The name of the parameter that is an option of a stage: "device", "segment-backend".

    Args:
        stage: which has it.
        option: its name there, "sam3d_step" or "sam3d-step".
        stages: of the run.
    """
    name = option.replace("-", "_")
    options = all_options(stages)
    spec, _ = options.get(f"{stage.name}.{name}") or options[name]
    return spec.flag[2:]


@dataclass(frozen=True)
class Backends:
    """What the backends of a stage need, as far as the engines have to know.

    Attributes:
        parameter: the name of the parameter that chooses one.
        gpu: those that are made for a GPU: they need torch, and more cores and memory than others.
        without_models: those that need no model files.
    """

    parameter: str
    gpu: tuple[str, ...]
    without_models: tuple[str, ...]


def backends(stages: Sequence[Stage] = STAGES) -> dict[str, Backends]:
    """The backends of the stages that have some, by the stage's name."""
    found = {}
    for stage in stages:
        spec = next((spec for spec in option_specs(stage.options) if spec.name == "backend"), None)
        if spec is not None:
            free = [choice for choice in spec.choices if not stage.weights(stage.make_options({"backend": choice}))]
            found[stage.name] = Backends(parameter_name(stage, "backend", stages), gpu_backends(stage), tuple(free))
    return found
