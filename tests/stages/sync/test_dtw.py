"""The method of the first version: right where it can be, and never more sure than it can be."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulation.cameras import LEVELS, observe
from benchmarks.simulation.motion import simulate_motion
from common.errors import BadInput
from stages.sync import dtw
from stages.sync.dtw import least_squares_starts, path_offset, seen_people, solve_dtw
from stages.sync.result import Synchronization, Verdict
from stages.sync.tracks import PersonTrack, VideoTracks

MOTION = simulate_motion(45, np.random.default_rng(3))
OTHER = simulate_motion(45, np.random.default_rng(4))


def _track(
    start: float, *, seconds: float = 25, rate: float = 30, motion=MOTION, person: int = 1, level="clean"
) -> PersonTrack:
    """Seen by a camera that looks along the world's axes, whoever it is: what this method needs."""
    pts = np.arange(int(seconds * rate)) / rate
    generator = np.random.default_rng(int(100 * start) + person)
    return observe(motion, start + pts, pts, LEVELS[level], generator, rotation=np.eye(3), person=person)


def _video(name: str, *tracks: PersonTrack) -> VideoTracks:
    return VideoTracks(name, tracks)


def _starts(answer: Synchronization) -> list[float | None]:
    return [video.start_time for video in answer.videos]


def test_the_sign_scene_time_is_start_time_plus_pts():
    videos = [_video(name, _track(start)) for name, start in (("late", 4.2), ("first", 0.0), ("middle", 1.7))]
    answer = solve_dtw(videos, max_offset=60)
    assert _starts(answer) == pytest.approx([4.2, 0.0, 1.7], abs=0.05)
    offsets = {(p.a, p.b): p.offset for p in answer.pairs}
    assert offsets["late", "first"] == pytest.approx(-4.2, abs=0.05)
    assert offsets["first", "middle"] == pytest.approx(1.7, abs=0.05)
    assert answer.components[0].starts == pytest.approx([4.2, 0.0, 1.7], abs=0.05)


def test_rates_mix_and_time_stamps_need_not_begin_at_zero():
    late = _track(3.0)
    late = replace(late, times=late.times + 1.5)  # its PTS 0 is at 1.5
    videos = [_video("a", _track(1.0, rate=50)), _video("b", late), _video("c", _track(0.0, rate=24))]
    assert _starts(solve_dtw(videos, max_offset=60)) == pytest.approx([1.0, 1.5, 0.0], abs=0.06)


def test_missing_frames_do_not_attract_the_path():
    a, b = _track(0.0), _track(2.0)
    for track, unseen in ((a, slice(250, 550)), (b, slice(350, 650))):  # of 750 frames
        track.keypoints[unseen], track.confidence[unseen] = np.nan, 0
    answer = solve_dtw([_video("a", a), _video("b", b)], max_offset=60)
    assert answer.pairs[0].offset == pytest.approx(2.0, abs=0.05)


def test_weight_nothing_does_not_attract_the_path_either():
    a, b = _track(0.0), _track(2.0)
    for track, unseen in ((a, slice(250, 550)), (b, slice(350, 650))):
        track.confidence[unseen] = 0  # joints, but nobody vouches for them
    assert solve_dtw([_video("a", a), _video("b", b)], max_offset=60).pairs[0].offset == pytest.approx(2.0, abs=0.05)


def test_people_are_paired_by_the_order_of_their_ids_and_it_says_so():
    videos = [
        _video("a", _track(0.0, person=7, motion=OTHER), _track(0.0, person=3)),
        _video("b", _track(1.5, person=1), _track(1.5, person=2, motion=OTHER)),
    ]
    answer = solve_dtw(videos, max_offset=60)
    assert _starts(answer) == pytest.approx([0.0, 1.5], abs=0.05)
    assert answer.pairs[0].persons == ((3, 1), (7, 2))
    assert [(i.video, i.person, i.identity) for i in answer.identities] == [
        ("a", 3, 1), ("a", 7, 2), ("b", 1, 1), ("b", 2, 2),
    ]  # fmt: skip
    assert {i.verdict for i in answer.identities} == {Verdict.UNCERTAIN}
    assert any("order of their ids" in reason for reason in answer.videos[0].reasons)


def test_no_answer_is_more_than_uncertain():
    videos = [_video(name, _track(start, level="easy")) for name, start in (("a", 0.0), ("b", 1.0), ("c", 2.0))]
    answer = solve_dtw(videos, max_offset=60)
    for video in answer.videos:
        assert (video.verdict, video.half_width, video.z) == (Verdict.UNCERTAIN, None, 0.0)
        assert "no measure" in video.reasons[0]
        assert video.advice
        assert 18 < video.overlap < 25
        assert video.cycle_residual is not None
        assert video.cycle_residual < 0.2


def test_offsets_beyond_the_largest_are_not_answered():
    answer = solve_dtw([_video("a", _track(0.0)), _video("b", _track(5.0))], max_offset=1.0)
    for pair in answer.pairs:
        assert pair.offset is None or abs(pair.offset) <= 1.0


