from __future__ import annotations

import numpy as np
import pytest

from benchmarks.identity_scores import Comparison, Minimum, combined_scores

PLACES = [(slice(0, 10), slice(12 * i, 12 * i + 10)) for i in range(4)]  # 100 pixels each
EVERYBODY = Minimum(pixels=1, share=0.0)


def labels(*ids):
    """Somebody at each place, 0 for nobody."""
    image = np.zeros((20, 48), np.uint16)
    for place, person in zip(PLACES, ids, strict=False):
        image[place] = person
    return image


def compare(*frames, minimum=EVERYBODY):
    """A comparison of (true ids, predicted ids) at the four places, frame by frame."""
    comparison = Comparison(minimum=minimum)
    for true, predicted in frames:
        comparison.add(labels(*true), labels(*predicted))
    return comparison


def test_the_truth_under_other_numbers_is_perfect():
    scores = compare(((1, 2), (700, 65535)), ((1, 2), (700, 65535))).scores()
    assert (scores.idf1, scores.mota, scores.hota, scores.detection, scores.association) == (1, 1, 1, 1, 1)
    assert (scores.id_switches, scores.misses, scores.false_masks, scores.true_masks, scores.frames) == (0, 0, 0, 4, 2)


def test_a_new_id_halfway_is_one_switch_and_costs_half_of_the_identity():
    """One person in 10 frames, called 1 for 5 frames and 2 after: IDTP 5, IDFP 5, IDFN 5; AssA = 5 / (10 + 5 - 5)."""
    scores = compare(*[((1,), (1 if frame < 5 else 2,)) for frame in range(10)]).scores()
    assert scores.idf1 == pytest.approx(5 / (5 + 2.5 + 2.5))
    assert scores.mota == pytest.approx(1 - 1 / 10)
    assert scores.id_switches == 1
    assert scores.association == pytest.approx(0.5)
    assert scores.detection == pytest.approx(1)
    assert scores.hota == pytest.approx(np.sqrt(0.5))


def test_two_people_who_swap_ids_are_two_switches():
    """Swapped for the last 3 of 10 frames: 14 of 20 masks keep their person."""
    scores = compare(*[((1, 2), (1, 2) if frame < 7 else (2, 1)) for frame in range(10)]).scores()
    assert scores.id_switches == 2
    assert scores.idf1 == pytest.approx(14 / (14 + 3 + 3))
    assert scores.mota == pytest.approx(1 - 2 / 20)


def test_an_absence_with_the_old_id_afterwards_is_no_switch():
    scores = compare(((1,), (4,)), ((0,), (0,)), ((1,), (4,))).scores()
    assert (scores.id_switches, scores.idf1, scores.frames) == (0, 1, 3)


def test_misses_and_false_masks_are_counted():
    """Two people for 4 frames; one is missed twice, and twice somebody is seen where nobody is: 6 of 8 found."""
    scores = compare(((1, 2), (1, 2)), ((1, 2), (1, 0)), ((1, 2), (1, 0, 3)), ((1, 2), (1, 2, 3))).scores()
    assert (scores.misses, scores.false_masks, scores.true_masks) == (2, 2, 8)
    assert scores.mota == pytest.approx(1 - 4 / 8)
    assert scores.idf1 == pytest.approx(6 / (6 + 1 + 1))


@pytest.mark.parametrize(("rows", "found"), [(4, False), (5, True), (6, True)])
def test_a_mask_counts_from_half_overlap_on(rows, found):
    """`rows` of ten rows found and nothing else: the intersection over union is rows / 10."""
    truth, predicted = labels(1), np.zeros((20, 48), np.uint16)
    predicted[:rows, :10] = 9
    comparison = Comparison(minimum=EVERYBODY)
    comparison.add(truth, predicted)
    scores = comparison.scores()
    assert (scores.misses, scores.false_masks) == ((0, 0) if found else (1, 1))
    thresholds = np.arange(0.05, 0.99, 0.05)
    assert scores.hota == pytest.approx(np.mean(thresholds <= rows / 10 + 1e-9))


def test_overlaps_are_those_of_every_pair_of_masks():
    """Against intersections and unions that are counted one pair after the other."""
    generator = np.random.default_rng(0)
    truth, predicted = (generator.choice(np.array([0, 3, 40, 512], np.uint16), (30, 50)) for _ in range(2))
    comparison = Comparison(minimum=EVERYBODY)
    comparison.add(truth, predicted)
    expected = [
        [((truth == a) & (predicted == b)).sum() / ((truth == a) | (predicted == b)).sum() for b in (3, 40, 512)]
        for a in (3, 40, 512)
    ]
    assert comparison._as_sequence()["similarity_scores"][0] == pytest.approx(np.array(expected))


