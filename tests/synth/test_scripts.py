"""What the scripts promise happens, in the frames they say."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from common.skeletons import INDEX
from tests.synth.scripts import crowd_scene, late_arrivals, two_cross
from tests.synth.ways import ACT


@cache
def crowd():
    return crowd_scene(0, people=5, frames=600)


def events(scene, kind):
    return [event for event in scene.events if event.kind == kind]


@pytest.mark.parametrize(("seed", "hidden"), [(0, 10), (1, 10), (2, 4), (3, 20)])
def test_somebody_is_hidden_for_exactly_as_many_frames_as_asked(seed, hidden):
    scene = two_cross(seed, hidden=hidden)
    (event,) = scene.events
    visible = [(scene.labels(0, frame) == 2).any() for frame in range(event.first - 8, event.last + 9)]
    assert visible == [True] * 8 + [False] * hidden + [True] * 8
    assert all(scene.silhouette(0, frame, 2).any() for frame in range(event.first, event.last + 1))
    assert scene.visible_fraction(0, event.first)[1] == 0


@pytest.mark.parametrize("seed", [0, 5])
def test_a_crowd_has_an_occlusion_of_ten_frames_too(seed):
    scene = crowd_scene(seed, frames=120)
    (event,) = events(scene, "hidden")
    assert event.people == (2, 1)
    assert event.camera == 0
    around = range(event.first - 3, event.last + 4)
    assert [(scene.labels(0, frame) == 2).any() for frame in around] == [True] * 3 + [False] * 10 + [True] * 3


def test_every_act_has_its_occlusion():
    scene = crowd_scene(0, people=2, frames=int((ACT + 5) * 30))
    assert [event.last - event.first + 1 for event in events(scene, "hidden")] == [10, 10]


def test_somebody_disappears_behind_the_pillar_in_the_first_camera():
    scene = crowd()
    (event,) = events(scene, "behind pillar")
    (person,) = event.people
    assert not any((scene.labels(0, frame) == person).any() for frame in range(event.first, event.last + 1, 3))
    before, after = event.first - 60, event.last + 60
    assert (scene.labels(0, before) == person).any()
    assert (scene.labels(0, after) == person).any()


@pytest.mark.parametrize("seed", range(3))
def test_whoever_leaves_or_enters_the_world_does_so_outside_of_every_picture(seed):
    scene = crowd_scene(seed, people=4, frames=700, height=180, width=320)
    absences = [event for event in events(scene, "absent") if event.last < 699]
    assert {event.people for event in absences} == {(2,), (4,)}
    for event in absences:
        (person,) = event.people
        assert np.isnan(scene.joints(event.first)[person - 1]).all()
        for frame in (event.first - 1, event.last + 1):
            if 0 <= frame < scene.frames:
                assert np.isfinite(scene.joints(frame)[person - 1]).all()
                assert not any(scene.silhouette(camera, frame, person).any() for camera in range(3))


def test_somebody_comes_back_after_a_long_absence():
    (event,) = [event for event in events(crowd(), "absent") if event.people == (2,)]
    scene = crowd()
    assert event.last - event.first > 100
    for frames in (range(0, event.first, 20), range(event.last, 600, 20)):
        assert max((scene.labels(0, frame) == 2).sum() for frame in frames) > 300


def test_somebody_leaves_the_picture_without_leaving_the_world():
    scene = crowd()
    out = [frame for frame in range(480, 590, 10) if not scene.silhouette(0, frame, 1).any()]
    assert len(out) >= 3
    assert all(np.isfinite(scene.joints(frame)[0]).all() for frame in out)


def test_two_people_who_hug_touch_in_the_world_and_in_the_picture():
    scene = crowd()
    (event,) = events(scene, "embrace")
    joints = scene.joints(event.first)
    necks = joints[[0, 3], INDEX["neck"]]
    assert np.linalg.norm((necks[0] - necks[1])[[0, 2]]) < 0.7
    labels = scene.labels(0, event.first)
    first, second = (cv2.dilate((labels == person).astype(np.uint8), np.ones((3, 3))) for person in event.people)
    assert (first & second).sum() > 20
    for person in (0, 3):
        wrist = joints[person, INDEX["left_wrist"]]
        assert np.linalg.norm((wrist - necks[0 if person else 1])[[0, 2]]) < 0.45


def test_whoever_stands_still_stays_where_they_are():
    for event in events(crowd(), "still"):
        (person,) = event.people
        ankles = np.array(
            [crowd().joints(frame)[person - 1, INDEX["left_ankle"]] for frame in range(event.first, event.last + 1)]
        )
        assert np.ptp(ankles, axis=0).max() < 0.05, event


def test_late_arrivals_come_when_the_events_say():
    scene = late_arrivals(0)
    absences = events(scene, "absent")
    assert [(event.people, event.first) for event in absences] == [((2,), 0), ((3,), 0)]
    for event in absences:
        (person,) = event.people
        assert not any(scene.silhouette(camera, event.last + 1, person).any() for camera in range(3))
        assert any(scene.silhouette(camera, event.last + 150, person).any() for camera in range(3))
    assert (scene.labels(0, 0) == 1).any()


def test_nobody_walks_into_a_camera():
    scene = crowd()
    for frame in range(0, 600, 10):
        for camera in range(3):
            place = scene.cameras[camera].world_T_camera(frame)[:3, 3]
            assert np.nanmin(np.linalg.norm(scene.joints(frame) - place, axis=-1)) > 1.0


def test_people_do_not_walk_through_each_other():
    scene = crowd()
    (hug,) = events(scene, "embrace")
    for frame in range(0, 600, 3):
        if not hug.first - 30 <= frame <= hug.last + 45:
            pelvis = scene.joints(frame)[:, [INDEX["left_hip"], INDEX["right_hip"]]].mean(1)[:, [0, 2]]
            apart = np.linalg.norm(pelvis[:, None] - pelvis, axis=-1)[np.triu_indices(5, 1)]
            assert np.nanmin(apart) > 0.5, f"frame {frame}: {np.nanmin(apart):.2f} m"


def test_things_have_classes_and_ids_after_the_people():
    scene = crowd_scene(0, people=2, frames=90, things=("box", "ball"))
    assert scene.classes == {1: "person", 2: "person", 3: "box", 4: "ball"}
    assert scene.people == (1, 2)
    assert scene.joints(0).shape == (2, 70, 3)
    assert {3, 4} <= {int(i) for frame in (0, 45, 89) for i in np.unique(scene.labels(1, frame))}
    assert crowd_scene(0, people=1, frames=30).classes == {1: "person"}


@pytest.mark.parametrize("people", [0, 1, 2, 3, 9])
def test_any_number_of_people(people):
    scene = crowd_scene(6, people=people, frames=40, height=120, width=200)
    assert scene.joints(3).shape == (people, 70, 3)
    assert scene.visible_fraction(0, 3).shape == (people,)
    assert scene.image(1, 3).shape == (120, 200, 3)


def test_unknown_things_and_impossible_occlusions_are_refused():
    with pytest.raises(ValueError, match="'ball' or 'box'"):
        crowd_scene(0, frames=40, things=("dog",))
    with pytest.raises(ValueError, match="exactly 4000 frames"):
        two_cross(0, hidden=4000, height=90, width=160)
