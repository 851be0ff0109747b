"""When the detector looks."""

import pytest

from stages.segment.prompted.looks import CHECK, CURIOUS, LOOKS, Looks


def run(step, frames, **situations):
    """The frames of detections and of looks at the masks alone; situations by name give the value in a frame."""
    looks, detections, checks = Looks(step), [], []
    for frame in range(frames):
        now = {name: value(frame) for name, value in situations.items()}
        curious = now.pop("curious", False)
        if looks.detection_due(frame):
            detections.append(frame)
            quiet = {"doubted": [], "missing": set(), "unsettled": False}
            looks.detected(frame, **(quiet | now), curious=curious)
        elif looks.check_due(frame):
            checks.append(frame)
            looks.checked(frame, curious=curious)
    return detections, checks


def test_in_calm_the_first_frame_and_every_step():
    assert run(50, 160) == ([0, 50, 100, 150], [])


def test_between_distant_detections_the_masks_are_looked_at():
    assert run(120, 260) == ([0, 120, 240], [CHECK, 2 * CHECK, 120 + CHECK, 120 + 2 * CHECK])


def test_who_is_not_believed_yet_is_looked_for_at_stated_frames():
    detections, _ = run(50, 60, doubted=lambda frame: [0] if frame < LOOKS[-1] else [])
    assert detections == [0, *LOOKS]


def test_who_is_missing_is_looked_for_ever_less_often():
    detections, _ = run(50, 200, missing=lambda frame: {7} if frame >= 50 else set())
    assert detections == [0, 50, 54, 62, 78, 110, 160]


def test_whoever_is_new_among_the_missing_is_looked_for_soon():
    detections, _ = run(50, 130, missing=lambda frame: {7} if frame < 100 else {7, 8})
    assert {104, 108} & set(detections) or min(d for d in detections if d > 100) <= 116


def test_after_people_were_taken_apart_the_next_look_is_soon():
    assert run(50, 60, unsettled=lambda frame: frame == 0)[0] == [0, 4, 54]


@pytest.mark.parametrize("step", [1, 3])
def test_no_step_is_too_short(step):
    assert run(step, 9, missing=lambda _: {1}, unsettled=lambda _: True)[0] == list(range(0, 9, step))


def test_curiosity_looks_at_masks_not_at_detections():
    detections, checks = run(50, 40, curious=lambda _: True)
    assert detections == [0]
    assert checks == [CURIOUS * n for n in range(1, 5)]
