from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.cameras import simulate_scene
from stages.sync.features import Features
from stages.sync.intervals import bootstrap
from stages.sync.solve import solve


def test_95_percent_intervals_cover_about_95_percent():
    inside = []
    for level, seeds in (("medium", range(6)), ("hard", range(100, 106))):
        for seed in seeds:
            scene = simulate_scene(np.random.default_rng(seed), cameras=5, seconds=30, level=level)
            answer = solve(scene.videos)
            found = [k for k, video in enumerate(answer.videos) if video.start_time is not None]
            error = np.array([answer.videos[k].start_time - scene.start_times[k] for k in found])
            for q, k in enumerate(found):
                against_the_others = error[q] - np.delete(error, q).mean()
                inside.append(abs(against_the_others) <= answer.videos[k].half_width)
    assert len(inside) >= 54
    assert 0.88 <= np.mean(inside) <= 1.0, f"coverage {np.mean(inside):.3f} of {len(inside)}"


def _noisy(signal: np.ndarray, noise: float, rng: np.random.Generator) -> Features:
    values = signal + noise * rng.normal(size=signal.shape)
    return Features(values.astype(np.float32), np.ones((len(values), 1), np.float32))


@pytest.mark.parametrize("centred", [False, True])
def test_more_noise_makes_wider_intervals_and_more_time_narrower_ones(centred: bool):
    rng = np.random.default_rng(0)
    smooth = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(15), mode="same"), 0, rng.normal(size=(4000, 6)))

    def width(length: int, noise: float) -> float:
        a, b = (_noisy(smooth[:length], noise, rng) for _ in range(2))
        found = bootstrap(
            np.zeros(2), {(0, 1): [(a, b)]}, {(0, 1): 1.0}, rate=30, centred=centred, generator=np.random.default_rng(1)
        )
        assert found.starts[0] == pytest.approx(found.starts[1])
        assert found.starts[0] == pytest.approx(found.lags[0, 1])
        return float(found.starts[0])

    assert width(1000, 1.5) > 2 * width(1000, 0.3)
    assert 1.4 < width(1000, 0.8) / width(4000, 0.8) < 3, "half the width is expected of four times the time"


def test_identical_recordings_have_no_width():
    signal = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    same = Features(signal, np.ones((300, 1), np.float32))
    found = bootstrap(
        np.zeros(2), {(0, 1): [(same, same)]}, {(0, 1): 1.0}, rate=30, centred=False, generator=np.random.default_rng(0)
    )
    assert found.starts.max() < 0.05


def test_without_couples_or_weights_no_width_is_known():
    same = Features(np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32), np.ones((300, 1), np.float32))
    for couples, weights in (({}, {}), ({(0, 1): [(same, same)]}, {(0, 1): 0.0})):
        found = bootstrap(np.zeros(2), couples, weights, rate=30, centred=False, generator=np.random.default_rng(0))
        assert np.isnan(found.starts).all()


def test_a_video_that_no_weight_connects_has_no_width_and_does_no_harm():
    rng = np.random.default_rng(2)
    signal = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(15), mode="same"), 0, rng.normal(size=(900, 4)))
    f = [_noisy(signal, 0.5, rng) for _ in range(4)]

    def widths(count: int, weights: dict[tuple[int, int], float]) -> np.ndarray:
        couples = {(i, j): [(f[i], f[j])] for i, j in weights}
        return bootstrap(
            np.zeros(count), couples, weights, rate=30, centred=False, generator=np.random.default_rng(3)
        ).starts

    three = {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 1.0}
    found = widths(4, three | {(0, 3): 0.0})
    assert np.isnan(found).tolist() == [False, False, False, True]
    np.testing.assert_allclose(found[:3], widths(3, three), rtol=1e-9)


def test_features_on_a_part_of_the_grid_give_the_widths_of_the_whole_grid():
    rng = np.random.default_rng(4)
    signal = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(15), mode="same"), 0, rng.normal(size=(900, 4)))
    a, b = (_noisy(signal, 0.5, rng) for _ in range(2))
    part = Features(b.values[200:700], b.mask[200:700], 200)
    mask = np.zeros((900, 1), np.float32)
    mask[200:700] = 1
    whole = Features(b.values * mask, mask)
    found = [
        bootstrap(
            np.zeros(2), {(0, 1): [(a, x)]}, {(0, 1): 1.0}, rate=30, centred=False, generator=np.random.default_rng(5)
        ).starts
        for x in (part, whole)
    ]
    assert (found[0] > 0).all()
    np.testing.assert_allclose(*found, rtol=1e-6)
