"""segmentation.mp4 against what it was made from, read back with an ffmpeg binary."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from common.artifacts import PREVIEW
from common.drawing import person_colour
from common.media.packet_times import read_time_table
from common.published import Published
from common.workspace import Workspace
from stages.preview.stage import STAGE
from tests.stages.report.scenes import HEIGHT, WIDTH, SceneMaker


def run(maker, video="cam", **options):
    attempt = maker.folder / "attempt"
    attempt.mkdir()
    published = Published(maker.output, maker.name)
    workspace = Workspace(published, attempt, stage="preview", video=video, data=maker.data)
    STAGE.run(workspace, STAGE.make_options(options))
    return attempt / PREVIEW.key(video), workspace


def pictures(path, width=WIDTH, height=HEIGHT):
    """Every frame of a file as RGB, decoded by ffmpeg itself."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", path, "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


@pytest.fixture
def maker(tmp_path):
    made = SceneMaker(tmp_path)
    made.add_video("cam")
    made.ingest()
    made.frames("cam")
    made.segment("cam", {1: range(10, 30)})
    return made


def test_people_are_tinted_in_the_frames_in_which_they_are(maker):
    maker.body("cam", {1: range(10, 30)})
    path, workspace = run(maker)
    images = pictures(path).astype(float)
    assert len(images) == 30
    assert workspace.found == {"frames": 30}
    assert workspace.warnings == []
    inside, outside = images[:, 66:76, 14:26].mean(axis=(1, 2)), images[:, 66:76, 120:140].mean(axis=(1, 2))
    colourful = np.ptp(inside - outside, axis=1)
    assert colourful[:10].max() < 10, f"somebody is drawn before frame 10: {colourful[:10].round(1)}"
    assert colourful[10:].min() > 30, f"somebody is missing from frame 10 on: {colourful[10:].round(1)}"
    expected = np.array(person_colour(1)) - outside[20]
    change = inside[20] - outside[20]
    cosine = change @ expected / np.linalg.norm(change) / np.linalg.norm(expected)
    assert cosine > 0.9, f"changed by {change}, the colour lies towards {expected}"


def test_the_times_of_a_variable_rate_are_kept(tmp_path):
    maker = SceneMaker(tmp_path)
    times = np.cumsum([0.0, 0.02, 0.05, 0.02, 0.2, 0.033, 0.033])
    maker.add_video("cam", times=times)
    maker.ingest()
    maker.frames("cam")
    maker.segment("cam", {1: range(7)}, frames=7)
    preview, _ = run(maker)
    worst = np.abs(read_time_table(preview).seconds - times).max()
    assert worst < 1e-4, f"a frame is shown {worst * 1000:.2f} ms off"


def test_a_video_is_shrunk_to_the_height_that_was_asked_for(maker):
    path, _ = run(maker, height=48)
    assert pictures(path, 80, 48).shape == (30, 48, 80, 3)


def test_a_small_video_is_not_enlarged(maker):
    path, _ = run(maker, height=720)
    assert pictures(path).shape == (30, HEIGHT, WIDTH, 3)


def test_without_bodies_masks_are_drawn_and_the_user_is_told(maker):
    path, workspace = run(maker)
    assert len(pictures(path)) == 30
    assert ["no bodies" in warning for warning in workspace.warnings] == [True]


def test_the_same_input_gives_the_same_bytes(maker):
    first, _ = run(maker)
    content = first.read_bytes()
    first.parent.parent.rename(maker.folder / "earlier")
    second, _ = run(maker)
    assert second.read_bytes() == content
