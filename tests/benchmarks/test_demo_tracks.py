"""The figures on identities, on tracks that were made up."""

import numpy as np

from benchmarks.demo_tracks import AT_END, follow_man, man_found
from common.artifacts.landmarks import Landmarks

BODY = np.random.default_rng(0).uniform(-0.3, 0.3, (33, 2))


def tracks(*people):
    """People as (id, frames, x of each frame, side)."""
    rows = []
    for person, frames, x, side in people:
        rows += [(person, f, BODY * side + (xf, 500.0), side) for f, xf in zip(frames, x, strict=True)]
    rows.sort(key=lambda r: r[:2])
    m = len(rows)
    return Landmarks(
        frame=np.array([r[1] for r in rows], np.int32),
        person=np.array([r[0] for r in rows], np.uint16),
        image=np.array([r[2] for r in rows], np.float32).reshape(m, 33, 2),
        world=np.zeros((m, 33, 3), np.float32),
        visibility=np.ones((m, 33), np.float32),
        presence=np.ones((m, 33), np.float32),
        score=np.ones(m, np.float32),
        region=np.array([(0, 0, r[3], 0) for r in rows], np.float32).reshape(m, 4),
    )


WALK = np.linspace(100.0, 400.0, 10)
SINGLE = tracks((2, range(10), WALK, 900.0), (1, range(10), np.full(10, 50.0), 300.0))


def test_the_man_is_the_large_person_not_the_first_one():
    assert man_found(SINGLE) == 10


def test_perfect_tracks_have_no_fault():
    multi = tracks((7, range(10), WALK + 5, 900.0), (8, range(10), np.full(10, 900.0), 700.0))
    result = follow_man(SINGLE, multi)
    assert (result.found, result.ids, result.switches, result.astray, result.as_woman) == (10, (7,), 0, 0, 0)
    assert (result.woman_id, result.woman_found, result.others) == (8, 10, 0)
    assert result.found_at_end == AT_END == 10


def test_a_swap_of_man_and_woman_is_counted_from_both_sides():
    far = np.full(10, 900.0)
    man, woman = np.where(np.arange(10) < 7, WALK, far), np.where(np.arange(10) < 7, far, WALK)
    result = follow_man(SINGLE, tracks((7, range(10), man, 900.0), (8, range(10), woman, 700.0)))
    assert (result.found, result.ids, result.switches) == (10, (7, 8), 1)
    assert (result.astray, result.as_woman) == (3, 3)


def test_a_man_who_comes_back_under_another_id_is_a_switch_but_not_the_woman():
    multi = tracks(
        (1, range(5), WALK[:5], 900.0), (2, range(10), np.full(10, 900.0), 700.0), (3, range(7, 10), WALK[7:], 900.0)
    )
    result = follow_man(SINGLE, multi)
    assert (result.found, result.ids, result.switches, result.as_woman, result.others) == (8, (1, 3), 1, 0, 1)


def test_a_man_who_is_lost_or_comes_back_under_another_id_is_not_there_at_the_end():
    walk = np.linspace(100.0, 400.0, 40)
    single = tracks((1, range(40), walk, 900.0))
    woman = (2, range(40), np.full(40, 900.0), 700.0)
    lost = tracks((1, range(32), walk[:32], 900.0), woman)
    other = tracks((1, range(25), walk[:25], 900.0), woman, (3, range(30, 40), walk[30:], 900.0))
    back = tracks((1, [*range(20), *range(31, 40)], [*walk[:20], *walk[31:]], 900.0), woman)
    assert [follow_man(single, multi).found_at_end for multi in (lost, other, back)] == [2, 0, 9]


def test_nobody_found_is_zero_and_no_error():
    nobody = tracks()
    assert follow_man(SINGLE, nobody).found == follow_man(SINGLE, nobody).found_at_end == 0
    assert follow_man(nobody, SINGLE).found == 0
    assert man_found(nobody) == 0
