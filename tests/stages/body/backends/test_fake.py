"""The fake backend writes valid bodies that move as a function of time."""

import numpy as np
import pytest

from common.artifacts import bodies as bodies_artifact
from common.errors import ModelUnavailable
from stages.body.assemble import reprojection_px
from stages.body.backends import create
from stages.body.backends.fake import figure
from stages.body.clip import make_clip
from stages.body.estimate import estimate_bodies
from stages.body.stage import STAGE, Options
from tests.stages.body.scenes import HEIGHT, WIDTH, write_masks


def never(wanted):
    raise AssertionError("the fake backend opened frames")


@pytest.fixture
def clip(tmp_path):
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[100:400, 150:250] = 1
    labels[150:300, 400:450] = 3
    masks, people = write_masks(tmp_path, [labels] * 8)
    with masks:
        yield make_clip(np.arange(8) / 30 + 0.5, people, masks)


@pytest.mark.parametrize("smooth", [False, True])
def test_bodies_keep_the_contract(clip, tmp_path, smooth):
    bodies = estimate_bodies(create(Options("fake")), clip, never, smooth=smooth)
    assert list(bodies) == [1, 3]
    folder = tmp_path / "body_data"
    folder.mkdir()
    for body in bodies.values():
        bodies_artifact.save_person(folder, body)
    bodies_artifact.save_summary(folder, "cam01", bodies)
    bodies_artifact.validate(folder)
    assert reprojection_px(bodies[1]).max() < 0.5


def test_who_is_smaller_stands_farther_away(clip):
    bodies = estimate_bodies(create(Options("fake")), clip, never)
    assert bodies[3].pred_cam_t[0, 2] == pytest.approx(2 * bodies[1].pred_cam_t[0, 2], rel=0.02)


def test_the_same_time_gives_the_same_pose_and_another_person_another():
    times = np.arange(200) / 30
    whole, part = figure(times, seed=1), figure(times[50:], seed=1)
    assert np.array_equal(whole[50:], part, equal_nan=True)
    assert np.nanmax(np.abs(whole - figure(times, seed=2))) > 0.1


def test_every_limb_moves_and_no_bone_stretches():
    body = figure(np.arange(300) / 30, seed=4)
    for joint in (7, 8, 41, 62, 11, 12, 13, 14):
        assert body[:, joint].std(axis=0).max() > 0.02
    thigh = np.linalg.norm(body[:, 9] - body[:, 11], axis=1)
    assert np.ptp(thigh) < 1e-12


def test_a_missing_model_says_so():
    with pytest.raises(ModelUnavailable, match="ghost weights fetch"):
        create(Options("embedded"))


@pytest.mark.parametrize("name", ["embedded", "fake"])
def test_a_device_for_other_backends_is_no_error(name):
    assert STAGE.make_options({"backend": name, "device": "cuda"}).device == "cuda"
    assert not STAGE.uses_gpu(STAGE.make_options({"backend": name, "device": "cuda"}))
