"""The parameters of a run on a cluster as Markdown tables, for README.md."""

from __future__ import annotations

from collections.abc import Sequence

from workflows import slurm
from workflows.argo_parameters import engine_parameters
from workflows.parameters import COMMON, Parameter, option_parameters

_HEAD = ("| parameter | default | what | stages |", "|---|---|---|---|")


def shared_table() -> str:
    """What every engine takes: where things are, and the options of all stages."""
    return table((*COMMON, *option_parameters()))


def argo_table() -> str:
    """What only a run with Argo Workflows takes. Amounts of memory, alike for all stages, are one row."""
    memory = [parameter for parameter in engine_parameters() if parameter.name.startswith("memory-")]
    amounts = sorted({str(parameter.default) for parameter in memory}, key=int)
    joined = Parameter("memory-<stage>", " … ".join(amounts), memory[0].help, ("each",))
    others = [parameter for parameter in engine_parameters() if parameter not in memory]
    at = next(index for index, parameter in enumerate(others) if parameter.name == "cpu") + 1
    return table((*others[:at], joined, *others[at:]))


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
