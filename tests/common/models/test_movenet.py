"""The arithmetic around MoveNet, without the model."""

import numpy as np
import pytest

from common.errors import ModelUnavailable
from common.models.movenet import BLAZEPOSE_OF_COCO, MultiPoseModel, distinct, region_of
from common.skeletons import BLAZEPOSE_TO_MHR70, COCO17


def standing(x, score=0.9):
    keypoints = np.zeros((17, 3))
    keypoints[:, 0] = x + np.tile([5.0, -5.0], 9)[:17]
    keypoints[:, 1] = [20, 18, 18, 20, 20, 50, 50, 80, 80, 105, 105, 110, 110, 160, 160, 210, 210]
    keypoints[:, 2] = score
    return keypoints


def test_the_keypoints_have_the_meaning_that_the_skeletons_give_them():
    assert [BLAZEPOSE_TO_MHR70[i] for i in BLAZEPOSE_OF_COCO] == list(COCO17)


def test_the_second_look_at_one_person_is_dropped():
    assert distinct(np.stack([standing(100), standing(103), standing(160)])) == [0, 2]


def test_the_region_holds_the_whole_person_upright():
    region = region_of(standing(100))
    assert region is not None
    assert (region.x, region.y) == pytest.approx((100, 110))
    assert abs(region.angle) < 0.02
    farthest = np.hypot(5, 100)  # a foot from the hips
    assert region.side / 2.5 == pytest.approx(1.1 * farthest, rel=0.01)


def test_too_little_of_a_person_has_no_region():
    keypoints = standing(100, score=0.1)
    keypoints[:3, 2] = 0.9
    assert region_of(keypoints) is None


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ModelUnavailable, match="ghost weights fetch"):
        MultiPoseModel(tmp_path / "absent.onnx")


def test_a_broken_file_says_what_to_do(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelUnavailable, match="ghost weights fetch"):
        MultiPoseModel(tmp_path / "broken.onnx")
