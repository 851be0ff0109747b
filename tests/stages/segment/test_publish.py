"""Landmarks go to the disk as they come, and into the artifact sorted."""

import numpy as np

from common.artifacts import landmarks as landmarks_artifact
from common.models.blazepose_landmarks import Landmarks33
from common.models.regions import Region
from stages.segment.backends import Tracked, TrackFrame
from stages.segment.publish import _ROW, LandmarkRows

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
