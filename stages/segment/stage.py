"""Who is where in every frame of a video: masks with identities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import FRAMES, LANDMARKS, MASKS, PEOPLE, SCENE
from common.device_names import DEVICE_FORM, DEVICE_PATTERN, PRECISIONS, may_use_cuda, note_cpu_only
from common.stage import Resources, Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


BACKENDS = ("embedded", "gdino-sam2", "sam3", "fake")
_PROMPTED = ("gdino-sam2", "sam3")
DETECTORS = ("grounding-dino-tiny", "grounding-dino-base")
TRACKERS = ("sam2.1-hiera-tiny", "sam2.1-hiera-small", "sam2.1-hiera-base-plus", "sam2.1-hiera-large")


@dataclass(frozen=True)
class Options:
    """Options of the segment stage."""

    backend: str = option(
        "embedded",
        help="Models: embedded (MoveNet and BlazePose, on a CPU), gdino-sam2 (Grounding DINO finds, SAM 2.1 follows), "
        "sam3 (both in one), or fake (no model, for tests).",
        choices=BACKENDS,
    )
    prompt: str = option(
        "person.",
        help='gdino-sam2, sam3: what to look for: "person. bicycle." Bodies are estimated for what is a person.',
    )
    detection_step: int = option(
        50,
        help="Look for people anew at least every so many frames (embedded: or sixtieths of a second); sooner where "
        "something is in doubt.",
        unit="frames",
        minimum=1,
    )
    detector: str = option("grounding-dino-tiny", help="gdino-sam2: which Grounding DINO.", choices=DETECTORS)
    box_threshold: float = option(
        0.25, help="gdino-sam2: how sure the detector must be of a box, 0 to 1.", minimum=0.0, maximum=1.0
    )
    text_threshold: float = option(
        0.25, help="gdino-sam2: how sure it must be of each word, 0 to 1.", minimum=0.0, maximum=1.0
    )
    tracker: str = option("sam2.1-hiera-large", help="gdino-sam2: which SAM 2.1.", choices=TRACKERS)
    sam2_implementation: str = option(
        "transformers",
        help="gdino-sam2: SAM 2 through transformers, people batched, or through the official sam2 package.",
        choices=("transformers", "sam2"),
    )
    device: str = option(
        "auto",
        help="Where models run: auto (a GPU if there is one), cpu, cuda, cuda:1 or mps.",
        pattern=DEVICE_PATTERN,
        form=DEVICE_FORM,
    )
    precision: str = option(
        "auto", help="Arithmetic of the models: auto is half precision on CUDA, else float32.", choices=PRECISIONS
    )

    def __post_init__(self) -> None:
        """Raises UsageError for a prompt that names nothing."""
        from stages.segment.prompted.prompts import phrases_of

        if self.backend in _PROMPTED:
            phrases_of(self.prompt)


def weights(options: Options) -> tuple[str, ...]:
    """Models that a backend needs."""
    if options.backend == "embedded":
        return ("blazepose-detector", "blazepose-heavy", "movenet-multipose")
    if options.backend == "gdino-sam2":
        original = "-original" if options.sam2_implementation == "sam2" else ""
        return (options.detector, options.tracker + original)
    return ("sam3",) if options.backend == "sam3" else ()


def without_effect(options: Options) -> tuple[str, ...]:
    """Options that do not change what the backend finds."""
    of_both = ("prompt", "precision")
    of_gdino = ("detector", "box_threshold", "text_threshold", "tracker", "sam2_implementation")
    unread = {
        "embedded": (*of_both, *of_gdino),
        "gdino-sam2": (),
        "sam3": ("detection_step", *of_gdino),
        "fake": ("detection_step", *of_both, *of_gdino),
    }
    return ("device", *unread[options.backend])


def model_packages(options: Options) -> tuple[str, ...]:
    """Distributions that run a backend's models, beside those that every installation has.

    The authors' package calls itself SAM-2; an upload of the same code by others is called sam2.
    """
    if options.backend not in _PROMPTED:
        return ()
    package = ("SAM-2", "sam2") if options.backend == "gdino-sam2" and options.sam2_implementation == "sam2" else ()
    return ("torch", "transformers", *package)


def uses_gpu(options: Options) -> bool:
    """Whether a unit with these options works on an NVIDIA GPU where there is one."""
    return options.backend in _PROMPTED and may_use_cuda(options.device)


def run(workspace: Workspace, options: Options) -> None:
    """Streams the video once through the backend and publishes masks, people and landmarks."""
    from stages.segment.publish import segment_video

    if options.backend not in _PROMPTED:
        note_cpu_only("segment", options.backend, options.device)
    segment_video(workspace, options)


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
    # gpu_cpus: at 1080p decoding takes 5.9 ms a frame, packing 4.0 and describing 1.8 (measured on a CPU): half a core
    # beside a GPU that makes 50 frames a second; one core starts its kernels, one is room for larger pictures. No more,
    # because many nodes with one GPU have four.
    resources=Resources(cpus=1, memory_gib=1.0, gpu=True, gpu_cpus=3),
    packages=("ai-edge-litert", "av", "numpy", "onnxruntime", "opencv-python-headless"),
    uses_gpu=uses_gpu,
    without_effect=without_effect,
    model_packages=model_packages,
)
