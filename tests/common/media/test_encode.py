import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.media.container import probe
from common.media.decode import frames
from common.media.encode import VideoWriter
from common.media.packet_times import read_time_table
from tests.common.media.oracle import pixels
from tests.media_zoo import HEIGHT, WIDTH, draw, read_number


def write(path, numbers, *, rate=30.0, times=None, cut=(slice(None), slice(None))):
    with VideoWriter(path, rate=rate) as writer:
        for place, number in enumerate(numbers):
            writer.write(draw(number)[cut], seconds=None if times is None else times[place])
    return path


def test_frames_come_back_in_order_and_at_the_given_rate(tmp_path):
    path = write(tmp_path / "a.mp4", range(40), rate=30000 / 1001)
    table = read_time_table(path)
    assert [read_number(image) for image in pixels(path, (HEIGHT, WIDTH, 3))] == list(range(40))
    worst = np.abs(table.seconds - np.arange(40) * 1001 / 30000).max()
    assert worst < 1e-9, f"worst time is {worst:.2e} s off"
    assert probe(path).average_rate == pytest.approx(30000 / 1001, rel=1e-4)


def test_variable_times_are_kept_and_begin_at_zero(tmp_path):
    times = 7.25 + np.cumsum(np.random.default_rng(0).uniform(0.02, 0.2, 30))
    path = write(tmp_path / "a.mp4", range(30), times=times)
    worst = np.abs(read_time_table(path).seconds - (times - times[0])).max()
    assert worst <= 0.5 / 90_000 + 1e-9, f"worst time is {worst:.2e} s off"


def test_it_is_what_every_player_shows(tmp_path):
    path = write(tmp_path / "a.mp4", range(5))
    properties = probe(path)
    assert (properties.codec, properties.pixel_format, properties.rotation) == ("h264", "yuv420p", 0)
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat"), "the index comes after the pictures"


def test_colours_survive(tmp_path):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [40, 40, 40], [230, 230, 230]], np.uint8)
    image = np.repeat(np.repeat(colours[None], 32, axis=1), 32, axis=0)
    path = tmp_path / "a.mp4"
    with VideoWriter(path, rate=10) as writer:
        for _ in range(3):
            writer.write(image)
    middle = np.s_[16, 16::32]
    off = np.abs(pixels(path, image.shape)[0][middle].astype(int) - colours).max()
    assert off <= 8, f"worst colour is {off} levels off"


def test_odd_sizes_are_padded_by_one(tmp_path):
    path = write(tmp_path / "a.mp4", range(3), cut=(slice(0, 179), slice(0, 319)))
    table = read_time_table(path)
    images = [frame.image for frame in frames(path, table)]
    assert images[0].shape == (180, 320, 3)
    assert [read_number(image) for image in images] == [0, 1, 2]


def test_the_same_frames_give_the_same_bytes(tmp_path):
    dice = np.random.default_rng(0)
    results = set()
    for _ in range(8):
        for size in dice.integers(1, 400_000, 8):
            np.full(size, dice.integers(255), np.uint8)  # leaves other garbage in freed memory each time
        results.add(write(tmp_path / "a.mp4", range(20)).read_bytes())
    assert len(results) == 1, f"{len(results)} different files out of 8 runs"


def test_frames_that_do_not_fit_are_refused_and_the_file_is_removed(tmp_path):
    path = tmp_path / "a.mp4"

    def append(wrong, **options):
        with VideoWriter(path, rate=30) as writer:
            writer.write(draw(0), seconds=0.0)
            writer.write(wrong, **options)

    for wrong, options in (
        (np.zeros((90, 160, 3), np.uint8), {}),
        (draw(1).astype(np.float32), {}),
        (draw(1), {"seconds": 0.0}),
    ):
        with pytest.raises(ValueError, match=r"^a\.mp4: "):
            append(wrong, **options)
        assert not path.exists()
    with pytest.raises(ValueError, match="positive rate"):
        VideoWriter(path, rate=0)


def test_no_frame_no_file(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", rate=30):
        pass
    assert not (tmp_path / "a.mp4").exists()


def test_an_error_of_the_caller_removes_the_half_written_file(tmp_path):
    def draw_and_fail():
        with VideoWriter(tmp_path / "a.mp4", rate=30) as writer:
            writer.write(draw(0))
            raise KeyError("model")

    with pytest.raises(KeyError):
        draw_and_fail()
    assert not (tmp_path / "a.mp4").exists()


_FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from common.errors import DiskError
from common.media.encode import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0)
try:
    with VideoWriter(Path(sys.argv[1]), rate=30) as writer:
        for _ in range(60):
            writer.write(noise.integers(0, 255, (180, 320, 3), dtype=np.uint8))
except DiskError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on file sizes here; run it on Linux")
def test_a_full_disk_is_a_disk_error_and_leaves_no_file(tmp_path):
    path = tmp_path / "a.mp4"
    command = [sys.executable, "-c", _FULL_DISK, path]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60)
    assert "a.mp4" in done.stdout, f"exit {done.returncode}: {done.stderr[-300:]}"
    assert not path.exists()
