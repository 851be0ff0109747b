"""Who is where in every frame of a video: masks with identities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import FRAMES, LANDMARKS, MASKS, PEOPLE, SCENE
from common.stage import Resources, Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """Options of the segment stage."""

    backend: str = option(
        "embedded",
        help="Models: embedded (MoveNet and BlazePose, on a CPU) or fake (no model, for tests).",
        choices=("embedded", "fake"),
    )
    detection_step: int = option(
        50,
        help="Look for people anew at least every so many frames; sooner where people move fast.",
        unit="frames",
        minimum=1,
    )
    device: str = option("auto", help="Where models run; embedded knows the CPU only.", choices=("auto", "cpu", "cuda"))


def weights(options: Options) -> tuple[str, ...]:
    """Model files that a backend needs."""
    return ("blazepose-detector", "blazepose-heavy", "movenet-multipose") if options.backend == "embedded" else ()


def run(workspace: Workspace, options: Options) -> None:
    """Streams the video once through the backend and publishes masks, people and landmarks."""
    from stages.segment.publish import segment_video

    segment_video(workspace, backend=options.backend, detection_step=options.detection_step, device=options.device)


STAGE = Stage(
    name="segment",
    summary="Finds and follows the people in a video: a mask with a constant id for each of them in every frame.",
    unit=Unit.VIDEO,
    reads=(SCENE, FRAMES),
    writes=(MASKS, PEOPLE, LANDMARKS),
    run=run,
    options=Options,
    source=True,
    weights=weights,
    resources=Resources(cpus=1, memory_gib=1.0, gpu=True),
    packages=("ai-edge-litert", "av", "numpy", "onnxruntime", "opencv-python-headless"),
)
