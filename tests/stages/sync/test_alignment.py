from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.signal import lfilter

from stages.sync.alignment import RESOLUTION, SHORT_BIAS, Alignment, View, align, expected_variance
from stages.sync.features import Features

RATE = 30.0
Movement = Callable[[np.ndarray], np.ndarray]


def _movement(rng: np.random.Generator, columns: int, *, waves: int = 12) -> Movement:
    """Sums of sines of 0.2 to 3 Hz, of unit variance: known at any instant, between grid steps too."""
    frequency = rng.uniform(0.2, 3.0, (columns, waves)) / RATE
    phase = rng.uniform(0, 2 * np.pi, (columns, waves))
    height = rng.normal(size=(columns, waves)) * np.sqrt(2 / waves)
    return lambda steps: (height * np.sin(2 * np.pi * frequency * steps[:, None, None] + phase)).sum(2)


def _error(rng: np.random.Generator, shape: tuple[int, int], memory: float = 0.3) -> np.ndarray:
    """Errors of unit variance that an estimator forgets within `memory` seconds."""
    keep = np.exp(-1 / (memory * RATE))
    drive = rng.normal(size=shape) * np.sqrt(1 - keep**2)
    drive[0] /= np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1], [1, -keep], drive, axis=0))


def _seen(
    movement: Movement,
    start: float,
    length: int,
    rng: np.random.Generator,
    noise: float | Sequence[float],
    *,
    begin: int = 0,
) -> Features:
    """What a video shows from its step `begin` on, whose step 0 is at `start` on the scene's clock."""
    values = movement(start + np.arange(begin, begin + length))
    values = values + np.asarray(noise) * _error(rng, values.shape)
    return Features(values.astype(np.float32), np.ones((length, 1), np.float32), begin)


def _align(starts: Sequence[float] | np.ndarray, views: Sequence[View], *, centred: bool = False) -> Alignment:
    generator = np.random.default_rng(0)
    return align(np.asarray(starts, dtype=np.float64), views, rate=RATE, centred=centred, generator=generator)


def _against_the_others(errors: np.ndarray) -> np.ndarray:
    return np.array([error - np.delete(errors, k).mean() for k, error in enumerate(errors)])


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("videos", [2, 5])
def test_recovers_fractions_of_a_step_from_starts_that_are_two_steps_off(videos: int, centred: bool):
    for noise, limit in ((0.0, 0.02), (0.1, 0.06)):
        worst = 0.0
        for seed in range(15):
            rng = np.random.default_rng(seed)
            movement, starts = _movement(rng, 4), rng.uniform(-20, 20, videos)
            views = [View(v, 7, _seen(movement, s, 450, rng, noise)) for v, s in enumerate(starts)]
            found = _align(starts + rng.uniform(-2, 2, videos), views, centred=centred)
            assert found.starts[0] == 0
            worst = max(worst, float(np.abs(found.starts - (starts - starts[0])).max()))
            assert (found.r > (0.999 if noise == 0 else 0.97)).all()
        assert worst < limit, f"{worst:.4f} steps off at noise {noise}"


def test_where_it_begins_does_not_matter():
    rng = np.random.default_rng(1)
    movement, starts = _movement(rng, 4), np.array([0.0, 7.4, -3.8, 11.1])
    views = [View(v, 0, _seen(movement, s, 450, rng, 0.5)) for v, s in enumerate(starts)]
    found = [_align(starts + off, views).starts for off in (np.zeros(4), np.array([1.0, -2, 2, -1]))]
    worst = np.abs(found[0] - found[1]).max()
    assert worst < 0.02, f"{worst:.4f} steps apart"


def test_several_persons_who_are_not_all_in_every_video():
    shown = [(0, 1, 2), (0, 2), (1, 2), (0, 1)]
    worst = 0.0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        movements, starts = [_movement(rng, 4) for _ in range(3)], rng.uniform(-20, 20, 4)
        views = [
            View(v, p, _seen(movements[p], starts[v], 200 + 40 * v, rng, 0.2, begin=30 * p))
            for v, persons in enumerate(shown)
            for p in persons
        ]
        found = _align(starts + rng.uniform(-1, 1, 4), views)
        worst = max(worst, float(np.abs(found.starts - (starts - starts[0])).max()))
        assert np.isfinite(found.half_widths).all()
    assert worst < 0.15, f"{worst:.3f} steps off"


