"""Depths of single solids against points that are tested one by one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.synth.body import Part
from tests.synth.raster import Lens, Solids, view

LENS = Lens.of(np.array([[90.0, 0, 40], [0, 90.0, 30], [0, 0, 1]]), height=60, width=80)
NOTHING = np.zeros(3)
SHAPES = {
    "capsule": Part(0, NOTHING, np.array([0.0, 0.5, 0.1]), np.full(3, 0.15), "cloth"),
    "ellipsoid": Part(0, NOTHING, NOTHING, np.array([0.4, 0.2, 0.1]), "cloth"),
    "box": Part(0, NOTHING, NOTHING, np.array([0.3, 0.2, 0.25]), "cloth", box=True),
}


def inside(part, points):
    """Whether (..., 3) points in the part's axes lie within it."""
    if part.box:
        return (np.abs(points) <= part.radii).all(-1)
    if not part.along.any():
        return ((points / part.radii) ** 2).sum(-1) <= 1
    share = np.clip(points @ part.along / (part.along @ part.along), 0, 1)
    return np.linalg.norm(points - share[..., None] * part.along, axis=-1) <= part.radii[0]


@pytest.mark.parametrize("place", [(0.0, 0.0, 2.0), (0.6, -0.4, 1.8), (-1.1, 0.2, 2.5)], ids=["middle", "side", "edge"])
@pytest.mark.parametrize("shape", SHAPES)
def test_depth_is_where_a_ray_first_meets_the_solid(shape, place):
    part, place = SHAPES[shape], np.array(place)
    turn, _ = cv2.Rodrigues(np.array([0.4, -0.8, 0.3]))
    seen = view(LENS, Solids.of([part]), place[None], turn[None])
    depth = np.full((60, 80), np.inf, np.float32)
    depth[seen.window] = seen.depth

    columns, rows = np.meshgrid(np.arange(80), np.arange(60))
    rays = np.stack([(columns - 40) / 90, (rows - 30) / 90, np.ones((60, 80))], axis=-1)
    steps = np.arange(1.0, 3.5, 0.004)
    hits = np.stack([inside(part, (rays * step - place) @ turn) for step in steps])
    expected = np.where(hits.any(0), steps[hits.argmax(0)], np.inf)

    both = np.isfinite(depth) & np.isfinite(expected)
    assert both.sum() > 60
    assert (np.isfinite(depth) != np.isfinite(expected)).sum() <= 3, "rays that graze may differ"
    late = expected[both] - depth[both]  # the march stops within a step behind the surface, unless it grazes an edge
    assert np.percentile(late, 98) < 0.005
    assert late.min() > -1e-4


def test_what_is_behind_the_camera_or_out_of_the_world_is_not_seen():
    for place in ([0.0, 0.0, -2.0], [0.0, 0.0, 0.2], [np.nan, 0.0, 2.0], [9.0, 0.0, 2.0]):
        seen = view(LENS, Solids.of([SHAPES["box"]]), np.array([place]), np.eye(3)[None])
        assert not np.isfinite(seen.depth).any()
