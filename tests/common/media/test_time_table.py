from fractions import Fraction

import numpy as np
import pytest

from common.media.packet_times import read_time_table
from common.media.time_table import TimeTable


def table_of(pts, *, time_base=Fraction(1, 1000), keys=(0,)):
    pts = np.array(pts, np.int64)
    return TimeTable(
        pts=pts,
        keyframe=np.isin(np.arange(len(pts)), keys),
        corrupt=np.zeros(len(pts), bool),
        time_base=time_base,
    )


@pytest.mark.parametrize(
    ("name", "rate"),
    [("plain.mp4", 30), ("ntsc.mp4", 30000 / 1001), ("vfr.mp4", 30), ("hevc.mkv", 30), ("vp9.webm", 30)],
)
def test_the_rate_is_that_of_the_regular_part_whatever_the_clock(zoo, name, rate):
    measured = read_time_table(zoo[name]).rate
    assert abs(measured / rate - 1) < 5e-4, f"{name}: {measured:.4f} Hz"


def test_a_single_frame_has_no_rate(zoo):
    assert np.isnan(read_time_table(zoo["one_frame.mp4"]).rate)


def test_nearest_finds_the_closest_frame_and_the_earlier_of_two():
    table = table_of([0, 100, 200, 1000])
    assert table.nearest([-5.0, 0.049, 0.05, 0.051, 0.6, 0.601, 99.0]).tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert table.nearest(0.19) == 2
    with pytest.raises(ValueError, match="NaN"):
        table.nearest([0.0, np.nan])


def test_the_key_frame_at_or_before_a_frame():
    table = table_of(range(10), keys=(2, 6))
    assert [table.key_at_or_before(i) for i in (0, 1, 2, 5, 6, 9)] == [0, 0, 2, 2, 6, 6]
