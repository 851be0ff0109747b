import dataclasses
import json
import tracemalloc

import numpy as np
import pytest

from common.artifacts import bodies
from common.artifacts.bodies import PersonBody, load_person, save_person, save_summary
from common.artifacts.npz import NpzWriter
from common.errors import BadInput


def projected(keypoints, place, focal, centre):
    """(N, 70, 2) float32 pixels, by a camera matrix."""
    pixels = np.empty((*keypoints.shape[:2], 2), np.float32)
    for row, ((fx, fy), (cx, cy)) in enumerate(zip(np.broadcast_to(focal, (len(place), 2)), centre, strict=True)):
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)
        seen = (keypoints[row].astype(np.float64) + place[row]) @ matrix.T
        pixels[row] = seen[:, :2] / seen[:, 2:]
    return pixels


def a_body(person=3, rows=6, **changes):
    rng = np.random.default_rng(person)

    def numbers(*shape):
        return rng.normal(0, 1, (rows, *shape)).astype(np.float32)

    keypoints, confidence = numbers(70, 3), rng.random((rows, 70), np.float32)
    place, centre = 0.1 * numbers(3) + np.float32([0.5, 0, 7]), 100 * numbers(2) + np.float32(500)
    keypoints[:, 21:40] = np.nan
    confidence[:, 21:40] = 0
    body = PersonBody(
        person=person,
        frame_indices=np.arange(4, 4 + 2 * rows, 2, dtype=np.int32),
        pred_keypoints_3d=keypoints,
        pred_keypoints_2d=projected(keypoints, place, 1200, centre),
        pred_cam_t=place,
        focal_length=np.full(rows, 1200, np.float32),
        bbox=numbers(4),
        times=np.arange(rows) / 30 + 1.5,
        confidence=confidence,
        principal_point=centre,
    )
    if np.ndim(changes.get("focal_xy")) == 2:
        changes.setdefault("pred_keypoints_2d", projected(keypoints, place, changes["focal_xy"], centre))
    return dataclasses.replace(body, **changes)


@pytest.fixture
def folder(tmp_path):
    people = {3: a_body(3), 12: a_body(12, 2)}
    for body in people.values():
        save_person(tmp_path, body)
    save_summary(tmp_path, "cam01", people)
    return tmp_path


def test_a_person_is_saved_under_the_names_of_the_original(folder):
    with np.load(folder / "person_3.npz") as archive:
        shapes = {name: (archive[name].shape, archive[name].dtype.name) for name in archive.files}
        assert np.array_equal(archive["pred_keypoints_3d"], a_body().pred_keypoints_3d, equal_nan=True)
    assert shapes == {
        "frame_indices": ((6,), "int32"),
        "pred_keypoints_3d": ((6, 70, 3), "float32"),
        "pred_keypoints_2d": ((6, 70, 2), "float32"),
        "pred_cam_t": ((6, 3), "float32"),
        "focal_length": ((6,), "float32"),
        "bbox": ((6, 4), "float32"),
        "times": ((6,), "float64"),
        "confidence": ((6, 70), "float32"),
        "principal_point": ((6, 2), "float32"),
    }


def test_what_is_saved_is_loaded(folder):
    loaded = bodies.load(folder)
    assert list(loaded) == [3, 12]
    for name, values in a_body().arrays.items():
        np.testing.assert_array_equal(loaded[3].arrays[name], values, err_msg=name)
    np.testing.assert_array_equal(
        loaded[12].keypoints_camera[1, 5], a_body(12, 2).pred_keypoints_3d[1, 5] + a_body(12, 2).pred_cam_t[1]
    )
    bodies.validate(folder)


def test_the_summary_is_that_of_the_original(folder):
    summary = json.loads((folder / "body_params_summary.json").read_text())
    assert summary["video_id"] == "cam01"
    assert list(summary["persons"]) == ["3", "12"]
    assert summary["persons"]["3"]["num_frames"] == 6
    assert summary["persons"]["3"]["frame_range"] == [4, 14]
    assert summary["persons"]["12"]["param_shapes"]["pred_keypoints_3d"] == [2, 70, 3]


