"""Sounds of one simulated room, heard by two cameras with clocks, places and faults that are known."""

import itertools

import numpy as np
import pytest

from benchmarks.simulation.sound import RATE, Camera, Source, record, true_offset, walker
from common.artifacts.sound import Sound
from stages.sync import audio
from stages.sync.audio import LAG, PATH, audio_clue, robust_line
from stages.sync.audio_delay import Delays
from stages.sync.audio_search import Line, Matches
from stages.sync.hearing import BANDS, HOP, hear

GRID, REACH = 30.0, 25.0  # Hz, s
NEAR, FAR = Camera((2.0, 2.0), start=3.0), Camera((4.0, 2.0), start=9.4)


def bursts(seconds, generator):
    """Somebody who makes short noises of all sizes, in the middle between NEAR and FAR."""
    signal = np.zeros(round(seconds * RATE))
    for at in generator.uniform(0, seconds - 0.5, round(2 * seconds)):
        length = int(generator.uniform(0.02, 0.4) * RATE)
        first = round(at * RATE)
        signal[first : first + length] += generator.normal(0, generator.uniform(0.2, 2), length)
    return Source(signal, np.array([[3.0, 4.0]]))


def listen(*cameras, sources=None, seed=0, **change):
    generator = np.random.default_rng(seed)
    sources = sources or [bursts(36, generator)]
    plain = {"length": 20.0, "reverberation": 0.0} | change
    cameras = [Camera(**{**vars(camera), **plain}) for camera in cameras]
    return [hear(record(sources, camera, generator)) for camera in cameras], cameras


def clue_of(heard, max_offset=REACH, rate=GRID):
    return audio_clue("left", heard[0], "right", heard[1], rate=rate, max_offset=max_offset)


def assert_right(clue, cameras, tolerance=0.002):
    error = clue.offset - true_offset(*cameras, clue.moment)
    assert abs(error) < tolerance, f"{error * 1e3:.2f} ms off, z {clue.z:.1f}"
    assert clue.z >= 5, clue.z


def test_the_camera_that_starts_later_has_a_positive_offset():
    heard, cameras = listen(NEAR, FAR)
    clue = clue_of(heard)
    assert (clue.kind, clue.a, clue.b) == ("audio", "left", "right")
    assert clue.offset == pytest.approx(9.4 - 3.0, abs=0.002)
    assert clue_of(heard[::-1]).offset == pytest.approx(3.0 - 9.4, abs=0.002)
    assert clue.moment == pytest.approx((6.4 + 20) / 2, abs=0.1)  # of what both recorded, on a's clock
    assert clue.overlap == pytest.approx(13.6, abs=0.2)
    assert_right(clue, cameras)


