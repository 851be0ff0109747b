"""One page per scene: what was found, how sure it is, what it cost, how to do it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.artifacts import BODIES, FRAMES, IDENTITIES, MASKS, PEOPLE, REPORT, SCENE, SYNC_PICTURE, SYNCHRONIZATION
from common.stage import NoOptions, Resources, Stage, Unit

if TYPE_CHECKING:
    from common.workspace import Workspace


def run(workspace: Workspace, options: NoOptions) -> None:
    """Writes the page from whatever there is; what is missing or broken is said on it."""
    from stages.report.publish import write_report

    write_report(workspace)


STAGE = Stage(
    name="report",
    summary="Writes one self-contained page about a scene: verdict, start times, pictures, tracks, cost.",
    unit=Unit.SCENE,
    reads=(),
    may_read=(SCENE, FRAMES, MASKS, PEOPLE, BODIES, SYNCHRONIZATION, SYNC_PICTURE, IDENTITIES),
    writes=(REPORT,),
    run=run,
    source=True,
    history=True,
    resources=Resources(cpus=1, memory_gib=1.0),
    packages=("av", "jinja2", "numpy", "opencv-python-headless"),
)
