"""The comparison with the reference recovers what was put in: transform, lag, axes."""

import numpy as np
import pytest

from benchmarks import reference
from common.artifacts import bodies as bodies_artifact
from common.artifacts.bodies import PersonBody
from common.errors import BadInput

FRAMES = 60
CALIBRATION = """
[cam_{number:02d}]
name = "cam_{number:02d}"
size = [1088.0, 1920.0]
matrix = [[1681.0, 0.0, 532.0], [0.0, 1680.0, 948.0], [0.0, 0.0, 1.0]]
distortions = [-0.0007, 0.002, 0.0, 0.0]
rotation = [1.2, {turn}, -1.2]
translation = [0.1, 0.8, 4.0]
fisheye = false
"""


def rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def motion():
    """(FRAMES, 12, 3) metres in the world, z up."""
    generator = np.random.default_rng(0)
    still = generator.uniform([-0.3, -0.3, 0], [0.3, 0.3, 1.7], (12, 3))
    phase = np.linspace(0, 9, FRAMES)[:, None, None] * generator.uniform(0.5, 2, (12, 3))
    return still + 0.15 * np.sin(phase)


def make_body(joints, pixels, *, first=0, person=1):
    """A body with the 12 joints (N, 12, 3) and pixels (N, 12, 2), frames from `first` on."""
    rows = len(joints)
    points, image = np.full((rows, 70, 3), np.nan, np.float32), np.full((rows, 70, 2), np.nan, np.float32)
    points[:, reference.KEYPOINTS], image[:, reference.KEYPOINTS] = joints, pixels
    frames = np.arange(first, first + rows)
    return PersonBody(
        person, frames.astype(np.int32), points, np.full_like(image, np.nan), np.ones((rows, 3), np.float32),
        np.ones(rows, np.float32), np.ones((rows, 4), np.float32), frames / 60,
        np.isfinite(points).all(axis=2).astype(np.float32), np.ones((rows, 2), np.float32), observed_keypoints_2d=image,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A reference folder with four cameras and one moving person, written by hand."""
    cameras = "".join(CALIBRATION.format(number=i, turn=0.3 * i) for i in (1, 2, 3, 4))
    (tmp_path / "Calib_qualisys.toml").write_text(cameras + "\n[metadata]\nerror = 0.0\n")
    names = [*reversed(reference.JOINTS), "Nose"]
    world = np.concatenate([motion()[:, ::-1], np.zeros((FRAMES, 1, 3))], axis=1)
    rows = [
        f"{i + 1}\t{i / 60:.4f}\t" + "\t".join(f"{v:.9f}" for x, y, z in frame for v in (y, z, x))
        for i, frame in enumerate(world)
    ]
    head = [
        "PathFileType\t4\t(X/Y/Z)\tdemo.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits",
        f"60\t60\t{FRAMES}\t13\tm",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\tX1\tY1\tZ1",
    ]
    (tmp_path / "Balancing_for_IK.trc").write_text("\n".join([*head, *rows, ""]))
    return tmp_path


def test_the_files_are_read_in_the_worlds_axes(folder):
    truth = reference.read_reference(folder)
    assert np.abs(truth.joints - motion()).max() < 1e-8
    assert len(truth.cameras) == 4
    camera = truth.cameras[2]
    assert np.allclose(camera.rotation @ camera.rotation.T, np.eye(3))
    centre = -camera.rotation.T @ camera.translation
    ahead = centre + 2 * camera.rotation[2]  # two metres along the optical axis
    assert np.allclose(camera.project(ahead), [532, 948])


def test_a_similarity_transform_does_not_count():
    goal = motion()[0]
    turned = 1.7 * goal @ rotation(3).T + [4, -2, 1]
    assert reference.aligned_distances(turned, goal).max() < 1e-12


def test_a_mirrored_body_does_count():
    goal = motion()[0]
    assert reference.aligned_distances(goal * [-1, 1, 1], goal).mean() > 0.05


def test_noise_is_measured_in_millimetres():
    goal = np.tile(motion()[0], (50, 1)) + np.random.default_rng(0).normal(0, 0.3, (600, 3))
    noisy = goal + np.random.default_rng(1).normal(0, 0.02, goal.shape)  # mean length 1.596 sigma
    found = reference.aligned_distances(noisy, goal).mean()
    assert found == pytest.approx(0.0319, rel=0.05), f"{found * 1e3:.1f} mm"


@pytest.mark.parametrize("lag", [-3, 0, 2])
def test_the_lag_comes_from_the_image(folder, lag):
    truth = reference.read_reference(folder)
    camera = truth.cameras[0]
    in_camera = truth.joints @ camera.rotation.T
    pixels = camera.project(truth.joints)
    keep = slice(max(0, -lag), None)  # rows with negative frame numbers do not exist
    body = make_body(in_camera[keep], pixels[keep] + 3, first=max(0, lag))
    assert reference.best_lag(body, truth, camera) == lag
    found = reference.measure_body("cam01", body, truth, camera)
    assert found.lag == lag
    assert found.pa_mpjpe_mm < 1e-3
    assert found.frames >= FRAMES - 3


def test_all_cameras_are_measured_and_the_man_is_who_is_seen_most(folder, tmp_path):
    truth = reference.read_reference(folder)
    for number, camera in enumerate(truth.cameras, 1):
        out = tmp_path / "out" / f"cam0{number}" / "body_data"
        out.mkdir(parents=True)
        pixels = camera.project(truth.joints)
        bodies_artifact.save_person(out, make_body(truth.joints[:20] * [1, 1, 2], pixels[:20], person=1))
        wrong_knee = truth.joints @ camera.rotation.T
        wrong_knee[30, 1] += 0.3
        bodies_artifact.save_person(out, make_body(wrong_knee, pixels, person=2))
    found = reference.measure_bodies(tmp_path / "out", folder)
    assert [(row.camera, row.person, row.lag) for row in found] == [(f"cam0{i}", 2, 0) for i in (1, 2, 3, 4)]
    assert all(0.5 < row.pa_mpjpe_mm < 2 for row in found), found
    assert all(60 < row.worst_frame_mm < 120 for row in found), found


def test_jitter_is_the_second_difference_of_consecutive_frames():
    joints = np.zeros((5, 12, 3))
    joints[2, :, 0] = 0.1
    body = make_body(joints, np.zeros((5, 12, 2)))
    assert reference.jitter(body) == pytest.approx(0.1)
    assert np.isnan(reference.jitter(make_body(joints[:2], np.zeros((2, 12, 2)))))


def test_a_folder_that_lacks_cameras_is_refused(folder, tmp_path):
    with pytest.raises(BadInput, match="expected 4 videos"):
        reference.measure_bodies(tmp_path / "nothing", folder)