def test_parameters_of_a_body_model_are_optional_and_read_on_request(tmp_path):
    parametric = {
        "shape_params": np.ones((6, 45), np.float32),
        "pred_vertices": np.ones((6, 18439, 3), np.float32),
    }
    path = save_person(tmp_path, a_body(parametric=parametric))
    assert set(load_person(path).parametric) == {"shape_params", "pred_vertices"}
    assert np.array_equal(load_person(path).parametric["pred_vertices"], parametric["pred_vertices"])
    assert load_person(path, parametric=False).parametric == {}
    assert bodies.load(tmp_path)[3].parametric == {}
    assert set(bodies.load(tmp_path, parametric=("shape_params", "feature"))[3].parametric) == {"shape_params"}


def test_meshes_parameters_and_features_come_in_the_forms_of_every_backend(tmp_path):
    for person, (vertices, kind, width) in enumerate(
        [(18439, np.float16, 1280), (6890, np.float32, 64), (6890, np.float16, 7)], 1
    ):
        parametric = {
            "pred_vertices": np.full((2, vertices, 3), 0.25, kind),
            "smpl_vertices": np.full((2, 6890, 3), 0.5, np.float16),
            "smpl_pose": np.full((2, 72), 1, np.float32),
            "smpl_betas": np.full((2, 10), 2, np.float32),
            "smpl_trans": np.full((2, 3), 3, np.float32),
            "keypoint_uncertainty": np.full((2, 70), 0.02, np.float32),
            "feature": np.full((2, width), 0.1, kind),
        }
        loaded = load_person(save_person(tmp_path, a_body(person, 2, parametric=parametric)))
        assert {name: array.dtype for name, array in loaded.parametric.items()} == {
            name: array.dtype for name, array in parametric.items()
        }
        for name, array in parametric.items():
            np.testing.assert_array_equal(loaded.parametric[name], array, err_msg=name)


