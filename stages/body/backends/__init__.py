"""The models that estimate bodies, behind one Protocol; each is imported only when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from common.errors import ModelUnavailable, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from common.artifacts.bodies import PersonBody
    from stages.body.clip import Clip, OpenFrames

BACKENDS = ("embedded", "fake")


class BodyEstimator(Protocol):
    """What the body stage asks of a model."""

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


def create(name: str, *, device: str = "auto", model: Path | None = None) -> BodyEstimator:
    """A backend, ready to use.

    Args:
        name: one of BACKENDS.
        device: "auto", "cpu" or "cuda".
        model: path of `pose_landmark_heavy.tflite`, for the embedded one; it is opened when first needed.

    Raises:
        UsageError: no such backend.
        ModelUnavailable: the backend does not run on this device, or its model file is not given.
    """
    if name not in BACKENDS:
        raise UsageError(f"--backend: expected one of {', '.join(BACKENDS)}, got {name!r}.")
    if device == "cuda":
        raise ModelUnavailable(f"the body backend {name} runs on the CPU only. Use --device auto or cpu.")
    if name == "embedded":
        from stages.body.backends.embedded import EmbeddedEstimator

        if model is None:
            raise ModelUnavailable("the embedded backend needs BlazePose heavy. Run `ghost weights fetch`.")
        return EmbeddedEstimator(model)
    from stages.body.backends.fake import FakeEstimator

    return FakeEstimator()
