from __future__ import annotations

import numpy as np

from benchmarks.simulation.cameras import simulate_scene
from stages.sync.evidence import gather
from stages.sync.placement import components, place
from stages.sync.tracks import VideoTracks


def _renamed(videos: tuple[VideoTracks, ...], prefix: str) -> list[VideoTracks]:
    return [VideoTracks(prefix + video.video, video.persons) for video in videos]


def test_cameras_that_share_nothing_form_components_of_their_own():
    first = simulate_scene(np.random.default_rng(0), cameras=3, seconds=30)
    second = simulate_scene(np.random.default_rng(1), cameras=2, seconds=30)
    evidence = gather([*_renamed(first.videos, "a"), *_renamed(second.videos, "b")], max_offset=60)
    found, _ = components(evidence)
    assert [placement.supported for placement in found] == [[0, 1, 2], [3, 4]]
    b = found[1]
    error = (b.starts[4] - b.starts[3]) / evidence.rate - (second.start_times[1] - second.start_times[0])
    assert abs(error) < 0.05, f"{error:.3f} s off"


def test_members_keep_their_positions_in_the_scene():
    scene = simulate_scene(np.random.default_rng(2), cameras=5, seconds=30)
    placement = place(gather(scene.videos, max_offset=60), [4, 1, 3])
    assert placement.members == placement.placed == [1, 3, 4]
    assert set(placement.curves) == {(1, 3), (1, 4), (3, 4)}
    assert {track for link in placement.links for track in (link.a, link.b)} == {(1, 0), (3, 0), (4, 0)}
