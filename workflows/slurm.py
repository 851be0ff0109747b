"""The SLURM driver, apptainer/ghost.sbatch: a fixed script, with what the declarations say of stages and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.artifacts import PREVIEW
from common.device_names import REQUIRE_GPU, WITHOUT_CUDA
from common.errors import ExitCode
from common.names import NAME_RULE
from common.stage import Stage, option_specs
from workflows.parameters import (
    CLI_IMAGE,
    COMMON,
    GPU_SUFFIX,
    IMAGE_PREFIX,
    KILLED,
    RETRIED,
    Parameter,
    backends,
    option_parameters,
    parameter_name,
)
from workflows.pipeline import STAGES, required, upstream

PATH = "apptainer/ghost.sbatch"
"""Where the rendered driver lies in the checkout."""

_TEMPLATE = Path(__file__).with_name("slurm_driver.sh.in")
_MARK = "# @TABLES@\n"
_CLOSE = "close"  # the step that ends a scene: a command of the cli image, not a stage
_SMALL_MIB = 256  # of the jobs that only call SLURM's commands; chosen by hand, not measured
# Seconds before the time limit. SLURM signals up to a minute early (measured), and a stage stops within seconds.
_NOTICE_S = 120
_KINDS = {bool: "flag", int: "integer", float: "number", str: "text"}


@dataclass(frozen=True)
class _Kind:
    """How the driver checks a value: its kind, and the smallest number that it may be."""

    name: str
    minimum: float | None = None


_TEXT = _Kind("text")
_OWN: Mapping[Parameter, _Kind] = {
    Parameter("images", "", "Folder of ghost-*.sif. [default: $GHOST_IMAGES, else where this script lies]"): _TEXT,
    Parameter("weights", "", "Model files: a folder, or s3://… [default: $GHOST_WEIGHTS, else ~/.cache/…]"): _TEXT,
    Parameter("limit", "0", "Jobs of one stage at once; 0: as many as the cluster runs."): _Kind("integer", 0),
    Parameter("max-array", "", "Longest array that is allowed. [default: MaxArraySize - 1]"): _Kind("integer", 1),
    Parameter("gpus", "1", "GPUs for each unit with a backend that is made for one, N or TYPE:N; 0: none."): _Kind(
        "gpus"
    ),
    Parameter("partition", "", "Partition of all jobs. [default: this job's, else the cluster's]"): _TEXT,
    Parameter("gpu-partition", "", "The same for jobs with a GPU alone. [default: that of the others]"): _TEXT,
    Parameter("account", "", "Account of all jobs. [default: this job's, else the user's]"): _TEXT,
    Parameter("time", "", "Time limit of each job, as sbatch takes it. [default: the partition's]"): _Kind("time"),
    Parameter(
        "cpus",
        "",
        "Cores of each unit whose backend is not made for a GPU; it uses one: for where memory goes by cores. "
        "[default: what its stage declares]",
    ): _Kind("integer", 1),
    Parameter(
        "gpu-cpus", "", "The same for the others: with too few the GPU waits. [default: what its stage declares]"
    ): _Kind("integer", 1),
    Parameter("memory", "", "Memory of each unit, in GiB. [default: what its stage and backend declare]"): _Kind(
        "integer", 1
    ),
    Parameter("retries", "2", f"More attempts after exit codes {', '.join(map(str, RETRIED))}."): _Kind("integer", 0),
    Parameter(
        "bind", "", "A folder that containers may read, too: where links in DATA_ROOT or an option point to."
    ): _TEXT,
    Parameter("run-root", "", "Folder for lists and logs of runs. [default: OUTPUT_ROOT/_slurm]"): _TEXT,
    Parameter(
        "sbatch", "", "One more option of sbatch for all jobs, which wins over ghost's own: --sbatch=--qos=high."
    ): _TEXT,
}
"""What only this driver takes."""

PARAMETERS: tuple[Parameter, ...] = (*COMMON, *_OWN, *option_parameters())
"""Everything that can be said to a run on SLURM, in the order of its help."""


def rendered() -> dict[str, str]:
    """The files that are made from the declarations: path in the checkout -> content."""
    before, mark, after = _TEMPLATE.read_text(encoding="utf-8").partition(_MARK)
    if not mark:
        raise ValueError(f"{_TEMPLATE.name} has no line {_MARK!r}")
    return {PATH: before + "\n".join((*_constants(), *_stages(), *_parameters())) + "\n" + after}


def _constants() -> Iterable[str]:
    values: dict[str, object] = {
        "EXIT_USAGE": int(ExitCode.USAGE),
        "EXIT_MISSING": int(ExitCode.INPUT_MISSING),
        "EXIT_MODEL": int(ExitCode.MODEL_UNAVAILABLE),
        "EXIT_SETUP": int(ExitCode.CONFIGURATION),
        "EXIT_TERMINATED": int(ExitCode.TERMINATED),
        "EXIT_KILLED": KILLED,
        "RETRIED": " ".join(map(str, RETRIED)),
        "NAME_RULE": NAME_RULE,
        "IMAGE_PREFIX": IMAGE_PREFIX,
        "WITHOUT_CUDA": " ".join(WITHOUT_CUDA),
        "REQUIRE_GPU": REQUIRE_GPU,
        "CLI": CLI_IMAGE,
        "GPU_SUFFIX": GPU_SUFFIX,
        "SMALL_MIB": _SMALL_MIB,
        "NOTICE_S": _NOTICE_S,
    }
    return (f"{name}={_quoted(str(value))}" for name, value in values.items())


def _stages() -> Iterable[str]:
    """The DAG and what a unit asks for. A stage that shows the history of a scene (the report) is part of the close."""
    stages = [stage for stage in STAGES if not stage.history]
    closing = [stage for stage in STAGES if stage.history]
    names = {stage.name for stage in stages}
    yield f"STAGES=({' '.join(stage.name for stage in stages)})"
    yield _table("UNIT", {**{stage.name: stage.unit.value for stage in stages}, _CLOSE: "scene"})
    yield _table("NEEDS", {stage.name: _names(required(stage), names) for stage in stages})
    later = {stage.name: [other for other in upstream(stage) if other not in required(stage)] for stage in stages}
    yield _table("FOLLOWS", {name: _names(others, names) for name, others in later.items()})
    yield _table("ONLY_IF", {stage.name: "vis" if PREVIEW in stage.writes else "" for stage in stages})
    yield _table(
        "READS_RECORDINGS", {**{stage.name: "yes" if stage.source else "no" for stage in stages}, _CLOSE: "yes"}
    )
    yield from _backends(stages)
    yield _table(
        "CPUS",
        {**{s.name: str(s.resources.cpus) for s in stages}, _CLOSE: str(max(s.resources.cpus for s in closing))},
    )
    yield _table("MEMORY_MIB", {**{s.name: _mib(s) for s in stages}, _CLOSE: max(map(_mib, closing), key=int)})


def _backends(stages: Iterable[Stage]) -> Iterable[str]:
    """Which parameter chooses the backend of a stage and which its device; what backends need."""
    found = backends()
    made_for_gpu = [stage for stage in stages if stage.name in found and found[stage.name].gpu]
    yield _table("BACKEND_OF", {name: choices.parameter for name, choices in found.items()})
    yield _table("WITHOUT_MODELS", {name: " ".join(choices.without_models) for name, choices in found.items()})
    yield _table("GPU_BACKENDS", {stage.name: " ".join(found[stage.name].gpu) for stage in made_for_gpu})
    yield _table("DEVICE_OF", {stage.name: parameter_name(stage, "device") for stage in made_for_gpu})
    yield _table("GPU_CPUS", {stage.name: str(stage.resources.gpu_cpus) for stage in made_for_gpu})
    yield _table(
        "GPU_MEMORY_MIB", {stage.name: str(round(1024 * stage.resources.gpu_memory_gib)) for stage in made_for_gpu}
    )


def _names(stages: Iterable[Stage], known: set[str]) -> str:
    return " ".join(stage.name for stage in stages if stage.name in known)


def _mib(stage: Stage) -> str:
    return str(round(1024 * stage.resources.memory_gib))


def _parameters() -> Iterable[str]:
    yield f"PARAMETERS=({' '.join(parameter.name for parameter in PARAMETERS)})"
    yield _table("DEFAULT", {parameter.name: parameter.default or "" for parameter in PARAMETERS})
    yield _table("KIND", {parameter.name: _kind(parameter).name for parameter in PARAMETERS})
    yield _table(
        "CHOICES", {p.name: " ".join(p.spec.choices) for p in PARAMETERS if p.spec is not None and p.spec.choices}
    )
    specs = {parameter.name: parameter.spec for parameter in PARAMETERS if parameter.spec is not None}
    least = {parameter.name: _kind(parameter).minimum for parameter in PARAMETERS}
    yield _table("MINIMUM", {name: f"{minimum:g}" for name, minimum in least.items() if minimum is not None})
    yield _table("MAXIMUM", {name: f"{spec.maximum:g}" for name, spec in specs.items() if spec.maximum is not None})
    # Declared patterns are extended regular expressions as well as Python's.
    yield _table("PATTERN", {name: spec.pattern for name, spec in specs.items() if spec.pattern})
    yield _table("FORM", {name: spec.form for name, spec in specs.items() if spec.pattern})
    yield _table("OPTION", {parameter.name: own for parameter in PARAMETERS for own in _own_name(parameter)})
    yield _table("TAKEN_BY", {parameter.name: " ".join(parameter.stages) for parameter in PARAMETERS})
    yield "# shellcheck disable=SC2016"  # names of variables are meant as such
    yield _table("HELP", {parameter.name: parameter.help for parameter in PARAMETERS})


def _own_name(parameter: Parameter) -> tuple[str, ...]:
    """What the only stage that takes a parameter calls it, if that is another name."""
    if len(parameter.stages) != 1 or not parameter.name.startswith(f"{parameter.stages[0]}-"):
        return ()
    own = parameter.name.removeprefix(f"{parameter.stages[0]}-")
    stage = next(stage for stage in STAGES if stage.name == parameter.stages[0])
    return (own,) if own in {spec.flag[2:] for spec in option_specs(stage.options)} else ()


def _kind(parameter: Parameter) -> _Kind:
    if parameter in _OWN:
        return _OWN[parameter]
    if parameter.spec is None:
        return _Kind("flag" if parameter.default in ("true", "false") else "text")
    if parameter.spec.choices:
        return _Kind("choice")
    return _Kind(_KINDS[parameter.spec.type], parameter.spec.minimum)


def _table(name: str, values: Mapping[str, str]) -> str:
    """An associative array of bash."""
    rows = "".join(f"    [{key}]={_quoted(value)}\n" for key, value in values.items())
    return f"declare -A {name}=(\n{rows})"


def _quoted(text: str) -> str:
    """One word of bash, whatever is in it."""
    return "'" + text.replace("'", "'\\''") + "'"
