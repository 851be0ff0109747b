"""The video again, with what was found drawn on it: for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import BODIES, FRAMES, MASKS, PEOPLE, PREVIEW, SCENE
from common.stage import Resources, Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """Options of the preview stage."""

    height: int = option(
        720, help="Height of segmentation.mp4; a smaller video is not enlarged.", unit="px", minimum=16
    )


def run(workspace: Workspace, options: Options) -> None:
    """Streams the video once and writes it with masks, ids and skeletons on it."""
    from stages.preview.draw import draw_video

    draw_video(workspace, height=options.height)


STAGE = Stage(
    name="preview",
    summary="Draws masks, ids and skeletons onto the video: segmentation.mp4, for a person to look at.",
    unit=Unit.VIDEO,
    reads=(SCENE, FRAMES, MASKS, PEOPLE),
    may_read=(BODIES,),
    writes=(PREVIEW,),
    run=run,
    options=Options,
    source=True,
    resources=Resources(cpus=1, memory_gib=1.0),
    packages=("av", "numpy", "opencv-python-headless"),
)
