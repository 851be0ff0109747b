from stages.segment.key_frames import KeyFrames


def due_frames(key_frames, count, **state):
    state = {"movement": 0.0, "touching": False, "missing": False} | state
    return [i for i in range(count) if key_frames.due(**state)]


def test_quiet_people_are_looked_for_every_step():
    assert due_frames(KeyFrames(10), 35) == [0, 10, 20, 30]


def test_a_step_of_one_is_every_frame():
    assert due_frames(KeyFrames(1), 4, missing=True) == [0, 1, 2, 3]


def test_fast_or_touching_people_are_looked_for_five_times_as_often():
    assert due_frames(KeyFrames(50), 31, movement=0.6) == [0, 10, 20, 30]
    assert due_frames(KeyFrames(50), 31, touching=True) == [0, 10, 20, 30]


def test_a_lost_person_is_looked_for_soon_and_then_less_and_less():
    assert due_frames(KeyFrames(50), 160, missing=True) == [0, 4, 12, 28, 60, 110]


def test_who_was_found_again_is_looked_for_soon_when_lost_again():
    key_frames = KeyFrames(50)
    due_frames(key_frames, 61, missing=True)
    due_frames(key_frames, 5)
    assert due_frames(key_frames, 3, missing=True) == [0]
