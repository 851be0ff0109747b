"""Recordings that claim to be synchronous: aligned, off by how much, or nobody can tell."""

import numpy as np
import pytest

from common.artifacts.expectation import ALIGNED, CANNOT_TELL, OFF
from stages.sync.expectation import counts, expect_aligned
from stages.sync.result import Synchronization, Verdict, VideoStart

FRAME = 1 / 30


def scene(*starts: float | None, width: float = 0.01, **changes: dict[str, object]) -> Synchronization:
    """cam0, cam1, ... with these starts (made to begin at 0), all sure; `cam1={...}` replaces fields."""
    earliest = min((s for s in starts if s is not None), default=0.0)
    videos = []
    for k, start in enumerate(starts):
        known = start is not None
        fields = {
            "video": f"cam{k}",
            "start_time": start - earliest if known else None,
            "half_width": width if known else None,
            "verdict": Verdict.OK if known else Verdict.UNKNOWN,
            "component": 0 if known else None,
            "reasons": () if known else ("nobody in view",),
        }
        videos.append(VideoStart(**fields | changes.get(f"cam{k}", {})))
    return Synchronization(tuple(videos), (), (), ())


def verdicts(answer: Synchronization, *, tolerance: float = FRAME, length: float = 30.0) -> list[str]:
    spans = {video.video: (0.0, length) for video in answer.videos}
    found = expect_aligned(answer, tolerance=tolerance, spans=spans)
    return [found.verdict, *(check.verdict for check in found.cameras.values())]


def test_cameras_that_started_together_are_aligned():
    assert verdicts(scene(0.0, 0.004, -0.006, 0.0)) == [ALIGNED] * 5


def test_the_one_that_started_later_is_off_by_the_difference_and_the_others_are_not():
    found = expect_aligned(scene(0.0, 0.0, 0.5, 0.0), tolerance=FRAME, spans={})
    assert [check.verdict for check in found.cameras.values()] == [ALIGNED, ALIGNED, OFF, ALIGNED]
    assert found.cameras["cam2"].off == pytest.approx(0.5)
    assert found.cameras["cam2"].text == "off by +0.500 s ± 0.010 s: it starts later than the others"
    assert found.cameras["cam0"].off == pytest.approx(0.0), "the one that is off must not move the reference"
    assert found.verdict == OFF
    assert "cam2 off by +0.500 s" in found.text
    assert counts(found) == {"aligned": 3, "off": 1}


def test_the_earliest_camera_can_be_the_one_that_is_off():
    found = expect_aligned(scene(-2.0, 0.0, 0.0), tolerance=FRAME, spans={})
    assert counts(found) == {"aligned": 2, "off": 1}
    assert found.cameras["cam0"].off == pytest.approx(-2.0)
    assert "earlier" in found.cameras["cam0"].text


def test_an_interval_that_reaches_over_the_tolerance_tells_nothing():
    assert verdicts(scene(0.0, 0.0, 0.0, width=0.05)) == [CANNOT_TELL] * 4
    assert verdicts(scene(0.0, 0.0, 0.0, FRAME)) == [CANNOT_TELL, ALIGNED, ALIGNED, ALIGNED, CANNOT_TELL]
    assert verdicts(scene(0.0, 0.0, 0.0, width=0.05), tolerance=0.06) == [ALIGNED] * 4


def test_a_camera_without_a_place_is_never_called_aligned():
    assert verdicts(scene(0.0, 0.0, None)) == [CANNOT_TELL, ALIGNED, ALIGNED, CANNOT_TELL]
    assert verdicts(scene(None, None)) == [CANNOT_TELL] * 3
    found = expect_aligned(scene(0.0, 0.0, None), tolerance=FRAME, spans={})
    assert found.cameras["cam2"].text == "cannot tell: nobody in view"


def test_a_start_without_an_interval_tells_nothing():
    answer = scene(0.0, 0.0, 0.0, cam1={"half_width": None, "verdict": Verdict.UNCERTAIN, "reasons": ("no interval",)})
    assert verdicts(answer) == [CANNOT_TELL, ALIGNED, CANNOT_TELL, ALIGNED]


def test_an_uncertain_start_accuses_nobody_but_its_number_is_told():
    answer = scene(0.0, 0.0, 3.0, cam2={"verdict": Verdict.UNCERTAIN, "reasons": ("only 2.0 s shared",)})
    found = expect_aligned(answer, tolerance=FRAME, spans={})
    assert [check.verdict for check in found.cameras.values()] == [ALIGNED, ALIGNED, CANNOT_TELL]
    assert "seems off by +3.000 s" in found.cameras["cam2"].text
    assert "not sure, that these are off: cam2" in found.text
    assert "only 2.0 s shared" in found.cameras["cam2"].text


def test_two_cameras_that_contradict_each_other_are_both_off_and_nobody_says_which():
    found = expect_aligned(scene(0.0, 1.0), tolerance=FRAME, spans={})
    assert [check.off for check in found.cameras.values()] == [-1.0, 1.0]
    assert counts(found) == {"off": 2}
    assert "which of them is off cannot be told" in found.text


def test_a_tie_of_two_and_two_has_no_majority():
    assert verdicts(scene(0.0, 0.0, 1.0, 1.0)) == [OFF] * 5


def test_a_single_camera_cannot_be_checked():
    assert verdicts(scene(None)) == [CANNOT_TELL] * 2
    assert verdicts(scene(0.0)) == [CANNOT_TELL] * 2


def test_a_clock_that_runs_off_is_off_although_it_started_in_time():
    slow = {"rate": 1 + 2e-3, "rate_half_width": 1e-4}
    found = expect_aligned(scene(0.0, 0.0, 0.0, cam1=slow), tolerance=FRAME, spans={"cam1": (0.0, 60.0)})
    assert counts(found) == {"aligned": 2, "off": 1}
    assert found.cameras["cam1"].drift_ppm == pytest.approx(2000)
    assert "its clock runs slow by 2000 ppm ± 100 ppm, 0.120 s in all" in found.cameras["cam1"].text
    assert verdicts(scene(0.0, 0.0, 0.0, cam1=slow), length=5.0) == [ALIGNED] * 4, (
        "10 ms in all are within the tolerance"
    )


def test_a_rate_that_is_not_sure_enough_tells_nothing():
    slow = {"rate": 1 + 2e-3, "rate_half_width": 1.9e-3}
    assert verdicts(scene(0.0, 0.0, 0.0, cam1=slow))[2] == CANNOT_TELL


def test_false_alarms_are_as_rare_as_the_intervals_are_true():
    generator = np.random.default_rng(11)
    deviation = 0.01
    alarms = 0
    for _ in range(200):
        noise = generator.normal(0, deviation, 6)
        answer = scene(*noise, width=1.96 * deviation * np.sqrt(1 + 1 / 5))
        found = expect_aligned(answer, tolerance=0.01, spans={})  # tighter than the noise
        alarms += counts(found).get("off", 0)
    assert alarms / 1200 < 0.02, f"{alarms} of 1200 aligned cameras are called off"
