"""The SLURM driver, apptainer/ghost.sbatch: a fixed script, with what the declarations say of stages and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.artifacts import PREVIEW
from common.errors import ExitCode
from common.names import NAME_RULE
from common.stage import Stage
from workflows.parameters import (
    CLI_IMAGE,
    COMMON,
    IMAGE_PREFIX,
    KILLED,
    RETRIED,
    Parameter,
    option_parameters,
    without_models,
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
    Parameter("gpus", "0", "GPUs for each unit of a stage that can use one: N, or TYPE:N."): _Kind("gpus"),
    Parameter("partition", "", "Partition of all jobs. [default: this job's, else the cluster's]"): _TEXT,
    Parameter("account", "", "Account of all jobs. [default: this job's, else the user's]"): _TEXT,
    Parameter("time", "", "Time limit of each job, as sbatch takes it. [default: the partition's]"): _Kind("time"),
    Parameter("memory", "", "Memory of each unit, in GiB. [default: what the stage declares]"): _Kind("integer", 1),
    Parameter("retries", "2", f"More attempts after exit codes {', '.join(map(str, RETRIED))}."): _Kind("integer", 0),
    Parameter("bind", "", "A folder that containers may read, too: one that links in DATA_ROOT point to."): _TEXT,
    Parameter("run-root", "", "Folder for lists and logs of runs. [default: OUTPUT_ROOT/_slurm]"): _TEXT,
    Parameter("sbatch", "", "One more option of sbatch for all jobs: --sbatch=--qos=high."): _TEXT,
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
        "EXIT_SETUP": int(ExitCode.CONFIGURATION),
        "EXIT_TERMINATED": int(ExitCode.TERMINATED),
        "EXIT_KILLED": KILLED,
        "RETRIED": " ".join(map(str, RETRIED)),
        "NAME_RULE": NAME_RULE,
        "IMAGE_PREFIX": IMAGE_PREFIX,
        "CLI": CLI_IMAGE,
        "WITHOUT_MODELS": " ".join(without_models()),
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
    yield _table("GPU", {stage.name: "yes" if stage.resources.gpu else "no" for stage in stages})
    yield _table(
        "CPUS",
        {**{s.name: str(s.resources.cpus) for s in stages}, _CLOSE: str(max(s.resources.cpus for s in closing))},
    )
    yield _table("MEMORY_MIB", {**{s.name: _mib(s) for s in stages}, _CLOSE: max(map(_mib, closing), key=int)})


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
    least = {parameter.name: _kind(parameter).minimum for parameter in PARAMETERS}
    yield _table("MINIMUM", {name: f"{minimum:g}" for name, minimum in least.items() if minimum is not None})
    yield _table("TAKEN_BY", {parameter.name: " ".join(parameter.stages) for parameter in PARAMETERS})
    yield "# shellcheck disable=SC2016"  # names of variables are meant as such
    yield _table("HELP", {parameter.name: parameter.help for parameter in PARAMETERS})


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
