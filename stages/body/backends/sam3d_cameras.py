"""The cameras that the official code of SAM 3D Body computes with, and from its bodies to those of the one asked for.

As commit b5c765a has it:

- A person stands where its box is, as seen from the principal point if the model's configuration sets
  DECODER.USE_INTRIN_CENTER; else from the middle of the image, whatever intrinsics are given
  (`PerspectiveHead.perspective_projection`).
- 2D keypoints are projected with the given intrinsics in mode "body"; in mode "full", with the focal length along x for
  both axes and the middle of the image (the end of `SAM3DBody.run_inference`).

The middle is (width / 2, height / 2). A model without that setting is given a camera whose principal point lies there,
which is the only kind that the official code makes by itself; its bodies are moved sideways afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stages.body.placement import Intrinsics


@dataclass(frozen=True)
class Cameras:
    """The cameras of one frame.

    Attributes:
        asked: to which the bodies are to belong.
        given: that the official code is given, and to which its bodies belong.
        shown: with which it projects its 2D keypoints.
    """

    asked: Intrinsics
    given: Intrinsics
    shown: Intrinsics

    @classmethod
    def of(cls, asked: Intrinsics, *, height: int, width: int, mode: str, uses_centre: bool) -> Self:
        """Those for one frame.

        Args:
            asked: the camera that is known or assumed.
            height: of the image, pixels.
            width: likewise.
            mode: "body" or "full".
            uses_centre: whether the model sees boxes from the principal point.
        """
        middle = np.array([width / 2, height / 2])
        given = asked if uses_centre else Intrinsics(asked.focal, middle, asked.assumed)
        shown = Intrinsics(np.full(2, asked.focal[0]), middle, asked.assumed) if mode == "full" else given
        return cls(asked, given, shown)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """(3, 3) of the camera that is given, pixels."""
        (fx, fy), (cx, cy) = self.given.focal, self.given.centre
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32)

    def convert(
        self, keypoints: NDArray[np.floating[Any]], transl: NDArray[np.floating[Any]], pixels: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Bodies as the camera that was asked for sees them.

        Args:
            keypoints: (n, 70, 3) metres, relative to `transl`, as the official code gives them.
            transl: (n, 3) metres, likewise.
            pixels: (n, 70, 2), likewise.

        Returns:
            `transl` moved sideways, so that it keeps its place in the image; and the projection of the keypoints
            there. By as much as `pixels` differ from the projection that they should be, these differ from theirs:
            what contradicts itself still does.
        """
        depth = transl[:, 2:].astype(np.float64)
        aside = (self.given.centre - self.asked.centre) / self.asked.focal * depth
        moved = (transl + np.pad(aside, ((0, 0), (0, 1)))).astype(np.float32)
        off = pixels - self.shown.project(_points(keypoints, transl))
        return moved, self.asked.project(_points(keypoints, moved)) + off


def _points(keypoints: NDArray[np.floating[Any]], transl: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return keypoints.astype(np.float64) + transl.astype(np.float64)[:, None]