@pytest.mark.parametrize(
    "fault",
    [
        {"noise": 0.5},
        {"gain": 4.0},  # clips
        {"gain": 0.002},  # a few counts
        {"hum": 1.0},
        {"reverberation": 0.5},
        {"band": (300.0, 3400.0)},
        {"muted": ((9.0, 13.0),)},
        {"first": -1.5},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_faults_of_microphones_do_not_hurt(fault):
    heard, cameras = listen(NEAR, FAR, **fault)
    assert_right(clue_of(heard), cameras, tolerance=0.01)


def test_the_score_has_its_peak_at_the_offset_and_lies_on_the_grid():
    heard, _ = listen(NEAR, FAR)
    for rate in (30.0, 240.0):
        clue = clue_of(heard, rate=rate)
        np.testing.assert_allclose(clue.offsets, np.arange(-REACH * rate, REACH * rate + 1) / rate, atol=1e-9)
        assert clue.score.shape == clue.offsets.shape
        assert clue.score.dtype == np.float32
        assert clue.score.min() >= 0
        assert clue.score.max() == pytest.approx(clue.z, rel=1e-3)
        assert clue.offsets[clue.score.argmax()] == pytest.approx(clue.offset, abs=max(1 / rate, 0.01))
    assert not clue.score[np.abs(clue.offsets) > 20].any(), "recordings of 20 s cannot start 20 s apart"


def test_a_source_nearer_to_one_camera_is_within_what_the_deviation_says():
    corner = Source(bursts(36, np.random.default_rng(5)).signal, np.array([[6.0, 2.0]]))
    heard, cameras = listen(NEAR, FAR, sources=[corner])
    clue = clue_of(heard)
    error = clue.offset - true_offset(*cameras, clue.moment)
    assert error == pytest.approx(2 / 343, abs=0.001), "a hears it 2 m later, so its clock seems early"
    assert np.hypot(PATH, LAG) < clue.deviation < 0.02


def test_clocks_that_run_apart_are_measured():
    slow, fast = Camera((2.0, 2.0), start=3.0, rate=1.0008), Camera((4.0, 2.0), start=9.4, rate=0.9996)
    heard, cameras = listen(slow, fast, sources=[bursts(100, np.random.default_rng(1))], length=80.0)
    clue = clue_of(heard)
    assert_right(clue, cameras)
    error = 1e6 * (clue.rate - 0.9996 / 1.0008)
    assert abs(error) < 20, f"{error:.1f} ppm off"
    assert abs(error) < 3e6 * clue.rate_deviation


def test_short_recordings_say_nothing_of_rates():
    heard, _ = listen(NEAR, FAR, length=25.0)
    assert clue_of(heard).rate is None


def test_cameras_of_different_rooms_are_not_sure():
    rooms = [listen(NEAR, seed=seed, length=15.0)[0][0] for seed in range(5)]
    z = [clue_of(pair).z for pair in itertools.combinations(rooms, 2)]
    assert max(z) < 5, f"z up to {max(z):.1f}"


def test_a_beat_that_repeats_is_not_sure_and_shows_several_peaks():
    generator = np.random.default_rng(2)
    heard, _ = listen(NEAR, FAR, sources=[walker("music", 36, generator, moving=False)])
    clue = clue_of(heard)
    assert clue.z < 5, clue.z
    high = np.flatnonzero(clue.score > 0.8 * clue.score.max())
    bars = np.unique(np.round((clue.offsets[high] - 6.4) / 2))
    assert len(bars) >= 3, f"peaks at the bars {bars}"


def test_a_sound_that_is_played_twice_is_not_sure():
    jingle = bursts(14, np.random.default_rng(6)).signal
    twice = [Source(np.tile(jingle, 3), np.array([[3.0, 4.0]]))]
    once, _ = listen(Camera((2.0, 2.0), start=15.0), sources=twice, length=12.0)
    both, _ = listen(Camera((4.0, 2.0), start=14.5), sources=twice, length=27.5)
    clue = clue_of([*once, *both])
    assert clue.z < 5, clue.z
    peaks = [clue.score[np.abs(clue.offsets - at) < 0.1].max() for at in (-0.5, -14.5)]
    assert min(peaks) > 0.8 * clue.z, f"peaks of {peaks}, z {clue.z:.1f}"


def test_steps_look_periodic_and_are_told_apart_by_their_sound():
    generator = np.random.default_rng(3)
    heard, cameras = listen(NEAR, FAR, sources=[walker("steps", 50, generator, moving=False)], length=30.0)
    assert_right(clue_of(heard), cameras, tolerance=0.03)


@pytest.mark.parametrize("level", [0, 1])
def test_silence_says_nothing(level):
    heard, _ = listen(NEAR, FAR)
    samples = np.random.default_rng(0).integers(-level, level + 1, 20 * RATE).astype(np.int16)
    silence = hear(Sound(samples, RATE, 0.0, np.zeros((0, 2), np.int64)))
    assert clue_of([heard[0], silence]) is None
    assert clue_of([silence, heard[0]]) is None


@pytest.mark.parametrize("count", [1, 100, RATE])
def test_a_moment_of_sound_says_nothing(count):
    heard, _ = listen(NEAR, FAR)
    moment = hear(Sound(heard[0].sound.samples[:count], RATE, 0.0, np.zeros((0, 2), np.int64)))
    assert clue_of([moment, heard[1]]) is None
    assert clue_of([moment, moment]) is None


def test_recordings_without_common_time_within_reach_say_nothing():
    heard, _ = listen(Camera((2.0, 2.0), start=3.0, first=500.0), FAR)
    far = hear(Sound(heard[0].sound.samples, RATE, 500.0, np.zeros((0, 2), np.int64)))
    assert clue_of([far, heard[1]]) is None


def test_a_gap_counts_as_silence():
    (whole, _), _ = listen(NEAR, FAR)
    gap = hear(Sound(whole.sound.samples, RATE, 0.0, np.array([[5 * RATE, 10 * RATE]])))
    lost = whole.known.sum() - gap.known.sum()
    assert 500 <= lost <= 506, lost
    assert gap.bands.shape == (BANDS, len(gap.known))
    assert not gap.bands[:, ~gap.known].any()


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100])
def test_loudness_keeps_the_time_at_any_sample_rate(rate):
    samples = np.random.default_rng(0).normal(0, 10, 60 * rate)
    samples[50 * rate : 50 * rate + rate // 50] *= 500
    heard = hear(Sound(samples.astype(np.int16), rate, 2.0, np.array([[30 * rate, 40 * rate]])))
    loudest = heard.times[heard.bands.sum(axis=0).argmax()]
    assert loudest == pytest.approx(52.01, abs=0.02), f"{loudest - 52.01:.3f} s off"
    unknown = heard.times[~heard.known]
    assert (unknown[0], unknown[-1]) == pytest.approx((32, 42), abs=0.03)


def test_the_score_is_highest_at_the_offset_that_is_answered(monkeypatch):
    """Also where the waveforms prefer another line than the search did, one of another slope and moment."""
    lines = (Line(3.0, 0.0, 0.0, 60.0, 7.5), Line(7.0 + 2e-3 * 500, 2e-3, 500.0, 60.0, 7.0))
    offsets = np.arange(-1000, 1001) * HOP
    score = np.zeros(2001)
    score[1300], score[1700] = 7.5, 7.0
    matches = Matches(lines, offsets, score, reference=0.0)
    said = iter((Delays(np.zeros(0), np.zeros(0), 0, 0.0), Delays(np.array([500.0]), np.array([8.0]), 30, 8.0)))
    monkeypatch.setattr(audio, "search", lambda *_, **__: matches)
    monkeypatch.setattr(audio, "delays", lambda *_, **__: next(said))
    clue = audio_clue("left", None, "right", None, rate=100.0, max_offset=20.0)
    assert (clue.offset, clue.moment, clue.z) == (8.0, 500.0, 8.0)
    assert clue.offsets[clue.score.argmax()] == pytest.approx(8.0, abs=0.01)
    assert clue.score.max() == pytest.approx(8.0)


def test_a_line_is_not_bent_by_a_fifth_of_wrong_points_and_knows_its_error():
    generator = np.random.default_rng(4)
    times, errors = np.arange(-200.0, 200.0), []
    for _ in range(200):
        groups = (times + 200).astype(int) // 10
        values = 0.1 + 2e-5 * times + 0.002 * generator.standard_normal(40)[groups]
        wrong = generator.random(400) < 0.2
        values[wrong] += generator.uniform(-0.04, 0.04, wrong.sum())
        (offset, slope), covariance = robust_line(times, values, groups)
        errors.append([(offset - 0.1) / covariance[0, 0] ** 0.5, (slope - 2e-5) / covariance[1, 1] ** 0.5])
    spread = np.std(errors, axis=0)
    assert (np.abs(spread - 1) < 0.2).all(), f"errors are {spread} of what is said"
    assert np.abs(np.array(errors)).max() < 5
