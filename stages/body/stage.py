"""Every person's 3D body in every frame of a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import BODIES, FRAMES, LANDMARKS, MASKS, PEOPLE, SCENE
from common.device_names import DEVICE_FORM, DEVICE_PATTERN, may_use_cuda, note_cpu_only
from common.stage import Resources, Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


BACKENDS = ("embedded", "sam3d-body", "nlf", "fake")
_MADE_FOR_GPU = ("sam3d-body", "nlf")
GET_SAM3D = (
    "SAM 3D Body runs the official code, which no registry has: git clone github.com/facebookresearch/sam-3d-body, and "
    "name the folder with --sam3d-path"
)
GET_NLF = (
    "Download nlf_l_multi_0.3.2.torchscript from the releases of isarandi/nlf on GitHub (weights for non-commercial "
    "research only) and give its path as --nlf-model"
)


@dataclass(frozen=True)
class Options:
    """Options of the body stage."""

    backend: str = option(
        "embedded",
        help="Models: embedded (BlazePose, on a CPU), sam3d-body, nlf, or fake (no model, for tests).",
        choices=BACKENDS,
    )
    sam3d_step: int = option(1, help="Estimate a body in every so many frames.", unit="frames", minimum=1)
    smooth: bool = option(False, help="Smooth the joints over time.")
    vertices: str = option(
        "none",
        help="Publish the mesh too: mhr (sam3d-body), or smpl (nlf; sam3d-body with MHR's map).",
        choices=("none", "mhr", "smpl"),
    )
    sam3d_path: str = option("", help="sam3d-body: the checkout of facebookresearch/sam-3d-body.", get=GET_SAM3D)
    sam3d_mode: str = option("body", help="sam3d-body: body, or full with the hands refined.", choices=("body", "full"))
    sam3d_python: str = option(
        "", help="sam3d-body: the Python in whose environment the checkout works; empty: ghost's own."
    )
    nlf_model: str = option("", help="nlf: its TorchScript file, such as nlf_l_multi_0.3.2.torchscript.", get=GET_NLF)
    nlf_augmentations: int = option(1, help="nlf: variants of each crop that it averages over.", minimum=1)
    device: str = option(
        "auto",
        help="Where models run: auto (a GPU if there is one), cpu, cuda, cuda:1 or mps.",
        pattern=DEVICE_PATTERN,
        form=DEVICE_FORM,
    )

    def __post_init__(self) -> None:
        """Raises UsageError for a mesh that the backend does not have."""
        from common.errors import UsageError

        if self.backend == "nlf" and self.vertices == "mhr":
            raise UsageError("--vertices mhr: NLF has the mesh of SMPL only. Use --vertices smpl or none.")


def weights(options: Options) -> tuple[str, ...]:
    """Models that a backend needs."""
    if options.backend == "sam3d-body":
        return ("sam-3d-body-dinov3", *(("mhr2smpl-mapping",) if options.vertices == "smpl" else ()))
    return ("blazepose-heavy",) if options.backend == "embedded" else ()


def model_paths(options: Options) -> tuple[str, ...]:
    """The options that name a model of the user's own."""
    return {"sam3d-body": ("sam3d_path",), "nlf": ("nlf_model",)}.get(options.backend, ())


def without_effect(options: Options) -> tuple[str, ...]:
    """Options that do not change what the backend estimates."""
    of_sam3d, of_nlf = ("sam3d_path", "sam3d_mode"), ("nlf_model", "nlf_augmentations")
    of_neither = ("vertices", *of_sam3d, *of_nlf)
    unread = {"embedded": of_neither, "sam3d-body": of_nlf, "nlf": of_sam3d, "fake": of_neither}
    return ("device", "sam3d_python", *unread[options.backend])


def model_packages(options: Options) -> tuple[str, ...]:
    """Distributions that run a backend's models, beside those that every installation has."""
    elsewhere = options.backend == "sam3d-body" and options.sam3d_python  # which has a torch of its own
    return ("torch",) if options.backend in _MADE_FOR_GPU and not elsewhere else ()


def uses_gpu(options: Options) -> bool:
    """Whether a unit with these options works on an NVIDIA GPU where there is one."""
    return options.backend in _MADE_FOR_GPU and may_use_cuda(options.device)


def run(workspace: Workspace, options: Options) -> None:
    """Estimates every tracked person's body and publishes one file per person."""
    from stages.body.publish import estimate_video

    if options.backend not in _MADE_FOR_GPU:
        note_cpu_only("body", options.backend, options.device)
    estimate_video(workspace, options)


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
    checkpoints=True,
    weights=weights,
    uses_gpu=uses_gpu,
    without_effect=without_effect,
    model_paths=model_paths,
    model_packages=model_packages,
    # gpu_cpus: decoding and masks (a thread ahead), the model (of sam3d-body a process of its own), and who asks it.
    # Counted, not measured.
    resources=Resources(cpus=1, memory_gib=1.0, gpu=True, gpu_cpus=3),
    packages=("ai-edge-litert", "av", "numpy", "opencv-python-headless"),
)
