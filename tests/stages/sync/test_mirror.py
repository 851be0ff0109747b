from __future__ import annotations

import numpy as np

from benchmarks.simulation.cameras import Outlier, simulate_scene
from stages.sync.evidence import gather
from stages.sync.mirror import mirrored_videos
from stages.sync.placement import components


def _mirrored(seed: int, **settings: object) -> list[int]:
    scene = simulate_scene(np.random.default_rng(seed), seconds=30, **settings)  # type: ignore[arg-type]
    evidence = gather(scene.videos, max_offset=60)
    found, _ = components(evidence)
    return mirrored_videos(evidence, found[0])


def test_a_mirrored_walker_is_found_among_three_cameras_and_more():
    for seed, cameras in ((0, 3), (1, 5)):
        outliers = {1: Outlier.MIRRORED}
        assert _mirrored(seed, cameras=cameras, level="medium", activities=("walk",), outliers=outliers) == [1]


def test_sound_videos_and_strangers_are_not_called_mirrored():
    for seed in range(3):
        assert _mirrored(seed, cameras=4, level="hard") == []
    assert _mirrored(7, cameras=5, level="medium", outliers={2: Outlier.ELSEWHERE}) == []


def test_of_two_videos_nobody_can_tell():
    assert _mirrored(3, cameras=2, level="easy") == []