def test_more_persons_tell_more():
    def widths(people: int) -> float:
        found = []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            views = []
            for p in range(people):
                movement = _movement(rng, 4)
                views += [View(v, p, _seen(movement, 0.0, 400, rng, 0.8)) for v in range(3)]
            found.append(_align(np.zeros(3), views).half_widths.mean())
        return float(np.mean(found))

    ratio = widths(1) / widths(4)
    assert 1.5 < ratio < 2.6, f"half the width is expected of four persons, got 1 / {ratio:.2f}"


def _equal_weights(a: np.ndarray, b: np.ndarray) -> float:
    """Lag of b behind a by plain cross-correlation of all columns alike, to a fraction of a step."""
    room, lags = 6, range(-6, 7)
    middle = slice(room, len(a) - room)
    r = []
    for lag in lags:
        x, y = a[room + lag : len(a) - room + lag], b[middle]
        r.append((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))
    k = int(np.clip(np.argmax(r), 1, len(r) - 2))
    before, top, after = r[k - 1 : k + 2]
    return k - room + 0.5 * (before - after) / (before - 2 * top + after)


def test_features_that_agree_count_more():
    noise = [0.1] * 2 + [3.0] * 8  # in the variance of the movement: eight of ten features are mostly errors
    ours, plain = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        movement, start = _movement(rng, 10), rng.uniform(-1.5, 1.5)
        a, b = (_seen(movement, s, 400, rng, noise) for s in (0.0, start))
        ours.append(_align(np.zeros(2), [View(0, 0, a), View(1, 0, b)]).starts[1] - start)
        plain.append(_equal_weights(a.values.astype(float), b.values.astype(float)) - start)
    better = np.sqrt(np.mean(np.square(plain)) / np.mean(np.square(ours)))
    assert better > 3, f"errors are {better:.1f} times smaller than with equal weights"


def test_a_noisier_feature_weighs_less_and_its_unit_does_not_matter():
    rng = np.random.default_rng(3)
    movement, starts = _movement(rng, 4), np.array([0.0, 3.4, -2.2])
    noise = np.array([0.4, 0.4, 0.8, 0.8])
    seen = [_seen(movement, s, 1500, rng, noise) for s in starts]
    unit = np.array([1, 10, 1, 0.1], np.float32)
    scaled = [Features(f.values * unit, f.mask) for f in seen]
    plain, other = (_align(starts, [View(v, 0, f) for v, f in enumerate(fs)]) for fs in (seen, scaled))
    assert plain.projection is not None
    assert other.projection is not None
    np.testing.assert_allclose(plain.starts, other.starts, atol=2e-3)
    np.testing.assert_allclose(plain.half_widths, other.half_widths, rtol=0.02)
    weights, rescaled = (np.square(p).sum(1) for p in (plain.projection, other.projection * unit[:, None]))
    np.testing.assert_allclose(weights, rescaled, rtol=0.05)
    assert weights[2:].max() < 0.6 * weights[:2].min(), f"weights {weights}"


def test_weights_are_those_of_wieners_filter():
    noise, rows = np.array([0.4, 0.4, 0.8, 0.8]), []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        movement, starts = _movement(rng, 4), np.array([0.0, 3.4, -2.2])
        projection = _align(starts, [View(v, 0, _seen(movement, s, 3000, rng, noise)) for v, s in enumerate(starts)])
        assert projection.projection is not None
        rows.append(np.square(projection.projection).sum(1))
    found = np.mean(rows, axis=0)
    found = found[:2].sum() / found[2:].sum()
    snr = 1 / noise**2
    expected = (snr * snr / (snr + 1))[0] / (snr * snr / (snr + 1))[2]
    assert found == pytest.approx(expected, rel=0.18), "5.7, and 4 without the filter"


