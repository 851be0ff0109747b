import numpy as np
import pytest
import simplejpeg

from common.errors import DiskError
from common.media.decode import frames
from common.media.jpeg_folder import write_jpegs
from common.media.packet_times import read_time_table
from tests.media_zoo import read_number


@pytest.mark.parametrize("name", ["plain.mp4", "hd_colours.mp4", "rot90.mp4", "odd.webm", "offset.mp4"])
def test_every_frame_becomes_a_jpeg_with_its_pixels(zoo, tmp_path, name):
    table = read_time_table(zoo[name])
    assert write_jpegs(zoo[name], table, tmp_path) == len(table)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{i:06d}.jpg" for i in range(len(table))]
    for frame in frames(zoo[name], table, step=20):
        image = simplejpeg.decode_jpeg((tmp_path / f"{frame.index:06d}.jpg").read_bytes())
        off = np.abs(image.astype(int) - frame.image).mean()
        assert image.shape == frame.image.shape
        assert read_number(image) == frame.index
        assert off < 2.5, f"frame {frame.index} is {off:.2f} grey levels off in the mean"


def test_a_frame_that_is_lost_leaves_a_gap_and_progress_sees_the_others(zoo, tmp_path):
    table = read_time_table(zoo["truncated.mp4"])
    seen = []

    def track(items, *, total):
        for item in items:
            seen.append((item.index, total))
            yield item

    assert write_jpegs(zoo["truncated.mp4"], table, tmp_path, track=track) == len(table) - 1
    assert seen == [(i, len(table)) for i in range(len(table) - 1)]
    assert not (tmp_path / f"{len(table) - 1:06d}.jpg").exists()


def test_a_folder_that_cannot_be_written_to_is_a_disk_error_that_names_it(zoo, tmp_path):
    table = read_time_table(zoo["one_frame.mp4"])
    (tmp_path / "000000.jpg").mkdir()
    with pytest.raises(DiskError, match=r"000000\.jpg"):
        write_jpegs(zoo["one_frame.mp4"], table, tmp_path)
