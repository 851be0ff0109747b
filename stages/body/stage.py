"""Every person's 3D body in every frame of a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import BODIES, FRAMES, LANDMARKS, MASKS, PEOPLE, SCENE
from common.stage import Resources, Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """Options of the body stage."""

    backend: str = option(
        "embedded",
        help="Models: embedded (BlazePose, on a CPU) or fake (no model, for tests).",
        choices=("embedded", "fake"),
    )
    sam3d_step: int = option(1, help="Estimate a body in every so many frames.", unit="frames", minimum=1)
    smooth: bool = option(False, help="Smooth the joints over time.")
    device: str = option("auto", help="Where models run; embedded knows the CPU only.", choices=("auto", "cpu", "cuda"))


def weights(options: Options) -> tuple[str, ...]:
    """Model files that a backend needs."""
    return ("blazepose-heavy",) if options.backend == "embedded" else ()


def run(workspace: Workspace, options: Options) -> None:
    """Estimates every tracked person's body and publishes one file per person."""
    from stages.body.publish import estimate_video

    estimate_video(
        workspace, backend=options.backend, step=options.sam3d_step, smooth=options.smooth, device=options.device
    )


STAGE = Stage(
    name="body",
    summary="Estimates the 3D body of every tracked person: 70 keypoints in camera axes, metres, with confidence.",
    unit=Unit.VIDEO,
    reads=(SCENE, FRAMES, MASKS, PEOPLE),
    may_read=(LANDMARKS,),
    writes=(BODIES,),
    run=run,
    options=Options,
    source=True,
    weights=weights,
    resources=Resources(cpus=1, memory_gib=1.0, gpu=True),
    packages=("ai-edge-litert", "av", "numpy", "opencv-python-headless"),
)
