"""The real models on one real frame. No reference values: what must hold however the weights were trained."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from common.errors import ModelUnavailable
from common.models.blazepose_detector import PersonDetector
from common.models.blazepose_landmarks import SIDE, LandmarkModel
from common.models.movenet import BLAZEPOSE_OF_COCO, MultiPoseModel, region_of
from common.models.regions import cut_out, paste_back

pytestmark = pytest.mark.models

VIDEO = Path("out/demo-data/single/cam01.mp4")


def weights(name):
    from common.weights.store import path

    try:
        return path(name)
    except ModelUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def image():
    if not VIDEO.exists():
        pytest.skip(f"{VIDEO} is missing. Run `python -m benchmarks.demo_data`.")
    with av.open(VIDEO) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture(scope="module")
def landmark_model():
    return LandmarkModel(weights("blazepose-heavy"))


@pytest.fixture(scope="module")
def man(image, landmark_model):
    detections = PersonDetector(weights("blazepose-detector")).detect(image)
    assert len(detections.scores) == 1, detections.scores
    return landmark_model.run(image, detections.regions[0])


def distance(a, b, side):
    return np.median(np.hypot(*(a - b).T)) / side


def test_the_man_is_found_and_upright(man):
    assert man.score > 0.9
    head, hips, feet = man.image[0, 1], man.image[[23, 24], 1].mean(), man.image[[27, 28], 1].mean()
    assert head < hips < feet
    assert man.image[11, 0] > man.image[12, 0], "he faces the camera: his left is on the right"


def test_the_metric_body_is_of_human_size_around_the_hips(man):
    np.testing.assert_allclose(man.world[[23, 24]].mean(axis=0), 0, atol=0.03)
    thigh = np.linalg.norm(man.world[23] - man.world[25])
    assert 0.3 < thigh < 0.55, f"{thigh:.2f} m"


def test_the_mask_covers_the_body_and_little_else(man, image):
    box, (x0, y0) = paste_back(man.mask, man.region, height=image.shape[0], width=image.shape[1])
    torso = man.image[[11, 12, 23, 24]].mean(axis=0).astype(int)
    assert box[torso[1] - y0, torso[0] - x0] > 0.9
    area = (box > 0.5).sum() / man.region.side**2
    assert 0.04 < area < 0.3, f"{area:.3f} of the region"


def test_the_next_region_finds_the_same_body(man, image, landmark_model):
    again = landmark_model.run(image, man.next_region)
    assert distance(again.image, man.image, man.region.side) < 0.02


def test_a_turned_picture_gives_the_same_body_turned(man, image, landmark_model):
    turned = np.ascontiguousarray(np.rot90(image))  # anticlockwise: (x, y) -> (y, width - 1 - x)
    detections = PersonDetector(weights("blazepose-detector")).detect(turned)
    lying = landmark_model.run(turned, detections.regions[0])
    expected = np.column_stack([man.image[:, 1], image.shape[1] - 1 - man.image[:, 0]])
    assert distance(lying.image, expected, man.region.side) < 0.03
    upright = lying.world[:, [1, 0, 2]] * (-1, 1, 1)  # clockwise again
    error = np.median(np.linalg.norm(upright - man.world, axis=1))
    assert error < 0.08, f"{error * 1000:.0f} mm"


def test_the_detectors_agree(man, image):
    poses = MultiPoseModel(weights("movenet-multipose")).detect(image)
    assert len(poses.scores) == 2, "the man and the photographer"
    own = man.image[list(BLAZEPOSE_OF_COCO)]
    assert distance(poses.keypoints[0, :, :2], own, man.region.side) < 0.03
    region = region_of(poses.keypoints[1])
    assert region is not None
    assert region.side < 0.7 * man.region.side


def test_a_suppressed_person_is_gone(man, image, landmark_model):
    everything_of_him = cv2.dilate((man.mask > 0.3).astype(np.uint8), np.ones((15, 15))) > 0
    assert landmark_model.run(image, man.region, suppress=everything_of_him).score < 0.5


def test_suppressing_nobody_changes_nothing(man, image, landmark_model):
    same = landmark_model.run(image, man.region, suppress=np.zeros((SIDE, SIDE), bool))
    np.testing.assert_array_equal(same.image, man.image)
    assert cut_out(image, man.region, SIDE).shape == (SIDE, SIDE, 3)


def test_an_empty_picture_shows_nobody(landmark_model, man):
    grey = np.full((400, 300, 3), 128, np.uint8)
    assert len(PersonDetector(weights("blazepose-detector")).detect(grey).scores) == 0
    assert len(MultiPoseModel(weights("movenet-multipose")).detect(grey).scores) == 0
