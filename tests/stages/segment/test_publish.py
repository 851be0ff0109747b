"""Landmarks go to the disk as they come, and into the artifact sorted."""

import threading

import numpy as np
import pytest

from common.artifacts import landmarks as landmarks_artifact
from common.errors import BadInput
from common.models.blazepose_landmarks import Landmarks33
from common.models.regions import Region
from stages.segment.backends import Tracked, TrackFrame
from stages.segment.publish import _ROW, LandmarkRows, count_classes, packed_in_order

LABELS = np.zeros((2, 2), np.uint16)


def seen(person, frame):
    """Landmarks whose numbers say whose they are."""
    points = np.full((33, 3), person + frame / 100)
    return Landmarks33(
        image=points[:, :2],
        depth=points[:, 0],
        visibility=np.full(33, 0.5),
        presence=np.full(33, 0.25),
        world=-points,
        score=0.75,
        mask=np.zeros((2, 2), np.float32),
        region=Region(person, frame, 50.0, 0.1),
        next_region=Region(0, 0, 1, 0),
    )


def people(frame, *ids):
    return tuple(Tracked(i, 0.75, landmarks=seen(i, frame)) for i in ids)


def test_rows_are_sorted_by_person_then_frame_and_hold_what_was_seen(tmp_path):
    with LandmarkRows(tmp_path) as rows:
        rows.add(TrackFrame(4, 0.1, LABELS, people(4, 1, 3)))
        rows.add(TrackFrame(5, 0.2, LABELS, ()))
        rows.add(TrackFrame(6, 0.3, LABELS, people(6, 1, 2, 3)))
        rows.save(tmp_path / "landmarks.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["landmarks.npz"], "nothing else is left"
    loaded = landmarks_artifact.load(tmp_path / "landmarks.npz")
    assert loaded.person.tolist() == [1, 1, 2, 3, 3]
    assert loaded.frame.tolist() == [4, 6, 6, 4, 6]
    assert np.allclose(loaded.image[:, 32, 1], loaded.person + loaded.frame / 100)
    assert np.allclose(loaded.world[:, 0, 2], -loaded.image[:, 0, 0])
    assert np.allclose(loaded.region, [[p, f, 50, 0.1] for p, f in zip(loaded.person, loaded.frame, strict=True)])
    assert (loaded.score[0], loaded.visibility[0, 0], loaded.presence[0, 0]) == (0.75, 0.5, 0.25)


def test_nobody_is_an_empty_artifact(tmp_path):
    with LandmarkRows(tmp_path) as rows:
        rows.save(tmp_path / "landmarks.npz")
    assert len(landmarks_artifact.load(tmp_path / "landmarks.npz")) == 0


def test_a_row_takes_less_than_a_kilobyte():
    assert _ROW.itemsize == 950


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_frames_come_out_of_the_packing_in_their_order_with_what_is_in_them(threads):
    def slower_for_earlier_frames(frame, labels):
        waited.wait(0.02 if frame < 5 else 0)
        return labels.sum()

    waited = threading.Event()
    results = (
        TrackFrame(i, i / 30, np.full((2, 2), i + 1, np.uint16), (Tracked(i + 1, 0.5, "dog"),)) for i in range(20)
    )
    found = list(packed_in_order(results, slower_for_earlier_frames, threads=threads))
    assert [result.index for result, _, _ in found] == list(range(20))
    assert [packed for _, packed, _ in found] == [4 * (i + 1) for i in range(20)]
    assert [described.people[0].person for _, _, described in found] == list(range(1, 21))
    assert {described.people[0].class_name for _, _, described in found} == {"dog"}


def test_what_goes_wrong_in_the_packing_is_raised_and_the_results_are_not_run_through():
    taken = []

    def results():
        for i in range(1000):
            taken.append(i)
            yield TrackFrame(i, i / 30, LABELS, ())

    def fails(frame, labels):
        raise BadInput("no labels")

    with pytest.raises(BadInput, match="no labels"):
        list(packed_in_order(results(), fails, threads=2))
    assert len(taken) < 10


def test_things_are_counted_by_what_they_are():
    assert count_classes(["person", "dog", "person"]) == {"people": 2, "dog": 1}
    assert count_classes([]) == {"people": 0}


def test_whoever_goes_by_another_word_is_one_of_the_people():
    assert count_classes(["man", "person", "dog", "man", "people"]) == {"people": 4, "dog": 1, "man": 2}
    assert count_classes(["red person"] * 3) == {"people": 3, "red person": 3}
