import subprocess
import sys

import numpy as np
import pytest

from common.artifacts.label_geometry import people_in
from common.media.decode import Frame
from stages.segment.backends import create
from stages.segment.backends.fake import FOCAL, body_at, place_at
from stages.segment.stage import Options


def frames(count, *, height=180, width=320, start=0.0, rate=10.0, brightness=100):
    image = np.full((height, width, 3), brightness, np.uint8)
    return [Frame(i, start + i / rate, image, corrupt=False) for i in range(count)]


def test_two_people_are_in_every_frame_with_constant_ids():
    for result in create(Options(backend="fake")).segment(frames(20)):
        assert [p.id for p in result.tracked] == [1, 2]


def test_nobody_is_in_black_frames():
    results = list(create(Options(backend="fake")).segment([*frames(2, brightness=7), *frames(2, brightness=8)]))
    assert [len(result.tracked) for result in results] == [0, 0, 2, 2]


def test_landmarks_in_pixels_are_the_projection_of_those_in_metres():
    for result in create(Options(backend="fake")).segment(frames(5)):
        for walker, person in enumerate(result.tracked):
            points = person.landmarks.world + place_at(result.seconds, walker=walker)
            pixels = points[:, :2] / points[:, 2:] * FOCAL * 320 + (159.5, 89.5)
            np.testing.assert_allclose(person.landmarks.image, pixels, atol=1e-9)


def test_the_joints_lie_on_the_silhouette():
    inside = []
    for result in create(Options(backend="fake")).segment(frames(20, height=360, width=640)):
        for person in result.tracked:
            x, y = person.landmarks.image[[0, 11, 12, 13, 14, 23, 24, 25, 26, 27, 28]].round().astype(int).T
            inside.append((result.labels[y, x] == person.id).mean())
    assert np.mean(inside) > 0.98, f"{np.mean(inside):.3f}"


def test_bones_keep_their_length():
    lengths = [np.linalg.norm(body_at(t, walker=0)[25] - body_at(t, walker=0)[27]) for t in np.arange(0, 9, 0.3)]
    assert np.ptp(lengths) < 1e-9


def test_a_video_that_starts_later_shows_the_same_walk_shifted():
    early = list(create(Options(backend="fake")).segment(frames(20)))
    late = list(create(Options(backend="fake")).segment(frames(10, start=1.0)))
    np.testing.assert_array_equal(early[10].labels, late[0].labels)
    np.testing.assert_array_equal(early[13].tracked[1].landmarks.world, late[3].tracked[1].landmarks.world)


def test_no_two_moments_of_a_minute_look_alike():
    poses = np.array([body_at(t, walker=0)[11:].ravel() for t in np.arange(0, 60, 0.2)])
    gaps = np.linalg.norm(poses[:, None] - poses[None], axis=-1)
    apart = np.abs(np.subtract.outer(np.arange(300), np.arange(300))) > 2
    assert gaps[apart].min() > 0.05, f"{gaps[apart].min():.3f} m"


@pytest.mark.parametrize("size", [(64, 48), (2, 2), (1080, 1920)])
def test_every_frame_size_gives_a_valid_result(size):
    height, width = size
    for result in create(Options(backend="fake")).segment(frames(2, height=height, width=width)):
        assert (result.labels.shape, result.labels.dtype) == (size, np.uint16)
        assert set(people_in(result.labels).ids) <= {one.id for one in result.tracked}


def test_choosing_a_backend_imports_no_other():
    code = (
        "import sys; from stages.segment.backends import create; from stages.segment.stage import Options;"
        "create(Options(backend='fake'));"
        "print(*(m for m in ('onnxruntime', 'ai_edge_litert', 'scipy') if m in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