class TestIgnoreRegions:
    @pytest.mark.parametrize("predicted", [(0, 5), (7, 5)], ids=["not found", "found"])
    def test_whoever_shows_too_few_pixels_need_not_be_found_and_may_be(self, predicted):
        truth = labels(1, 2)
        truth[2:, :10] = 0  # 20 pixels are left of person 1
        seen = labels(*predicted)
        seen[2:, :10] = 0
        comparison = Comparison(minimum=Minimum(pixels=30))
        comparison.add(truth, seen)
        scores = comparison.scores()
        assert (scores.true_masks, scores.misses, scores.false_masks, scores.idf1) == (1, 0, 0, 1)

    @pytest.mark.parametrize(("share", "asked"), [(0.09, 1), (0.11, 2)])
    def test_whoever_shows_too_small_a_part_need_not_be_found(self, share, asked):
        comparison = Comparison(minimum=Minimum(pixels=1, share=0.1))
        comparison.add(labels(1, 2), labels(0, 2), visible={1: share, 2: 1.0})
        scores = comparison.scores()
        assert (scores.true_masks, scores.misses) == (asked, asked - 1)

    @pytest.mark.parametrize(("moved", "false_masks"), [(4, 0), (6, 1)], ids=["mostly on them", "mostly beside"])
    def test_a_mask_is_forgiven_if_half_of_it_lies_on_somebody_who_is_not_asked_for(self, moved, false_masks):
        predicted = labels(0, 5)
        predicted[moved : moved + 10, :10] = 7
        comparison = Comparison(minimum=Minimum(pixels=30, share=0.1))
        comparison.add(labels(1, 2), predicted, visible={1: 0.05})
        assert comparison.scores().false_masks == false_masks

    def test_a_mask_that_lies_elsewhere_is_not_forgiven(self):
        truth = labels(1, 2)
        truth[2:, :10] = 0
        comparison = Comparison(minimum=Minimum(pixels=30))
        comparison.add(truth, labels(0, 2, 3))
        assert comparison.scores().false_masks == 1

    def test_pixels_on_somebody_who_hardly_shows_do_not_count_against_the_one_behind_them(self):
        """Person 2's mask covers all of 1's 20 pixels too: left out, the rest overlaps entirely."""
        truth, predicted = labels(2), labels(2)
        truth[:2, :10] = 1
        comparison = Comparison(minimum=Minimum(pixels=30))
        comparison.add(truth, predicted)
        assert comparison._as_sequence()["similarity_scores"][0].tolist() == [[1.0]]

    def test_specks_are_forgiven_unless_they_are_somebodys(self):
        truth, predicted = labels(1, 2), labels(1, 2)
        predicted[18, 40:45] = 9
        comparison = Comparison(minimum=Minimum(pixels=30))
        comparison.add(truth, predicted)
        assert comparison.scores().false_masks == 0

    def test_a_small_mask_of_somebody_who_is_asked_for_counts(self):
        truth, predicted = np.zeros((20, 48), np.uint16), np.zeros((20, 48), np.uint16)
        truth[0, :32], predicted[0, :28] = 1, 1
        comparison = Comparison(minimum=Minimum(pixels=30))
        comparison.add(truth, predicted)
        assert (comparison.scores().misses, comparison.scores().false_masks) == (0, 0)


def test_nothing_found_scores_zero():
    scores = compare(((1, 2), ()), ((1, 2), ())).scores()
    assert (scores.idf1, scores.mota, scores.hota, scores.misses) == (0, 0, 0, 4)


def test_frames_without_people_count_their_false_masks():
    scores = compare(((1,), (1,)), ((), (2,))).scores()
    assert (scores.false_masks, scores.mota) == (1, 0)


def test_videos_together_add_their_counts_and_keep_their_ids_apart():
    """Id 1 is somebody else in the second video: no switch, and the worse video counts by its masks."""
    first = compare(*[((1,), (1,))] * 6)
    second = compare(((1,), (2,)), ((1,), (0,)))
    scores = combined_scores([first, second])
    assert (scores.id_switches, scores.true_masks, scores.misses, scores.frames) == (0, 8, 1, 8)
    assert scores.idf1 == pytest.approx(7 / (7 + 0.5))


def test_a_truth_without_people_has_no_scores():
    with pytest.raises(ValueError, match="at least one person"):
        compare(((), (1,))).scores()


def test_images_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="one size"):
        Comparison().add(np.zeros((4, 5), np.uint16), np.zeros((5, 4), np.uint16))


def test_the_library_prints_nothing(capsys):
    compare(((1,), (1,))).scores()
    assert capsys.readouterr() == ("", "")
