"""Two calibrated cameras and one person, for the tests of the epipolar evidence."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from benchmarks.simulation.cameras import Scene
from benchmarks.simulation.geometry import simulate_calibrated_scene
from stages.sync.features import Grid, video_grid
from stages.sync.plane_tracks import PlaneTrack, plane_tracks
from stages.sync.tracks import PersonTrack, VideoTracks

RATE = 30.0


@cache
def simulate(seed: int, *, seconds: float = 10.0, level: str = "clean", max_start: float = 3.0) -> Scene:
    generator = np.random.default_rng(seed)
    return simulate_calibrated_scene(generator, cameras=2, seconds=seconds, level=level, max_start=max_start)


def couple(a: VideoTracks, b: VideoTracks) -> tuple[PlaneTrack, PlaneTrack] | None:
    assert a.camera is not None
    assert b.camera is not None
    grids: tuple[Grid, Grid] = (video_grid(a, RATE), video_grid(b, RATE))
    return plane_tracks(a.persons[0], b.persons[0], (a.camera, b.camera), grids)


def true_lag(scene: Scene) -> float:
    """In steps of the grid."""
    grids = [video_grid(video, RATE) for video in scene.videos]
    between = grids[0].origin - grids[1].origin
    return float(scene.start_times[1] - scene.start_times[0] - between) * RATE


def with_points(video: VideoTracks, points: np.ndarray | None) -> VideoTracks:
    track: PersonTrack = video.persons[0]
    return replace(video, persons=(replace(track, image_points=points),))


def points_of(video: VideoTracks) -> np.ndarray:
    points = video.persons[0].image_points
    assert points is not None
    return points.copy()


def standing_still(video: VideoTracks, *, noise: float, seed: int) -> VideoTracks:
    """The person of the first frame throughout, with the detector's noise in pixels."""
    points = np.repeat(points_of(video)[:1], len(video.persons[0].times), axis=0)
    return with_points(video, points + noise * np.random.default_rng(seed).standard_normal(points.shape))