def test_a_mesh_on_disk_is_written_without_being_held(tmp_path):
    rows = 300
    path = tmp_path / ".mesh"
    mesh = np.memmap(path, np.float16, "w+", shape=(rows, 18439, 3))
    mesh[:] = np.arange(rows, dtype=np.float16)[:, None, None]
    mesh.flush()
    body = a_body(rows=rows, parametric={"pred_vertices": np.memmap(path, np.float16, "r", shape=(rows, 18439, 3))})
    tracemalloc.start()
    save_person(tmp_path, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6, f"{peak / 1e6:.0f} MB held for a mesh of {mesh.nbytes / 1e6:.0f} MB"
    found = load_person(tmp_path / "person_3.npz", parametric=["pred_vertices"]).parametric["pred_vertices"]
    assert found[:, 7, 1].tolist() == list(range(rows))


def test_what_was_seen_in_the_image_is_kept_apart_from_the_projection(tmp_path):
    seen = a_body().pred_keypoints_2d + np.float32([3, 0])
    loaded = load_person(save_person(tmp_path, a_body(observed_keypoints_2d=seen)), parametric=False)
    assert np.array_equal(loaded.image_keypoints, seen, equal_nan=True)
    assert np.array_equal(loaded.pred_keypoints_2d, a_body().pred_keypoints_2d, equal_nan=True)
    loaded = load_person(save_person(tmp_path, a_body()))
    assert loaded.observed_keypoints_2d is None
    assert loaded.image_keypoints is loaded.pred_keypoints_2d


def test_a_video_with_nobody_has_an_empty_summary(tmp_path):
    save_summary(tmp_path, "cam01", {})
    bodies.validate(tmp_path)
    assert bodies.load(tmp_path) == {}


BODY = a_body()
BREAKS = {
    "other skeleton": (
        {"pred_keypoints_3d": np.zeros((6, 33, 3))},
        r"pred_keypoints_3d: expected \(6, 70, 3\) float32, got \(6, 33, 3\) float64",
    ),
    "other length": ({"times": BODY.times[:5]}, r"times: expected \(6,\) float64, got \(5,\) float64"),
    "going back": ({"times": BODY.times[::-1].copy()}, "times: expected increasing values, got 1.6"),
    "frame twice": (
        {"frame_indices": BODY.frame_indices // 4},
        "frame_indices: expected increasing values, got 1 before 1",
    ),
    "before the start": ({"frame_indices": BODY.frame_indices - 9}, "frame_indices: expected >= 0, got -5"),
    "no time": ({"times": BODY.times * np.nan}, "times: expected finite values, got 6 that are not"),
    "too sure": ({"confidence": BODY.confidence + 1}, r"confidence: expected values in \[0, 1\], got"),
    "sure of nothing": (
        {"confidence": np.full((6, 70), 0.5, np.float32)},
        r"confidence: expected 0 where pred_keypoints_3d is NaN, got 0.5 at \[0, 21\]",
    ),
    "seen is not projected": (
        {"pred_keypoints_2d": BODY.pred_keypoints_2d + np.float32([0, 0.05])},
        r"pred_keypoints_2d: expected the projection .* within 0.01 px, got 0.05 px off at \[0, 0\]",
    ),
    "one point of many": (
        {"pred_keypoints_2d": np.where(np.arange(70)[:, None] == 44, 3, BODY.pred_keypoints_2d)},
        r"pred_keypoints_2d: expected the projection .* px off at \[0, 44\]",
    ),
    "mesh": (
        {"parametric": {"pred_vertices": np.zeros((6, 10475, 3), np.float16)}},
        r"pred_vertices: expected \(n, 18439, 3\) float16 or .*\(n, 6890, 3\) float32, got \(6, 10475, 3\) float16",
    ),
    "mesh without end": (
        {"parametric": {"pred_vertices": np.zeros((5, 6890, 3), np.float16)}},
        r"pred_vertices: expected \(6, 6890, 3\) float16, got \(5, 6890, 3\) float16",
    ),
    "feature": (
        {"parametric": {"feature": np.zeros((6, 8), np.int32)}},
        r"feature: expected \(n, n\) float16 or \(n, n\) float32, got \(6, 8\) int32",
    ),
    "parameter": (
        {"parametric": {"shape_params": np.zeros((6, 44), np.float32)}},
        r"shape_params: expected \(6, 45\) float32, got \(6, 44\) float32",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_what_breaks_the_contract_is_named(tmp_path, changes, message):
    broken = a_body(**changes)
    with pytest.raises(BadInput, match=message):
        save_person(tmp_path, broken)
    assert list(tmp_path.iterdir()) == []
    with NpzWriter(tmp_path / "person_3.npz") as writer:
        for name, values in broken.arrays.items():
            writer.write(name, values)
    with pytest.raises(BadInput, match=rf"bodies .*person_3\.npz: {message}"):
        load_person(tmp_path / "person_3.npz")


def test_unknown_parameters_persons_without_frames_and_impossible_ids_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"parametric: .* got \['mood'\]"):
        save_person(tmp_path, a_body(parametric={"mood": np.zeros((6, 1), np.float32)}))
    with pytest.raises(BadInput, match="at least one frame"):
        save_person(tmp_path, a_body(rows=0))
    with pytest.raises(BadInput, match=r"1\.\.65535 .* got 70000"):
        save_person(tmp_path, a_body(70_000))
    with pytest.raises(BadInput, match="expected a name like person_1"):
        load_person(tmp_path / "person_x.npz")


def test_a_summary_that_disagrees_with_the_files_is_named(folder):
    path = folder / "body_params_summary.json"
    summary = json.loads(path.read_text())
    summary["persons"]["3"]["frame_range"] = [0, 14]
    path.write_text(json.dumps(summary))
    with pytest.raises(BadInput, match=r"persons\['3'\]: num_frames, frame_range: expected \(6, \[4, 14\]\), got"):
        bodies.validate(folder)
    (folder / "person_12.npz").unlink()
    with pytest.raises(BadInput, match=r"persons: expected \['3'\], got \['12', '3'\]"):
        bodies.validate(folder)
    path.write_text("[]")
    with pytest.raises(BadInput, match=r"expected \{video_id: text, persons: object\}"):
        bodies.validate(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        bodies.validate(folder)


def test_both_focal_lengths_are_kept_and_files_with_one_are_read(tmp_path):
    both = np.tile(np.array([1210, 1190], np.float32), (6, 1))
    loaded = load_person(save_person(tmp_path, a_body(focal_xy=both)))
    assert np.array_equal(loaded.focal_xy, both)
    assert np.array_equal(loaded.focal, both)
    loaded = load_person(save_person(tmp_path, a_body()))
    assert loaded.focal_xy is None
    assert loaded.focal.tolist() == [[1200, 1200]] * 6
    with pytest.raises(BadInput, match=r"focal_xy: expected \(6, 2\) float32, got \(6,\) float32"):
        save_person(tmp_path, a_body(focal_xy=both[:, 0]))