def _frames(track: PersonTrack, count: int) -> PersonTrack:
    return PersonTrack(1, track.times[:count], track.keypoints[:count], track.confidence[:count])


GOOD = _track(0.0)
NOTHING = replace(GOOD, keypoints=np.full_like(GOOD.keypoints, np.nan))
BAD = {
    "nobody": (_video("x"), "no person was found"),
    "no frame": (_video("x", _frames(GOOD, 0)), "of the 0 that"),
    "one frame": (_video("x", _frames(GOOD, 1)), "of the 1 that"),
    "all NaN": (_video("x", NOTHING), "nobody's joints are seen"),
    "no confidence": (_video("x", replace(GOOD, confidence=np.full((len(GOOD.times), 70), np.nan))), "nobody's joints"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_an_explained_verdict(case):
    bad, words = BAD[case]
    for videos in ([bad], [bad, _video("good", GOOD)], [_video("a", GOOD), bad, _video("b", _track(1.0))]):
        answer = solve_dtw(videos, max_offset=60)
        verdict = next(video for video in answer.videos if video.video == "x")
        assert (verdict.verdict, verdict.start_time) == (Verdict.UNKNOWN, None)
        assert verdict.advice
        if len(videos) > 1:
            assert words in verdict.reasons[0]
    assert answer.videos[2].start_time == pytest.approx(1.0, abs=0.05), "the good ones are answered all the same"


def test_one_video_and_none():
    assert "nothing to compare" in solve_dtw([_video("a", GOOD)], max_offset=60).videos[0].reasons[0]
    assert solve_dtw([], max_offset=60).videos == ()


def test_a_video_without_bodies_is_told_apart_from_one_without_people():
    answer = solve_dtw([_video("a"), _video("b", GOOD)], max_offset=60, without_bodies=["a"])
    assert "no bodies" in answer.videos[0].reasons[0]


def test_groups_that_share_no_joint_are_reported_apart():
    def only(track: PersonTrack, joints: slice) -> PersonTrack:
        confidence = np.zeros_like(track.confidence)
        confidence[:, joints] = track.confidence[:, joints]
        return replace(track, confidence=confidence)

    upper, lower = slice(0, 9), slice(9, 21)
    videos = [_video(f"u{k}", only(_track(k), upper)) for k in range(3)]
    videos += [_video(f"l{k}", only(_track(k), lower)) for k in range(2)]
    answer = solve_dtw(videos, max_offset=60)
    assert [component.videos for component in answer.components] == [("u0", "u1", "u2"), ("l0", "l1")]
    assert [video.verdict for video in answer.videos] == [Verdict.UNCERTAIN] * 3 + [Verdict.UNKNOWN] * 2
    assert answer.videos[4].reasons[0].startswith("its start is known relative to l0 alone")
    assert sum(pair.offset is None for pair in answer.pairs) == 6


def test_long_recordings_are_compared_more_coarsely_and_it_says_so(monkeypatch):
    monkeypatch.setattr(dtw, "MAX_INSTANTS", 300)
    answer = solve_dtw([_video("a", _track(0.0)), _video("b", _track(2.0))], max_offset=60)
    assert answer.videos[1].start_time == pytest.approx(2.0, abs=0.1)
    assert any("steps of 0.08 s" in reason for reason in answer.videos[0].reasons)


def test_names_must_differ():
    with pytest.raises(BadInput, match="every name once"):
        solve_dtw([_video("a", GOOD), _video("a", GOOD)], max_offset=60)


def test_body_axes_see_through_the_cameras_rotation():
    pts = np.arange(600) / 30
    tracks = [
        observe(MOTION, s + pts, pts, LEVELS["clean"], np.random.default_rng(0), rotation=np.diag([x, 1.0, x]))
        for s, x in ((0.0, 1.0), (2.0, -1.0))  # from opposite sides
    ]
    a, b = (seen_people(_video("x", track), rate=30, axes="body")[0][1] for track in tracks)
    assert path_offset(a, b, max_offset=60) == pytest.approx(2.0, abs=0.04)
    assert path_offset(a, b, max_offset=60, summary="median") == pytest.approx(2.0, abs=0.04)


def test_starts_are_the_least_squares_solution():
    true = np.array([0.3, 1.0, -0.4, 2.0])
    pairs = list(itertools.combinations(range(4), 2))
    noise = np.random.default_rng(0).normal(size=len(pairs))
    found = least_squares_starts(5, {(i, j): true[j] - true[i] + e for (i, j), e in zip(pairs, noise, strict=True)})
    assert found[4] == 0

    def cost(starts):
        return sum((true[j] - true[i] + e - starts[j] + starts[i]) ** 2 for (i, j), e in zip(pairs, noise, strict=True))

    for k in range(4):
        for step in (-1e-3, 1e-3):
            assert cost(found[:4] + step * (np.arange(4) == k)) > cost(found[:4])
