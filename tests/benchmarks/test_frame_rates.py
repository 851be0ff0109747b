"""Who was found at another rate: on made-up tracks, and with the real models on a second of a real video."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import frame_rates
from benchmarks.frame_rates import figures, ids_of_nobody, in_original, kept, shared_ids, shown
from common.artifacts import landmarks as landmarks_artifact
from common.errors import ModelUnavailable
from common.media.decode import Frame, frames
from common.media.packet_times import read_time_table
from tests.benchmarks.test_demo_tracks import tracks

WALK = np.linspace(100.0, 400.0, 20)
ORIGINAL = tracks((1, range(20), WALK, 900.0), (2, range(20), np.full(20, 900.0), 500.0))
EVERY_SECOND = np.arange(0, 20, 2)


def test_everybody_is_found_under_one_id_where_nothing_is_lost():
    copy = tracks((5, range(10), WALK[::2] + 4, 900.0), (6, range(10), np.full(10, 903.0), 500.0))
    first, second = kept(ORIGINAL, copy, EVERY_SECOND)
    assert (first.person, first.asked, first.found, dict(first.ids)) == (1, 10, 10, {5: 10})
    assert (second.person, second.asked, second.found, dict(second.ids)) == (2, 10, 10, {6: 10})
    assert shared_ids([first, second]) == set()


def test_frames_that_are_missing_and_a_second_id_are_counted():
    copy = tracks((5, range(6), WALK[:12:2], 900.0), (7, range(8, 10), WALK[16::2], 900.0))
    first, second = kept(ORIGINAL, copy, EVERY_SECOND)
    assert (first.asked, first.found, dict(first.ids)) == (10, 6, {5: 6, 7: 2})
    assert (second.asked, second.found) == (10, 0)


def test_an_id_that_passes_from_one_person_to_another_is_seen():
    x = np.where(np.arange(10) < 7, WALK[::2], 900.0)
    people = kept(ORIGINAL, tracks((5, range(10), x, 700.0)), EVERY_SECOND)
    assert shared_ids(people) == {5}
    row, nobody = figures("a copy", people, set())
    assert not row.ok
    assert nobody.ok


def test_whoever_is_nobody_of_the_original_is_counted_where_the_original_knows():
    ghost, late = (9, range(3), np.full(3, 5000.0), 500.0), (8, range(10, 12), np.full(2, 5000.0), 500.0)
    copy = tracks((5, range(10), WALK[::2], 900.0), (6, range(10), np.full(10, 900.0), 500.0), ghost, late)
    source = np.arange(0, 24, 2)
    people = kept(ORIGINAL, copy, source)
    assert ids_of_nobody(copy, source, people, frames=20) == {9}
    assert ids_of_nobody(copy, source, people, frames=24) == {8, 9}
    _, row = figures("a copy", people, {9})
    assert (row.asked, row.measured, row.ok) == ("0", "1", False)


def test_an_original_with_other_people_than_the_camera_shows_is_no_measure():
    assert [row.ok for people in (2, 3, 4) for row in in_original("multi/cam01", people)] == [False, True, False]
    assert [row.ok for people in (1, 2) for row in in_original("multi/cam03", people)] == [False, True]
    assert in_original("another/cam", 5) == []


def test_times_say_which_frame_is_shown():
    assert shown(np.arange(8) / 240).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert shown(np.round(np.arange(0, 20, 4) / 60, 6)).tolist() == [0, 4, 8, 12, 16]


VIDEO = Path("out/demo-data/multi/cam03.mp4")
COPIES = {
    "6 fps": [(frame, frame / 60) for frame in range(0, 60, 10)],
    "15 fps": [(frame, frame / 60) for frame in range(0, 60, 4)],
    "variable": [(int(frame), frame / 60) for frame in np.sort(np.random.default_rng(0).permutation(60)[:30])],
    "240 fps": [(frame // 4, frame / 240) for frame in range(48)],
}


@pytest.fixture(scope="module")
def follow(tmp_path_factory):
    """Landmarks of everybody in frames of the video, given as (frame, seconds)."""
    from stages.segment.backends.embedded import EmbeddedSegmenter
    from stages.segment.publish import LandmarkRows

    if not VIDEO.exists():
        pytest.skip(f"{VIDEO} is missing. Run `python -m benchmarks.demo_data`.")
    try:
        segmenter = EmbeddedSegmenter()
    except ModelUnavailable as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("rates")
    with frames(VIDEO, read_time_table(VIDEO), stop=60) as stream:
        images = [frame.image for frame in stream]

    def landmarks(times):
        shown = [Frame(i, seconds, images[frame], corrupt=False) for i, (frame, seconds) in enumerate(times)]
        with LandmarkRows(folder) as rows:
            for result in segmenter.segment(shown):
                rows.add(result)
            rows.save(folder / "landmarks.npz")
        return landmarks_artifact.load(folder / "landmarks.npz")

    return landmarks


@pytest.fixture(scope="module")
def original(follow):
    return follow([(frame, frame / 60) for frame in range(60)])


@pytest.mark.models
@pytest.mark.parametrize("times", COPIES.values(), ids=COPIES.keys())
def test_both_people_are_found_at_any_rate_as_at_60_per_second(times, follow, original):
    found, source = follow(times), np.array([frame for frame, _ in times])
    people = kept(original, found, source)
    assert len(people) == 2
    assert [len(person.ids) for person in people] == [1, 1], people
    assert shared_ids(people) == set()
    assert ids_of_nobody(found, source, people, frames=60) == set()
    worst = min(person.found / person.asked for person in people)
    assert worst >= frame_rates.SHARE, f"found in {worst:.0%} of the frames"
