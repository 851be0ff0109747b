import av
import pytest

from common.errors import BadInput, InputMissing
from common.media import packet_times
from common.media.packet_times import read_time_table
from tests.common.media.oracle import shown_times
from tests.media_zoo import BAD, COUNT, HEALTHY


@pytest.mark.parametrize("name", HEALTHY)
def test_a_table_made_of_packets_equals_the_times_and_key_flags_of_the_decoded_frames(zoo, name):
    table = read_time_table(zoo[name])
    expected = shown_times(zoo[name])
    assert list(zip(table.pts.tolist(), table.keyframe.tolist(), strict=True)) == expected
    assert not table.corrupt.any()
    assert not table.truncated


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_usable_video_is_refused_in_one_line_that_names_it(zoo, name):
    with pytest.raises(BadInput, match=rf"^{name}: .+\.( |$)?") as caught:
        read_time_table(zoo[name])
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(InputMissing, match="no such file"):
        read_time_table(tmp_path / "absent.mp4")
    with pytest.raises(BadInput, match="not a regular file"):
        read_time_table(tmp_path)


def test_the_start_offset_is_kept(zoo):
    assert read_time_table(zoo["offset.mp4"]).seconds[0] == pytest.approx(1.5, abs=1e-9)
    assert read_time_table(zoo["plain.mp4"]).seconds[0] == 0.0


@pytest.mark.parametrize(
    ("name", "declared"), [("truncated.mp4", COUNT), ("truncated.mkv", None), ("truncated.avi", None)]
)
def test_a_file_that_was_cut_off_says_so(zoo, name, declared):
    table = read_time_table(zoo[name])
    assert table.truncated
    assert table.declared == declared
    assert 20 < len(table) < 70, f"{len(table)} frames in the part that is left"


def test_a_file_that_ends_between_two_frames_is_truncated_too(zoo, tmp_path):
    path = tmp_path / "cut.mp4"
    with av.open(str(zoo["plain.mp4"])) as container:
        end = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size][39]
    path.write_bytes(zoo["plain.mp4"].read_bytes()[:end])
    table = read_time_table(path)
    assert (len(table), table.truncated, table.corrupt.any()) == (40, True, False)


def test_frames_hidden_by_an_edit_list_are_not_counted(zoo):
    table = read_time_table(zoo["editlist.mp4"])
    assert table.declared == len(table) == len(shown_times(zoo["editlist.mp4"])) < COUNT


def test_a_video_with_too_many_frames_or_an_absurd_span_is_refused(zoo, monkeypatch):
    monkeypatch.setattr(packet_times, "MAX_FRAMES", 89)
    with pytest.raises(BadInput, match="more than 89 frames"):
        read_time_table(zoo["plain.mp4"])
    monkeypatch.setattr(packet_times, "MAX_FRAMES", 90)
    monkeypatch.setattr(packet_times, "MAX_SPAN_S", 2.9)
    with pytest.raises(BadInput, match=r"span 2\.97 s"):
        read_time_table(zoo["plain.mp4"])
