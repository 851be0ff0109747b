"""Landmarks over time become a valid body whose 2D and 3D agree."""

import numpy as np

from common.artifacts import bodies as bodies_artifact
from common.skeletons import BLAZEPOSE_TO_MHR70, HIPS, INDEX
from stages.body import assemble
from stages.body.assemble import LandmarkTrack, body_from_landmarks, reprojection_px
from stages.body.placement import Intrinsics
from tests.stages.body.scenes import HEIGHT, MATRIX, WIDTH, project, walking

STAND = np.array([0.2, 0.1, 4.0])
FRAMES = 40


def make_body(*, noise=0.0, visibility=1.0):
    truth = walking(FRAMES)
    track = LandmarkTrack(
        frame=np.arange(0, 2 * FRAMES, 2),
        image=project(truth + STAND),
        world=truth + np.random.default_rng(0).normal(0, noise, truth.shape),
        visibility=np.full((FRAMES, 33), visibility),
        presence=np.ones((FRAMES, 33)),
        hidden=np.zeros((FRAMES, 33), bool),
        box=np.tile([10.0, 20, 30, 40], (FRAMES, 1)),
    )
    times = np.arange(2 * FRAMES) / 50 + 1.5
    body = body_from_landmarks(7, track, times, camera=Intrinsics.from_matrix(MATRIX), height=HEIGHT, width=WIDTH)
    return body, truth


def test_a_body_keeps_the_contract_and_is_where_it_was(tmp_path):
    body, truth = make_body()
    bodies_artifact.save_person(tmp_path, body)
    loaded = bodies_artifact.load(tmp_path)[7]
    assert loaded.frame_indices[:3].tolist() == [0, 2, 4]
    assert np.allclose(loaded.times[:3], [1.5, 1.54, 1.58])
    worst = np.abs(loaded.keypoints_camera[:, INDEX["left_ankle"]] - (truth[:, 27] + STAND)).max()
    assert worst < 1e-4, f"{worst:.1e} m"
    assert np.abs(loaded.pred_keypoints_3d[:, list(HIPS)].mean(axis=1)).max() < 1e-6, "the mid-hip is the origin"


def test_noisy_joints_agree_with_the_image_all_the_same():
    body, truth = make_body(noise=0.04)
    residual = np.median(reprojection_px(body))
    assert residual < 2, f"{residual:.1f} px; the raw joints are 11 px off"
    landmarks = list(BLAZEPOSE_TO_MHR70.values())
    assert np.allclose(body.observed_keypoints_2d[:, landmarks], project(truth + STAND)[:, list(BLAZEPOSE_TO_MHR70)])
    apart = np.nanmax(np.linalg.norm(body.pred_keypoints_2d - body.observed_keypoints_2d, axis=2))
    assert apart > 0.5, f"at most {apart:.2f} px between the projection and what was seen"
    wrist = np.linalg.norm(body.keypoints_camera[:, INDEX["left_wrist"]] - (truth[:, 15] + STAND), axis=1).mean()
    assert wrist < 0.06, f"{wrist * 1e3:.0f} mm"


def test_who_cannot_be_placed_has_joints_and_no_place():
    body, _ = make_body(visibility=0.1)
    assert np.isnan(body.pred_cam_t).all()
    assert np.isfinite(body.pred_keypoints_3d[:, INDEX["left_knee"]]).all()
    assert np.isnan(body.pred_keypoints_2d).all()
    assert np.isfinite(body.observed_keypoints_2d[:, INDEX["left_knee"]]).all()
    assert np.isnan(reprojection_px(body)).all()


def test_the_file_projects_exactly_where_focal_lengths_differ(tmp_path):
    body, _ = make_body()  # 800 and 790 px
    bodies_artifact.save_person(tmp_path, body)
    loaded = bodies_artifact.load(tmp_path)[7]
    worst = reprojection_px(loaded).max()
    assert worst < 0.01, f"{worst:.4f} px"
    joints = loaded.keypoints_camera[:, list(BLAZEPOSE_TO_MHR70.values())]
    (fx, fy), (cx, cy) = loaded.focal_xy[0], loaded.principal_point[0]
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    for seen in (loaded.pred_keypoints_2d, loaded.observed_keypoints_2d):
        assert np.abs(project(joints, matrix) - seen[:, list(BLAZEPOSE_TO_MHR70.values())]).max() < 0.01
    assert loaded.focal_length.tolist() == [795.0] * FRAMES


def test_the_residual_of_a_long_track_is_that_of_its_pieces(monkeypatch):
    body, _ = make_body(noise=0.04)
    whole = reprojection_px(body)
    monkeypatch.setattr(assemble, "_CHUNK", 7)
    assert np.array_equal(reprojection_px(body), whole)
