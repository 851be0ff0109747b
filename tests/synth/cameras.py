"""Three cameras in front of the scene, two on tripods and one that sways and turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.cameras import Camera

Floats = NDArray[np.float64]

FOCAL = 0.94  # of the picture's width: 56 degrees across
_HEIGHTS = (1.3, 2.1, 2.5)  # m above the ground
_DISTANCES = (7.0, 7.5, 7.0)  # m from the middle of the scene
_AZIMUTHS = (0.0, -35.0, 35.0)  # degrees


@dataclass(frozen=True, eq=False)
class TruthCamera:
    """A pinhole camera without distortion that may move.

    Attributes:
        name: video id.
        intrinsics: (3, 3) pixels.
        height: of the picture, pixels.
        width: likewise.
        place: (3,) metres in the world, the middle of its way.
        target: (3,) metres, what it looks at.
        sway: (3,) metres of its way along the world's axes, 0 for a tripod.
        rate: frames per second.
    """

    name: str
    intrinsics: Floats
    height: int
    width: int
    place: Floats
    target: Floats
    sway: Floats
    rate: float

    @property
    def moves(self) -> bool:
        """Whether frames are seen from different places."""
        return bool(self.sway.any())

    def world_T_camera(self, frame: int) -> Floats:
        """(4, 4) rigid transform from camera axes (x right, y down, z forward) to the world, metres."""
        seconds = frame / self.rate
        waves = np.sin(2 * np.pi * seconds * np.array([0.083, 0.131, 0.061]) + (0, 1, 2))
        place = self.place + self.sway * waves
        target = self.target - 0.6 * self.sway * np.roll(waves, 1)
        forward = (target - place) / np.linalg.norm(target - place)
        right = np.cross(forward, (0, 1, 0))  # the world's y is up
        right = right / np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
        pose[:3, 3] = place
        return pose

    def at(self, frame: int) -> Camera:
        """The camera in the product's terms."""
        world_T_camera = self.world_T_camera(frame)
        rotation = world_T_camera[:3, :3]
        camera_T_world = np.eye(4)
        camera_T_world[:3, :3] = rotation.T
        camera_T_world[:3, 3] = -rotation.T @ world_T_camera[:3, 3]
        return Camera(self.intrinsics, camera_T_world)


def three_cameras(*, height: int, width: int, rate: float, moving: bool = True) -> tuple[TruthCamera, ...]:
    """In an arc before the middle of the world; the first looks straight ahead, the second moves if asked to."""
    intrinsics = np.array([[FOCAL * width, 0, (width - 1) / 2], [0, FOCAL * width, (height - 1) / 2], [0, 0, 1]])
    found = []
    for index, (azimuth, distance, above) in enumerate(zip(np.radians(_AZIMUTHS), _DISTANCES, _HEIGHTS, strict=True)):
        place = np.array([distance * np.sin(azimuth), above, -distance * np.cos(azimuth)])
        found.append(
            TruthCamera(
                name=f"cam{index + 1:02d}",
                intrinsics=intrinsics,
                height=height,
                width=width,
                place=place,
                target=np.array([0.0, 0.95, 0.0]),
                sway=np.array([0.5, 0.12, 0.25]) if moving and index == 1 else np.zeros(3),
                rate=rate,
            )
        )
    return tuple(found)