@pytest.mark.parametrize("starts", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.5, 0.25, 0.75)], ids=["steps", "fractions"])
def test_a_feature_without_agreement_or_variance_is_left_out(starts: tuple[float, ...]):
    rng = np.random.default_rng(4)
    movement = _movement(rng, 3)
    views = []
    for v, start in enumerate(starts):
        f = _seen(movement, start, 1500, rng, 0.3)
        noise, still = _error(rng, (1500, 1)), np.zeros((1500, 1))
        views.append(View(v, 0, Features(np.hstack([f.values, noise, still]).astype(np.float32), f.mask)))
    projection = _align(starts, views).projection
    assert projection is not None
    size = np.linalg.norm(projection, axis=1)
    assert size[3] < 0.15 * size[:3].min(), f"sizes {size}"
    assert size[4] == 0


@pytest.mark.parametrize("centred", [False, True])
def test_95_percent_intervals_cover_about_95_percent(centred: bool):
    inside = []
    for seed in range(110):
        rng = np.random.default_rng(seed)
        videos = int(rng.integers(2, 6))
        movement, starts = _movement(rng, 3), rng.uniform(-15, 15, videos)
        noise = rng.uniform(0.3, 1.2, 3)
        views = [View(v, 0, _seen(movement, s, 360, rng, noise)) for v, s in enumerate(starts)]
        found = _align(starts + rng.uniform(-1, 1, videos), views, centred=centred)
        inside += list(np.abs(_against_the_others(found.starts - starts)) <= found.half_widths)
    assert 0.90 <= np.mean(inside) <= 0.985, f"coverage {np.mean(inside):.3f} of {len(inside)}"


@pytest.mark.parametrize("centred", [False, True])
def test_more_noise_makes_wider_intervals_and_more_time_narrower_ones(centred: bool):
    def width(length: int, noise: float) -> float:
        found = []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            movement = _movement(rng, 4)
            views = [View(v, 0, _seen(movement, 0.0, length, rng, noise)) for v in range(2)]
            found.append(_align(np.zeros(2), views, centred=centred).half_widths.mean())
        return float(np.mean(found))

    noisy = width(600, 1.2) / width(600, 0.3)
    assert noisy > 2, f"{noisy:.2f} times as wide"
    longer = width(600, 0.8) / width(2400, 0.8)
    assert 1.6 < longer < 2.6, f"half the width is expected of four times the time, got 1 / {longer:.2f}"


def test_identical_recordings_have_hardly_any_width_but_never_less_than_the_resolution():
    signal = np.random.default_rng(0).normal(size=(600, 3)).cumsum(0).astype(np.float32)
    same = Features(signal - signal.mean(0), np.ones((600, 1), np.float32))
    found = _align(np.zeros(3), [View(v, 0, same) for v in range(3)])
    assert (found.half_widths >= RESOLUTION * RATE).all()
    assert found.half_widths.max() < 0.02, f"{found.half_widths.max():.4f} steps"
    np.testing.assert_allclose(found.starts, 0, atol=1e-3)
    np.testing.assert_allclose(found.r, 1, atol=1e-4)


def test_a_clip_of_a_single_movement_is_not_believed_to_a_fraction_of_a_frame():
    signal = np.random.default_rng(0).normal(size=(300, 3)).cumsum(0).astype(np.float32)
    for length, least, most in ((80, SHORT_BIAS * RATE, 2 * SHORT_BIAS * RATE), (300, 0, 0.1 * SHORT_BIAS * RATE)):
        same = Features(signal[:length] - signal[:length].mean(0), np.ones((length, 1), np.float32))
        found = _align(np.zeros(3), [View(v, 0, same) for v in range(3)], centred=True)
        assert (found.half_widths >= least).all()
        assert (found.half_widths <= most).all()


