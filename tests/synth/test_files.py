"""Videos and truth on disk are what the scene says."""

from __future__ import annotations

import av
import numpy as np
import pytest

from tests.synth.files import write_scene, write_video
from tests.synth.scripts import crowd_scene


def test_a_video_holds_the_frames_at_the_rate_of_the_scene(tmp_path):
    scene = crowd_scene(0, people=2, frames=12, rate=25.0, height=180, width=320)
    write_video(scene, 1, tmp_path / "cam.mp4")
    with av.open(str(tmp_path / "cam.mp4")) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.average_rate == 25
    assert [frame.time for frame in frames] == pytest.approx(np.arange(12) / 25)
    errors = [
        np.abs(frame.to_ndarray(format="rgb24", src_colorspace="ITU709").astype(int) - scene.image(1, number)).mean()
        for number, frame in enumerate(frames)
    ]
    assert max(errors) < 5, f"{max(errors):.1f} grey levels off"


def test_a_scene_on_disk_has_a_video_and_the_truth_of_every_camera(tmp_path):
    scene = crowd_scene(0, people=2, frames=5, height=90, width=160)
    write_scene(scene, tmp_path / "scene")
    assert sorted(path.name for path in (tmp_path / "scene").iterdir()) == [
        f"cam0{number}.{kind}" for number in (1, 2, 3) for kind in ("mp4", "npz")
    ]
    with np.load(tmp_path / "scene" / "cam02.npz") as truth:
        assert np.array_equal(truth["labels"][3], scene.labels(1, 3))
        assert np.array_equal(truth["joints"][4], scene.joints(4), equal_nan=True)
        assert np.array_equal(truth["world_T_camera"][2], scene.cameras[1].world_T_camera(2))
        assert truth["intrinsics"].shape == (3, 3)
