import dataclasses

import numpy as np
import pytest

from common.artifacts import landmarks
from common.artifacts.landmarks import Landmarks
from common.artifacts.npz import NpzWriter
from common.errors import BadInput


def some_landmarks():
    rng = np.random.default_rng(0)
    person, frame = np.array([1, 1, 1, 3, 3], np.uint16), np.array([0, 1, 7, 1, 2], np.int32)
    rows = len(frame)
    return Landmarks(
        frame=frame,
        person=person,
        image=rng.uniform(0, 1000, (rows, 33, 2)).astype(np.float32),
        world=rng.normal(0, 1, (rows, 33, 3)).astype(np.float32),
        visibility=rng.random((rows, 33), np.float32),
        presence=rng.random((rows, 33), np.float32),
        score=rng.random(rows, np.float32),
        region=rng.uniform(0, 100, (rows, 4)).astype(np.float32),
    )


def test_what_is_saved_is_loaded_and_numpy_reads_it_too(tmp_path):
    saved = some_landmarks()
    landmarks.save(tmp_path / "landmarks.npz", saved)
    loaded = landmarks.load(tmp_path / "landmarks.npz")
    with np.load(tmp_path / "landmarks.npz") as archive:
        for field in dataclasses.fields(Landmarks):
            expected = getattr(saved, field.name)
            assert np.array_equal(getattr(loaded, field.name), expected), field.name
            assert np.array_equal(archive[field.name], expected), field.name
    assert (len(loaded), loaded.people) == (5, (1, 3))


def test_one_person_has_its_own_rows_in_the_order_of_the_frames():
    whole = some_landmarks()
    third = whole.of(3)
    assert third.frame.tolist() == [1, 2]
    assert np.array_equal(third.world, whole.world[3:])
    assert len(whole.of(2)) == 0
    assert len(whole.of(65_535)) == 0


def test_nobody_is_saved_as_empty_arrays(tmp_path):
    landmarks.save(tmp_path / "landmarks.npz", some_landmarks().of(2))
    assert len(landmarks.load(tmp_path / "landmarks.npz")) == 0
    landmarks.validate(tmp_path / "landmarks.npz")


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        (
            "world",
            lambda a: a.astype(np.float64),
            r"world: expected \(5, 33, 3\) float32, got \(5, 33, 3\) float64",
        ),
        ("image", lambda a: a[:4], r"image: expected \(5, 33, 2\) float32, got \(4, 33, 2\) float32"),
        ("image", lambda a: a * np.nan, "image: expected finite values, got 330 that are not"),
        ("presence", lambda a: a + 2, r"presence: expected values in \[0, 1\], got [23]\.\d+ \(165 such\)"),
        ("score", lambda a: a * np.nan, r"score: expected values in \[0, 1\], got nan \(5 such\)"),
        ("person", lambda a: a * 0, "expected at least 0 and 1, got 0 and 0"),
        ("frame", lambda a: a - 1, "expected at least 0 and 1, got -1 and 1"),
        ("frame", lambda a: a * 0, "row 1 has person 1, frame 0"),
        ("person", lambda a: a[::-1].copy(), "row 2 has person 1, frame 7"),
    ],
)
def test_what_breaks_the_contract_is_named(tmp_path, field, change, message):
    broken = dataclasses.replace(some_landmarks(), **{field: change(getattr(some_landmarks(), field))})
    with pytest.raises(BadInput, match=message):
        landmarks.save(tmp_path / "landmarks.npz", broken)
    with NpzWriter(tmp_path / "landmarks.npz") as writer:
        for name, values in dataclasses.asdict(broken).items():
            writer.write(name, values)
    with pytest.raises(BadInput, match=rf"landmarks .*landmarks\.npz: .*{message}"):
        landmarks.validate(tmp_path / "landmarks.npz")


def test_a_missing_field_is_named(tmp_path):
    with NpzWriter(tmp_path / "landmarks.npz") as writer:
        for name, values in dataclasses.asdict(some_landmarks()).items():
            if name != "region":
                writer.write(name, values)
    with pytest.raises(BadInput, match=r"region: expected \(n, 4\) float32, but it is missing"):
        landmarks.load(tmp_path / "landmarks.npz")
