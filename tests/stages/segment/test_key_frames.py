from stages.segment.key_frames import KeyFrames


def due_frames(key_frames, count, **state):
    state = {"movement": 0.0, "touching": False, "missing": set()} | state
    return [i for i in range(count) if key_frames.due(**state)]


def test_quiet_people_are_looked_for_every_step():
    assert due_frames(KeyFrames(10), 35) == [0, 10, 20, 30]


def test_a_step_of_one_is_every_frame():
    assert due_frames(KeyFrames(1), 4, missing={0}) == [0, 1, 2, 3]


def test_fast_or_touching_people_are_looked_for_five_times_as_often():
    assert due_frames(KeyFrames(50), 31, movement=0.6) == [0, 10, 20, 30]
    assert due_frames(KeyFrames(50), 31, touching=True) == [0, 10, 20, 30]


def test_a_lost_person_is_looked_for_soon_and_then_less_and_less():
    assert due_frames(KeyFrames(50), 160, missing={0}) == [0, 4, 12, 28, 60, 110]


def test_who_was_found_again_is_looked_for_soon_when_lost_again():
    key_frames = KeyFrames(50)
    due_frames(key_frames, 61, missing={0})
    due_frames(key_frames, 5)
    assert due_frames(key_frames, 3, missing={0}) == [0]


def test_who_is_lost_after_somebody_else_is_looked_for_just_as_soon():
    key_frames = KeyFrames(50)
    assert due_frames(key_frames, 62, missing={0})[-1] == 60
    assert due_frames(key_frames, 40, missing={0, 1}) == [2, 10, 26]


def test_who_is_given_up_does_not_start_the_search_for_the_others_again():
    key_frames = KeyFrames(50)
    assert due_frames(key_frames, 30, missing={0, 1}) == [0, 4, 12, 28]
    assert due_frames(key_frames, 40, missing={1}) == [30]
