"""A person with known joints in front of a known camera, as arrays and as artifacts."""

import numpy as np

from common.artifacts import people as people_artifact
from common.artifacts.label_geometry import people_in
from common.artifacts.masks import Masks, MaskWriter

HEIGHT, WIDTH = 480, 640
MATRIX = np.array([[800.0, 0, 310], [0, 790, 250], [0, 0, 1]])

# A standing person in BlazePose's 33 points, metres, x right, y down, z forward, mid-hip at the origin.
_LEFT = {11: (0.18, -0.5, 0.02), 13: (0.25, -0.22, 0.06), 15: (0.28, 0.02, -0.05), 23: (0.1, 0, 0),
         25: (0.12, 0.42, -0.08), 27: (0.13, 0.82, 0.05), 29: (0.13, 0.88, 0.1), 31: (0.14, 0.9, -0.1)}  # fmt: skip


def standing():
    """(33, 3)."""
    points = np.zeros((33, 3))
    for index, (x, y, z) in _LEFT.items():
        points[index], points[index + 1] = (x, y, z), (-x, y, z)
    for hand in (17, 19, 21):
        points[hand], points[hand + 1] = points[15] + [0, 0.06, 0], points[16] + [0, 0.06, 0]
    points[:11] = [0, -0.7, -0.05]
    points[:11, 0] = np.linspace(-0.08, 0.08, 11)
    return points


def walking(frames, *, seed=0):
    """(frames, 33, 3): the standing person with limbs turning rigidly, so that bones keep their lengths."""
    generator = np.random.default_rng(seed)
    body = np.tile(standing(), (frames, 1, 1))
    phase = np.linspace(0, 4 * np.pi, frames)
    for root, chain in (
        (11, (13, 15, 17, 19, 21)),
        (12, (14, 16, 18, 20, 22)),
        (23, (25, 27, 29, 31)),
        (24, (26, 28, 30, 32)),
    ):
        angle = 0.7 * np.sin(phase + generator.uniform(0, 6))
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        offset = body[:, chain] - body[:, [root]]
        y, z = offset[..., 1] * cos - offset[..., 2] * sin, offset[..., 1] * sin + offset[..., 2] * cos
        body[:, chain] = body[:, [root]] + np.stack([offset[..., 0], y, z], axis=-1)
    return body


def project(points, matrix=MATRIX):
    """Pixels of points in camera axes, written out on its own."""
    homogeneous = points @ matrix.T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def write_masks(folder, label_images):
    """Writes masks and people of these label images (T, H, W) uint16; returns (Masks, PeopleTable)."""
    (folder / "json_data").mkdir(parents=True)
    height, width = label_images[0].shape
    with MaskWriter(folder / "mask_data.npz", height=height, width=width) as writer:
        for frame, labels in enumerate(label_images):
            writer.write(frame, labels)
            people = people_artifact.from_geometry(frame, people_in(labels), height=height, width=width)
            people_artifact.save_frame(folder / "json_data", people)
    return Masks.open(folder / "mask_data.npz"), people_artifact.load_tracks(folder / "json_data")
