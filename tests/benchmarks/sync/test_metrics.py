"""Against answers whose errors were worked out by hand: one frame is 1/30 s."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sync.metrics import (
    Camera,
    Cost,
    Links,
    Record,
    all_links,
    baseline_errors,
    camera_errors,
    count,
    count_links,
    coverage,
    errors,
    rate_errors,
)


def _camera(start: float | None, true: float, **more: object) -> Camera:
    settings: dict[str, object] = {"true_rate": 1.0, "length": 60.0, **more}
    return Camera(true_start=true, start=start, **settings)  # type: ignore[arg-type]


def _record(*cameras: Camera, links: Links | None = None, **baselines: tuple[float, ...]) -> Record:
    return Record("cell", 0, cameras, links or Links(0, 0, 0), Cost(1.0, 100.0), baselines, dict.fromkeys(baselines, 1))


def test_a_camera_is_compared_with_the_median_of_the_others():
    # off by 0, 3, 6 and 30 frames; medians of the others: 6, 6, 3, 3
    cameras = [_camera(2.0, 2.0), _camera(5.1, 5.0), _camera(0.2, 0.0), _camera(9.0, 8.0)]
    assert camera_errors(cameras) == pytest.approx([-6, -3, 3, 27])


def test_a_common_shift_of_all_answers_is_no_error():
    assert camera_errors([_camera(7.0, 2.0), _camera(10.0, 5.0)]) == pytest.approx([0, 0])


def test_what_is_refused_is_neither_an_error_nor_a_reference():
    cameras = [_camera(0.0, 0.0), _camera(None, 77.0), _camera(1.1, 1.0)]
    assert camera_errors(cameras) == [pytest.approx(-3), None, pytest.approx(3)]
    assert camera_errors([_camera(0.0, 0.0), _camera(None, 1.0)]) == [None, None], "nobody to be compared with"


def test_with_clock_rates_the_worst_moment_counts():
    # the second clock gains 1000 ppm and nobody said so: 0, 30 and 60 ms at 0, 30 and 60 s: 1.8 frames at the end
    unsaid = [_camera(0.0, 0.0), _camera(0.0, 0.0, true_rate=1.001)]
    assert camera_errors(unsaid) == pytest.approx([1.8, -1.8], rel=2e-3)
    said = [_camera(0.0, 0.0), _camera(0.0, 0.0, true_rate=1.001, rate=1.001)]
    assert camera_errors(said) == pytest.approx([0, 0], abs=1e-9)
    rescaled = [_camera(0.0, 0.0, rate=1.0), _camera(0.0, 0.0, true_rate=1.001, rate=1.0012)]  # 200 ppm too much
    assert camera_errors(rescaled) == pytest.approx([-0.36, 0.36], rel=2e-3)


def test_rates_are_compared_with_those_of_the_others():
    cameras = [_camera(0, 0, true_rate=1.0), _camera(0, 0, true_rate=1.0), _camera(0, 0, true_rate=1.0005, rate=1.0006)]
    assert rate_errors([_record(*cameras)]) == pytest.approx([50, 50, 100], rel=1e-2)  # of medians 50, 50 and 0 ppm


def test_errors_of_outliers_do_not_count():
    # frames off: 0, 3, 3; the outlier, 300 off, changes nothing
    honest = [_camera(0.0, 0.0), _camera(1.1, 1.0), _camera(2.1, 2.0)]
    off = errors([_record(*honest, _camera(10.0, 0.0, outlier="frozen")), _record(_camera(None, 0.0))])
    assert sorted(off.absolute) == pytest.approx([1.5, 1.5, 3])
    assert (off.answered, off.asked) == (3, 4)
    assert (off.within(1), off.within(2), off.within(3.1)) == (0, 2, 3)
    assert off.quantile(0.5) == pytest.approx(1.5)


def test_more_than_a_tenth_of_a_second_is_wrong():
    assert errors([_record(_camera(0.0, 0.0), _camera(0.099, 0.0))]).wrong == 0
    assert errors([_record(_camera(0.0, 0.0), _camera(0.101, 0.0))]).wrong == 2


def test_nothing_answered_has_no_quantile():
    off = errors([_record(_camera(None, 0.0), _camera(None, 1.0))])
    assert (off.answered, off.asked, off.wrong) == (0, 2, 0)
    assert np.isnan(off.quantile(0.5))


def test_an_interval_holds_the_truth_against_the_mean_of_the_others():
    # off by 0, 0.06, 0.3 and 0 s: against the means of the others -0.12, -0.04, 0.28 and -0.12
    cameras = [
        _camera(0.0, 0.0, half_width=0.10),
        _camera(1.06, 1.0, half_width=0.05),
        _camera(2.3, 2.0, half_width=0.29),
        _camera(3.0, 3.0, half_width=None),
        _camera(None, 5.0, half_width=None),
    ]
    held = coverage([_record(*cameras)])
    assert (held.right, held.given) == (2, 3)
    assert held.half_width == pytest.approx(0.10 * 30)


def test_an_answer_without_an_interval_is_no_interval():
    assert coverage([_record(_camera(0.0, 0.0), _camera(0.0, 0.0))]).given == 0


def test_links_are_couples_of_tracks_of_two_videos():
    # true are a-a and b-b of videos 1 and 2; said are a-a of 1 and 2, and b of 1 with the stranger of 3
    said, true = [[1, 2], [3, 1], [2]], [["a", "b"], ["b", "a"], ["c"]]
    people = {"a": 0, "b": 1, "c": 2}
    links = count_links(said, [[people[p] for p in video] for video in true])
    assert links == Links(said=2, true=2, right=1)
    assert all_links([_record(links=links), _record(links=Links(1, 3, 1))]) == Links(3, 5, 2)


def test_two_tracks_of_one_video_are_no_couple():
    assert count_links([[1, 1], [2]], [[0, 0], [1]]) == Links(0, 0, 0)


def test_baselines_answer_for_every_video():
    record = _record(_camera(None, 0.0), _camera(0.0, 1.0), _camera(0.0, 2.0), method=(0.0, 1.2, 2.0))
    assert sorted(baseline_errors([record], "method").absolute) == pytest.approx([3, 3, 6])
    assert baseline_errors([record], "another").answered == 0


def test_outliers_are_counted_by_what_was_said_about_them():
    named = _camera(None, 0.0, outlier="frozen", refused=True)
    missed = _camera(1.0, 0.0, outlier="frozen")
    honest = _camera(None, 0.0, refused=True)
    assert count([_record(named, honest), _record(missed)], lambda camera: camera.refused) == (1, 2)