def test_in_short_recordings_what_each_video_is_off_by_does_not_matter():
    worst = []
    for centred in (True, False):
        errors = []
        for seed in range(15):
            rng = np.random.default_rng(seed)
            movement, starts, views = _movement(rng, 4), rng.uniform(-2, 2, 3), []
            for v, start in enumerate(starts):
                f = _seen(movement, start, 120, rng, 0.1)
                views.append(View(v, 0, Features((f.values + 3 * rng.normal(size=4)).astype(np.float32), f.mask)))
            errors.append(_align(np.round(starts), views, centred=centred).starts - (starts - starts[0]))
        worst.append(np.abs(errors).max())
    assert worst[0] < 0.3 < worst[1], f"{worst[0]:.2f} steps off, and {worst[1]:.2f} without centring"


def test_what_nobody_shares_is_not_moved_and_does_no_harm():
    rng = np.random.default_rng(2)
    movement, starts = _movement(rng, 4), np.array([0.0, 10.3, 4.7, -6.2])
    views = [View(v, 0, _seen(movement, s, 600, rng, 0.5)) for v, s in enumerate(starts[1:], start=1)]
    alone = [View(0, 5, _seen(_movement(rng, 4), 0.0, 600, rng, 0.5))]  # of a person who is in no other video
    begin = starts + np.array([0, 1, -1, 1])
    found = _align(begin, alone + views)
    assert found.starts[0] == 0
    assert np.isnan(found.half_widths).tolist() == [True, False, False, False]
    assert found.r[0] == 0
    without = _align(begin[1:], [View(view.video - 1, 0, view.features) for view in views])
    np.testing.assert_allclose(found.starts[1:] - found.starts[1], without.starts, atol=1e-3)
    np.testing.assert_allclose(found.half_widths[1:], without.half_widths, rtol=0.3)
    np.testing.assert_allclose(found.starts[1:] - found.starts[1], starts[1:] - starts[1], atol=0.5)


def test_without_anybody_in_common_nothing_moves_and_nothing_is_known():
    rng = np.random.default_rng(5)
    strangers = [View(v, v, _seen(_movement(rng, 3), 0.0, 300, rng, 0.1)) for v in range(3)]
    broken = [View(0, 0, _seen(_movement(rng, 3), 0.0, 100, rng, 0.1, begin=b)) for b in (0, 150)]
    for views in ([], strangers, broken):
        found = _align([4.0, 9.5, -1.0], views)
        assert found.starts.tolist() == [0, 5.5, -5]
        assert np.isnan(found.half_widths).all()
        assert found.r.tolist() == [0, 0, 0]
        assert found.projection is None


def test_one_person_at_different_times_tells_nothing():
    rng = np.random.default_rng(6)
    movement = _movement(rng, 3)
    early, late = (_seen(movement, 0.0, 200, rng, 0.1, begin=b) for b in (0, 300))
    found = _align([0.0, 2.0], [View(0, 0, early), View(1, 0, late)])
    assert found.starts.tolist() == [0, 2]
    assert np.isnan(found.half_widths).all()


def test_features_on_a_part_of_the_grid_equal_those_on_the_whole():
    rng = np.random.default_rng(4)
    movement = _movement(rng, 4)
    views = [View(v, 0, _seen(movement, 0.3 * v, 900, rng, 0.5)) for v in range(2)]
    part = _seen(movement, 0.7, 500, rng, 0.5, begin=200)
    mask = np.zeros((900, 1), np.float32)
    mask[200:700] = 1
    values = np.zeros((900, 4), np.float32)
    values[200:700] = part.values
    a, b = (_align(np.zeros(3), [*views, View(2, 0, f)]) for f in (part, Features(values, mask)))
    np.testing.assert_allclose(a.starts, b.starts, atol=1e-3)
    np.testing.assert_allclose(a.half_widths, b.half_widths, rtol=0.02)
    assert (a.half_widths > 0).all()


@pytest.mark.parametrize("first", ["whole", "by column"])
def test_a_mask_for_all_features_is_as_good_as_one_each(first: str):
    rng = np.random.default_rng(7)
    movement = _movement(rng, 4)
    seen = [_seen(movement, s, 600, rng, 0.4) for s in (0.0, 1.6, -0.7)]
    wide = [Features(f.values, np.repeat(f.mask, 4, axis=1)) for f in seen]
    mixed = [wide[0], *seen[1:]] if first == "by column" else [*seen[:2], wide[2]]
    expected, found = (_align(np.zeros(3), [View(v, 0, f) for v, f in enumerate(fs)]) for fs in (seen, mixed))
    np.testing.assert_allclose(found.starts, expected.starts, atol=1e-3)
    np.testing.assert_allclose(found.half_widths, expected.half_widths, rtol=0.02)


