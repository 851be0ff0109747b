"""The models that estimate bodies, behind one Protocol; each is imported only when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from common.device_names import RanOn, require
from common.errors import ModelUnavailable
from stages.body.labels import masks_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from common.artifacts.bodies import PersonBody
    from stages.body.clip import Clip, OpenFrames
    from stages.body.framewise import Progress
    from stages.body.stage import Options

OUT_OF_MEMORY = "out of memory"
"""Why there is no body of a person that does not fit into memory even alone."""


class BodyEstimator(Protocol):
    """What the body stage asks of a backend."""

    @property
    def remark(self) -> str:
        """After `estimate`: what the user should know about how it ran, said in the log already; "" for nothing."""
        ...

    def estimate(self, clip: Clip, open_frames: OpenFrames) -> dict[int, PersonBody]:
        """The bodies of everybody in a video.

        Args:
            clip: the video's people, masks, camera and times.
            open_frames: called at most once, with exactly the frames whose pixels are needed. Frames that
                cannot be decoded do not come.

        Returns:
            By local id. A person-frame that the model cannot see has no row, a person without rows no entry.
        """
        ...


@dataclass(frozen=True, eq=False)
class BodyEstimate:
    """The body of one person in one frame.

    Attributes:
        keypoints3d: (70, 3) metres, camera axes, relative to `transl`; NaN for keypoints that the model lacks.
        transl: (3,) metres, camera axes: keypoint k stands at keypoints3d[k] + transl.
        keypoints2d: (70, 2) pixels: the projection of the above with the given camera matrix.
        confidence: (70,) in [0, 1]; 0 where `keypoints3d` is NaN.
        params: further arrays by their names in person_<id>.npz (bodies.PARAMETRIC_NAMES), without the axis of frames:
            the body model's parameters, smpl_vertices, keypoint_uncertainty. The same names in every estimate.
        vertices: (V, 3) metres, relative to `transl`, published as pred_vertices; None if not asked for.
        feature: (D,) what the person looks like, to be recognised by; None if the model gives none.
    """

    keypoints3d: NDArray[np.floating[Any]]
    transl: NDArray[np.floating[Any]]
    keypoints2d: NDArray[np.floating[Any]]
    confidence: NDArray[np.floating[Any]]
    params: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    vertices: NDArray[np.floating[Any]] | None = None
    feature: NDArray[np.floating[Any]] | None = None


@dataclass(frozen=True, eq=False)
class PeopleInFrame:
    """The people of one frame.

    Attributes:
        image: (H, W, 3) uint8 RGB, rows side by side in memory.
        boxes: (n, 4) float32, x1 y1 x2 y2 of the masks, pixels.
        labels: (H, W) uint16, 1 + the row of the box whose person a pixel belongs to, 0 for nobody's; or None. Frames
            wait, and this is a small part of what as many masks would take.
        camera: (3, 3) float64 camera matrix, pixels.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.uint16] | None
    camera: NDArray[np.float64]

    @property
    def masks(self) -> NDArray[np.bool_] | None:
        """(n, H, W) that exclude each other, or None; made anew each time."""
        return None if self.labels is None else masks_of(self.labels, len(self.boxes))


class FrameBodyModel(Protocol):
    """A model that looks at each frame by itself. Implementations inherit from this class, for its defaults.

    Attributes:
        name: for messages and logs.
        identity: what else than options, code and locked weights determines the results, such as the version of
            code that ghost did not bring; a checkpoint made under another identity is not continued. Complete after
            `open`.
        frames_at_once: how many frames one call of `estimate_batch` gets (the last one: fewer).
        rejected: person-frames of which `None` was returned although the model had looked, by reason ("out of
            memory"). The implementation counts; whoever calls it reports.
        about: what the manifest should say about where it ran, by name; known after `open`.
        gpu: name and most bytes taken of the GPU that a process of its own has used; "" if this process has.
        ran_on: device and precision of the model; known after `open`.
        remark: what the user should know about how it runs, said in the log already; "" for nothing.
    """

    name: str
    identity: str
    frames_at_once: int
    rejected: Counter[str]
    about: Mapping[str, str] = MappingProxyType({})
    gpu: tuple[str, int] = ("", 0)
    ran_on: RanOn = RanOn()
    remark: str = ""

    def open(self) -> None:
        """Loads the model, if that is not done; called before the first frame. Raises ModelUnavailable."""
        return None

    def estimate(
        self,
        image: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        masks: NDArray[np.bool_] | None,
        camera: NDArray[np.float64],
    ) -> list[BodyEstimate | None]:
        """The bodies of all people of one frame, in the order of the boxes; None where there is no body to be had.

        Args:
            image: as in PeopleInFrame, and so are the others.
            boxes: likewise.
            masks: likewise.
            camera: likewise.

        Raises:
            ModelUnavailable: the model cannot be loaded, or has broken down.
        """
        ...

    def estimate_batch(self, frames: Sequence[PeopleInFrame]) -> list[list[BodyEstimate | None]]:
        """`estimate` for several frames; one by one unless the model can do better."""
        return [self.estimate(frame.image, frame.boxes, frame.masks, frame.camera) for frame in frames]

    def close(self) -> None:
        """Lets go of whatever the model holds; it is not used any more."""
        return None


def create(
    options: Options,
    *,
    model: Path | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> BodyEstimator:
    """A backend, ready to use; what it needs is looked for now, and loaded when first needed.

    Args:
        options: of the stage, checked: which backend, and how.
        model: the weights: `pose_landmark_heavy.tflite` for embedded, the verified folder for sam3d-body.
        progress: where per-frame models keep what they have done; those cannot do without.
        warn: tells the user what limits the result.

    Raises:
        ModelUnavailable: something that the backend needs is not there.
    """
    name = options.backend
    if name == "embedded":
        from stages.body.backends.embedded import EmbeddedEstimator

        if model is None:
            raise ModelUnavailable("the embedded backend needs BlazePose heavy. Run `ghost weights fetch`.")
        return EmbeddedEstimator(model)
    if name == "fake":
        from stages.body.backends.fake import FakeEstimator

        return FakeEstimator()
    from stages.body.framewise import FramewiseEstimator

    if progress is None:
        raise ValueError(f"{name} needs a place for its progress")
    return FramewiseEstimator(_frame_model(options, model), progress=progress, warn=warn)


def _frame_model(options: Options, model: Path | None) -> FrameBodyModel:
    if options.backend == "nlf":
        require("torch", backend="nlf")
        from stages.body.backends.nlf import load_nlf

        return load_nlf(options)
    from stages.body.backends.sam3d_body import load_sam3d_body

    return load_sam3d_body(options, model)
