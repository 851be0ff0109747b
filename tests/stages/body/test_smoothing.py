"""Jitter goes, motion stays: on uneven time stamps, across dropped frames and outliers, without lag."""

import dataclasses

import numpy as np
import pytest

from common.artifacts.bodies import save_person
from common.skeletons import BLAZEPOSE_TO_MHR70, HIPS
from stages.body.assemble import reprojection_px
from stages.body.smoothing import MAX_WINDOW, WINDOW, smooth, smooth_body, window_for
from tests.stages.body.test_assemble import FRAMES, STAND, make_body


def even(fps=60, seconds=4.0):
    return np.arange(int(fps * seconds)) / fps


def uneven(seed=0):
    return np.cumsum(np.random.default_rng(seed).uniform(0.008, 0.03, 200))


def jitter(values):
    return np.median(np.linalg.norm(np.diff(values, n=2, axis=0), axis=-1))


def swing(times, hertz=1.0, amplitude=0.3):
    """(N, 1, 3) metres."""
    phase = 2 * np.pi * hertz * times
    return amplitude * np.stack([np.sin(phase), np.cos(phase), 0.5 * np.sin(phase + 1)], axis=-1)[:, None]


@pytest.mark.parametrize("times", [even(), even(30), uneven()], ids=["60 fps", "30 fps", "uneven"])
def test_a_parabola_passes_unchanged(times):
    moving = np.stack([0.3 + 2 * times, -1 + times**2, 3 - 0.5 * times**2], axis=-1)[:, None]
    worst = np.abs(smooth(moving, times) - moving).max()
    assert worst < 1e-9, f"{worst:.1e} m"


@pytest.mark.parametrize("times", [even(), uneven()], ids=["60 fps", "uneven"])
def test_noise_is_halved_and_jitter_nearly_gone(times):
    truth = swing(times)
    noisy = truth + np.random.default_rng(3).normal(0, 0.01, truth.shape)
    found = smooth(noisy, times)
    before, after = np.linalg.norm(noisy - truth, axis=2).mean(), np.linalg.norm(found - truth, axis=2).mean()
    assert after < 0.5 * before, f"{before * 1e3:.1f} -> {after * 1e3:.1f} mm"
    rough, fine = jitter(noisy - truth), jitter(found - truth)
    assert fine < 0.15 * rough, f"{rough * 1e3:.1f} -> {fine * 1e3:.1f} mm/frame^2"


@pytest.mark.parametrize("fps", [24, 30, 60, 120, 240])
@pytest.mark.parametrize(("hertz", "passes"), [(1, 1.0), (3, 0.94), (5, 0.65), (7, 0.21)])
def test_the_same_frequencies_pass_at_any_rate(fps, hertz, passes):
    times = even(fps, seconds=2.0)
    circle = np.stack([np.cos(2 * np.pi * hertz * times), np.sin(2 * np.pi * hertz * times)], axis=-1)[:, None]
    found = smooth(circle, times, window=window_for(times))
    inner = (times > WINDOW) & (times < times[-1] - WINDOW)
    gain = float((found * circle).sum(axis=-1)[inner].mean())
    assert gain == pytest.approx(passes, abs=0.03), f"{gain:.3f} of {hertz} Hz"


