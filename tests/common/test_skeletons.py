import numpy as np
import pytest

from common import skeletons
from common.skeletons import BLAZEPOSE_TO_MHR70, COCO17, INDEX, MHR70, MIRROR

COCO_PAIRS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
COCO_NAMES = ["nose", *(f"{side}_{name}" for name in COCO_PAIRS for side in ("left", "right"))]


def test_the_seventy_names_stand_where_the_model_puts_them():
    assert len(MHR70) == len(set(MHR70)) == skeletons.MHR70_COUNT == 70
    fixed = {
        0: "nose",
        5: "left_shoulder",
        10: "right_hip",
        14: "right_ankle",
        15: "left_big_toe",
        16: "left_small_toe",
    }
    fixed |= {
        17: "left_heel",
        18: "right_big_toe",
        20: "right_heel",
        21: "right_thumb_tip",
        25: "right_index_tip",
    }
    fixed |= {
        24: "right_thumb_third_joint",
        29: "right_middle_tip",
        33: "right_ring_tip",
        37: "right_pinky_tip",
    }
    fixed |= {
        41: "right_wrist",
        42: "left_thumb_tip",
        58: "left_pinky_tip",
        62: "left_wrist",
        63: "left_olecranon",
    }
    fixed |= {66: "right_cubital_fossa", 67: "left_acromion", 69: "neck"}
    assert {index: MHR70[index] for index in fixed} == fixed
    assert all(INDEX[name] == index for index, name in enumerate(MHR70))


def test_coco_is_a_subset_in_its_own_order():
    assert [MHR70[index] for index in COCO17] == COCO_NAMES
    assert COCO17 == (0, 1, 2, 3, 4, 5, 6, 7, 8, 62, 41, 9, 10, 11, 12, 13, 14)


def test_mirroring_twice_changes_nothing_and_leaves_only_the_middle_alone():
    mirror = np.array(MIRROR)
    assert np.array_equal(mirror[mirror], np.arange(70))
    assert [MHR70[index] for index in np.flatnonzero(mirror == np.arange(70))] == ["nose", "neck"]
    assert len(skeletons.MIRROR_PAIRS) == 34
    for left, right in skeletons.MIRROR_PAIRS:
        assert (MHR70[left].replace("left", "right"), MIRROR[left]) == (MHR70[right], right)


@pytest.mark.parametrize("bones", [skeletons.BODY_BONES, skeletons.HAND_BONES])
def test_bones_are_drawn_once_and_the_same_on_both_sides(bones):
    lines = {frozenset(bone) for bone in bones}
    assert len(lines) == len(bones)
    assert {frozenset(MIRROR[end] for end in line) for line in lines} == lines


def test_the_bones_hang_together():
    reached, bones = {skeletons.NECK}, [*skeletons.BODY_BONES, *skeletons.HAND_BONES]
    for _ in range(20):
        reached |= {end for bone in bones if reached & set(bone) for end in bone}
    # Small toes and the surface points of elbow and shoulder are measured, but nothing is drawn to them.
    assert {MHR70[index] for index in set(range(70)) - reached} == {
        f"{side}_{name}"
        for side in ("left", "right")
        for name in ("small_toe", "olecranon", "cubital_fossa", "acromion")
    }


def test_blazepose_landmarks_find_their_keypoints():
    expected = {
        0: 0,
        2: 1,
        5: 2,
        7: 3,
        8: 4,
        11: 5,
        12: 6,
        13: 7,
        14: 8,
        23: 9,
        24: 10,
        25: 11,
        26: 12,
        27: 13,
        28: 14,
    }
    expected |= {31: 15, 29: 17, 32: 18, 30: 20, 16: 41, 15: 62}
    assert dict(BLAZEPOSE_TO_MHR70) == expected
    with pytest.raises(TypeError):
        BLAZEPOSE_TO_MHR70[1] = 1