def test_features_that_a_video_does_not_see_do_no_harm():
    worst = 0.0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        movement, starts = _movement(rng, 6), rng.uniform(-2, 2, 4)
        views = []
        for v, s in enumerate(starts):
            f, mask = _seen(movement, s, 500, rng, 0.2), np.ones((500, 6), np.float32)
            mask[:, [v, v + 1]] = 0
            views.append(View(v, 0, Features(f.values * mask, mask)))
        found = _align(np.round(starts), views)
        worst = max(worst, float(np.abs(found.starts - (starts - starts[0])).max()))
    assert worst < 0.15, f"{worst:.3f} steps off"


def test_a_broken_track_is_as_good_as_a_whole_one():
    rng = np.random.default_rng(8)
    movement = _movement(rng, 4)
    views = [View(v, 0, _seen(movement, 0.4 * v, 900, rng, 0.3)) for v in range(3)]
    whole = views[2].features
    parts = [View(2, 0, Features(whole.values[a:b], whole.mask[a:b], a)) for a, b in ((0, 400), (400, 900))]
    expected, found = _align(np.zeros(3), views), _align(np.zeros(3), [*views[:2], *parts])
    np.testing.assert_allclose(found.starts, expected.starts, atol=0.02)
    np.testing.assert_allclose(found.half_widths, expected.half_widths, rtol=0.1)


def test_neither_names_of_persons_nor_the_order_of_views_matter():
    rng = np.random.default_rng(9)
    movements = [_movement(rng, 4) for _ in range(2)]
    views = [View(v, p, _seen(movements[p], 0.9 * v, 400, rng, 0.4)) for v in range(3) for p in range(2)]
    renamed = [View(view.video, 90 - view.person, view.features) for view in reversed(views)]
    a, again, b = (_align(np.zeros(3), x) for x in (views, views, renamed))
    assert a.starts.tolist() == again.starts.tolist()
    assert a.half_widths.tolist() == again.half_widths.tolist()
    np.testing.assert_allclose(a.starts, b.starts, atol=2e-3)
    np.testing.assert_allclose(a.half_widths, b.half_widths, rtol=0.02)


def test_a_lags_variance_falls_with_the_overlap_and_with_the_sharpness_of_the_peak():
    blunt, sharp = np.array([0.79, 0.8, 0.79]), np.array([0.7, 0.8, 0.7])
    assert expected_variance(blunt, 200.0) == pytest.approx(expected_variance(blunt, 100.0) / 2)
    assert expected_variance(sharp, 100.0) == pytest.approx(expected_variance(blunt, 100.0) / 10)
    for nothing in ([0.5, 0.5, 0.5], [0.6, 0.5, 0.6], [-0.3, -0.2, -0.3]):
        assert expected_variance(np.array(nothing), 100.0) == np.inf
    assert expected_variance(sharp, 0.0) == np.inf


def test_the_inflation_makes_the_curves_own_variance_that_of_the_starts():
    ratios = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        movement = _movement(rng, 4)
        seen = [_seen(movement, 0.0, 1200, rng, 0.7) for _ in range(2)]
        found = _align(np.zeros(2), [View(v, 0, f) for v, f in enumerate(seen)])
        a, b = (f.values.astype(float) for f in seen)
        r = []
        for lag in (-1, 0, 1):
            x, y = a[1 + lag : 1199 + lag], b[1:1199]
            r.append((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))
        expected = found.inflation * expected_variance(np.array(r), 1200.0)
        ratios.append(1.96 * np.sqrt(expected) / found.half_widths[0])
    assert 0.6 < np.median(ratios) < 1.3, f"median ratio of the two half widths {np.median(ratios):.2f}"
