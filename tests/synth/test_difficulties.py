"""Scenes of one difficulty: who shall be away is away, who shall be hidden is hidden, for as long as was asked."""

import numpy as np
import pytest

from tests.synth.difficulties import Visit, behind_a_third, strollers


def visible(scene, person, step=10):
    """Frames, every so many, in which the first camera sees more than a trace of somebody."""
    return [frame for frame in range(0, scene.frames, step) if (scene.labels(0, frame) == person).sum() > 30]


def test_who_leaves_is_away_and_comes_back_on_the_side_that_was_asked():
    scene = strollers(5, [[Visit(0, 4, leaves=1), Visit(6, 10, enters=-1)], [Visit(0, 10)]], frames=300)
    seen = np.array(visible(scene, 1))
    assert seen.min() == 0
    assert not ((seen > 120) & (seen < 180)).any()
    assert seen.max() > 280
    columns = np.nonzero(scene.labels(0, int(seen[seen > 150][0])) == 1)[1]
    assert columns.mean() > scene.cameras[0].width / 2  # the world's x points to the left of the picture
    assert len(visible(scene, 2)) > 25


def test_who_stands_still_stays_where_they_are():
    scene = strollers(6, [[Visit(0, 6, still=True)]], frames=180)
    place = scene.persons[0].track.place
    assert np.ptp(place[:, 0]) < 0.05


@pytest.mark.parametrize("turns_back", [False, True])
def test_two_meet_behind_the_third_and_walk_on_or_turn_back(turns_back):
    scene = behind_a_third(7, turns_back=turns_back, pause=1.0)
    for person in (1, 2):
        seen = visible(scene, person)
        assert 15 <= scene.frames - 10 * len(seen) <= 75, "hidden for about a second"
        columns = [float(np.nonzero(scene.labels(0, frame) == person)[1].mean()) for frame in (seen[0], seen[-1])]
        middle = scene.cameras[0].width / 2
        assert ((columns[0] < middle) == (columns[1] < middle)) is turns_back


def test_a_seed_gives_one_scene():
    scenes = [strollers(seed, [[Visit(0, 2)]] * 2, frames=60, alike=(1, 2)) for seed in (3, 3, 4)]
    first, again, other = (scene.image(0, 30) for scene in scenes)
    assert (first == again).all()
    assert (first != other).any()