def test_nothing_is_delayed():
    times = even()
    truth = swing(times, hertz=2)[:, 0, 0]
    found = smooth(swing(times, hertz=2), times)[:, 0, 0]
    lags = np.arange(-5, 6)
    likeness = [np.dot(truth[20:-20], np.roll(found, -lag)[20:-20]) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0


def test_a_single_wrong_frame_disappears():
    times = even(30)
    truth = swing(times)
    wrong = truth.copy()
    wrong[50] += 0.4
    worst = np.abs(smooth(wrong, times) - truth)[45:56].max()
    assert worst < 0.03, f"{worst * 1e3:.0f} mm left of 400"


def test_a_kick_keeps_its_peak():
    times = even(60)
    kick = 0.5 * np.exp(-0.5 * ((times - 2) / 0.08) ** 2)  # 3.8 m/s
    values = np.zeros((len(times), 1, 3))
    values[:, 0, 0] = kick
    values += np.random.default_rng(0).normal(0, 0.003, values.shape)
    peak = smooth(values, times)[:, 0, 0].max()
    assert peak > 0.44, f"peak of 500 mm becomes {peak * 1e3:.0f}"


def test_a_gap_longer_than_the_window_is_never_bridged():
    times = even()
    times = np.where(times < 2, times, times + 2 * WINDOW)
    values = np.where(times < 2, 0.0, 1.0)[:, None, None] * np.ones((1, 1, 3))  # somebody reappears a metre away
    worst = np.abs(smooth(values, times) - values).max()
    assert worst < 1e-9, f"{worst * 1e3:.1f} mm"


def test_missing_stays_missing_and_costs_its_neighbours_little():
    times = even()
    truth = swing(times)
    holes = truth.copy()
    holes[100:103] = np.nan
    found = smooth(holes, times)
    assert np.isnan(found).all(axis=(1, 2)).tolist() == np.isnan(holes).all(axis=(1, 2)).tolist()
    assert np.nanmax(np.abs(found - truth)) < 0.01


def test_a_joint_that_is_not_trusted_leans_on_its_neighbours():
    times = even()
    truth = swing(times)
    wrong = truth + np.random.default_rng(0).normal(0, 0.002, truth.shape)
    wrong[80:84] += 0.2
    weights = np.ones((len(times), 1))
    weights[80:84] = 0.01
    found = np.abs(smooth(wrong, times, weights=weights) - truth)[80:84].max()
    assert found < 0.02, f"{found * 1e3:.0f} mm left of 200"


@pytest.mark.parametrize("frames", [0, 1, 3, 4])
def test_too_few_frames_are_left_alone(frames):
    values = np.random.default_rng(0).normal(size=(frames, 2, 3))
    assert np.array_equal(smooth(values, np.arange(frames) / 60), values)


@pytest.mark.parametrize("fps", [10, 7.5])
def test_jitter_goes_at_low_sampling_rates_too(fps):
    times = even(fps, seconds=20)
    truth = swing(times, hertz=0.5)
    noisy = truth + np.random.default_rng(3).normal(0, 0.01, truth.shape)
    found = smooth(noisy, times, window=window_for(times))
    before, after = jitter(noisy - truth), jitter(found - truth)
    assert after < 0.5 * before, f"{before * 1e3:.1f} -> {after * 1e3:.1f} mm/frame^2"


def test_the_window_grows_with_the_interval_up_to_a_limit():
    assert window_for(even(60)) == window_for(even(30)) == window_for(np.array([1.0])) == WINDOW
    assert window_for(even(10)) == pytest.approx(0.25)
    assert window_for(even(2.5 / MAX_WINDOW * 0.99)) is None


def test_samples_too_far_apart_stay_what_they_are():
    body, _ = make_body()
    slow = dataclasses.replace(body, times=np.arange(len(body)) * 0.2)
    assert smooth_body(slow) is slow


def moving(body, fps):
    """The body as it walks away, joints and place noisy by centimetres, each joint trusted now more, now less."""
    generator = np.random.default_rng(0)
    walk = np.outer(np.arange(len(body)) / fps, [0.5, 0, 1.0])
    joints = body.pred_keypoints_3d + generator.normal(0, 0.01, body.pred_keypoints_3d.shape)
    hips = joints[:, list(HIPS)].mean(axis=1, keepdims=True)
    focal, centre = body.focal[:, None], body.principal_point[:, None]
    place = body.pred_cam_t + walk + generator.normal(0, 0.02, walk.shape)
    camera = joints - hips + place[:, None]
    return dataclasses.replace(
        body,
        pred_keypoints_3d=(joints - hips).astype(np.float32),
        observed_keypoints_2d=(camera[..., :2] / camera[..., 2:] * focal + centre).astype(np.float32),
        pred_cam_t=place.astype(np.float32),
        times=np.arange(len(body)) / fps,
        confidence=np.where(body.confidence > 0, generator.uniform(0.05, 1, body.confidence.shape), 0).astype(
            np.float32
        ),
    )


@pytest.mark.parametrize("fps", [25, 10])
def test_a_smoothed_body_has_its_origin_between_the_hips_and_lies_on_its_rays(fps):
    body = moving(make_body()[0], fps)
    smoothed = smooth_body(body)
    worst = np.abs(smoothed.pred_keypoints_3d[:, list(HIPS)].mean(axis=1)).max()
    assert worst < 1e-6, f"mid-hip {worst * 1e3:.3f} mm off"
    assert {smoothed.pred_keypoints_3d.dtype, smoothed.pred_cam_t.dtype} == {np.dtype(np.float32)}
    residual = np.median(reprojection_px(smoothed))
    assert residual < 0.25, f"{residual:.2f} px; 0.9 to 1.0 where joints and place are smoothed apart"
    before, after = (jitter(b.keypoints_camera[:, list(BLAZEPOSE_TO_MHR70.values())]) for b in (body, smoothed))
    assert after < 0.5 * before, f"{before * 1e3:.1f} -> {after * 1e3:.1f} mm/frame^2"


def test_frames_without_a_place_keep_their_joints():
    body, _ = make_body()
    lost = np.arange(FRAMES) % 10 == 3
    place = np.where(lost[:, None], np.float32(np.nan), STAND.astype(np.float32))
    smoothed = smooth_body(dataclasses.replace(body, pred_cam_t=place))
    assert np.isnan(smoothed.pred_cam_t).any(axis=1).tolist() == lost.tolist()
    assert np.array_equal(smoothed.pred_keypoints_3d[lost], body.pred_keypoints_3d[lost], equal_nan=True)
    assert np.isfinite(smoothed.pred_keypoints_3d[:, list(HIPS)]).all()


def test_the_origin_stays_where_the_backend_has_it_in_the_body_so_that_a_mesh_fits_the_joints():
    body = moving(make_body()[0], 25)
    down = np.float32([0, 0.924, 0])  # to the ground point of SAM 3D Body's rig
    other = dataclasses.replace(
        body, pred_keypoints_3d=body.pred_keypoints_3d - down, pred_cam_t=body.pred_cam_t + down
    )
    hips, ground = smooth_body(body), smooth_body(other)
    worst = np.nanmax(np.abs(hips.keypoints_camera - ground.keypoints_camera))
    assert worst < 1e-5, f"{worst * 1e3:.3f} mm apart"
    moved = np.abs(ground.pred_keypoints_3d[:, list(HIPS)].mean(axis=1) + down).max()
    assert moved < 1e-5, f"the hips moved by {moved * 1e3:.3f} mm relative to the origin"


def test_smoothed_2d_keypoints_are_the_projection_of_the_smoothed_3d_ones(tmp_path):
    smoothed = smooth_body(moving(make_body()[0], 25))
    save_person(tmp_path, smoothed)  # which checks it
    assert np.nanmax(np.abs(smoothed.observed_keypoints_2d - smoothed.pred_keypoints_2d)) > 0.1
