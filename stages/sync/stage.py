"""When each video of a scene starts on one clock, and which people are the same in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import BODIES, IDENTITIES, SCENE, SYNCHRONIZATION
from common.stage import Resources, Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """Options of the sync stage."""

    max_offset: float = option(
        60.0, help="Largest difference between two start times that is considered.", unit="s", minimum=0.1
    )
    cameras: str = option(
        "available",
        help="available: go on without cameras that have no bodies, and name them; all: fail then.",
        choices=("available", "all"),
    )


def run(workspace: Workspace, options: Options) -> None:
    """Solves start times and identities of the scene's videos together."""
    from stages.sync.publish import synchronize_scene

    synchronize_scene(workspace, max_offset=options.max_offset, need_all=options.cameras == "all")


STAGE = Stage(
    name="sync",
    summary="Finds when each camera started on one clock and which people are the same, from how their bodies move.",
    unit=Unit.SCENE,
    reads=(SCENE, BODIES),
    writes=(SYNCHRONIZATION, IDENTITIES),
    run=run,
    options=Options,
    resources=Resources(cpus=1, memory_gib=1.0),
    packages=("numpy", "scipy"),
)
