"""The parameters of a run on a cluster as Markdown tables, for README.md."""

from __future__ import annotations

from collections.abc import Sequence

from workflows import slurm
from workflows.argo_parameters import engine_parameters
from workflows.parameters import COMMON, Parameter, option_parameters
from workflows.pipeline import STAGES

_OF_EACH_STAGE = ("memory-", "gpu-cpu-", "gpu-memory-")
_HEAD = ("| parameter | default | what | stages |", "|---|---|---|---|")


def shared_table() -> str:
    """What every engine takes: where things are, and the options of all stages."""
    return table((*COMMON, *option_parameters()))


def argo_table() -> str:
    """What only a run with Argo Workflows takes. Amounts that each stage has for itself are one row for each kind."""
    rows: list[Parameter] = []
    for parameter in engine_parameters():
        kind = next((kind for kind in _OF_EACH_STAGE if parameter.name.startswith(kind)), None)
        if kind is None:
            rows.append(parameter)
        elif not any(row.name.startswith(kind) for row in rows):
            rows.append(_joined(kind))
    return table(rows)


def _joined(kind: str) -> Parameter:
    """One row for the parameters of a kind that each stage has for itself."""
    found = [parameter for parameter in engine_parameters() if parameter.name.startswith(kind)]
    amounts = sorted({str(parameter.default) for parameter in found}, key=int)
    stages = tuple(stage for parameter in found for stage in parameter.stages)
    every = len(stages) == len(STAGES)
    return Parameter(f"{kind}<stage>", " … ".join(amounts), found[0].help, ("each",) if every else stages)


def slurm_table() -> str:
    """What only a run under SLURM takes."""
    shared = {parameter.name for parameter in (*COMMON, *option_parameters())}
    return table([parameter for parameter in slurm.PARAMETERS if parameter.name not in shared])


def table(parameters: Sequence[Parameter]) -> str:
    """A Markdown table: name, default, what it does, the stages that it concerns."""
    return "\n".join([*_HEAD, *(_row(parameter) for parameter in parameters)])


def _row(parameter: Parameter) -> str:
    default = "must be given" if parameter.default is None else f"`{parameter.default}`" if parameter.default else ""
    cells = (f"`{parameter.name}`", default, parameter.help, ", ".join(parameter.stages))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
