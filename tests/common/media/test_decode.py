import itertools
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from common.errors import BadInput
from common.media import decoder
from common.media.container import open_video
from common.media.decode import frames, read_frames
from common.media.packet_times import read_time_table
from common.media.pixels import Converter
from tests.common.media.oracle import pixels
from tests.media_zoo import COUNT, HEALTHY, KEY_INTERVAL, make_zoo, read_number, run_ffmpeg

# Which of the numbers 0..89 a file shows, where that is not all of them
SHOWN = {
    "vfr.mp4": [n for n in range(COUNT) if n < 45 or n % 3 == 0],
    "one_frame.mp4": [0],
    "editlist.mp4": list(range(37, COUNT)),  # cut at 1.23 s
}


def numbers(stream):
    return [(frame.index, read_number(frame.image)) for frame in stream]


def expected_numbers(name):
    return list(enumerate(SHOWN.get(name, range(COUNT))))


@pytest.mark.parametrize("name", HEALTHY)
def test_every_frame_is_delivered_upright_at_its_place_and_time(zoo, name):
    table = read_time_table(zoo[name])
    stream = frames(zoo[name], table)
    seen = [(f.index, read_number(f.image), f.seconds, f.corrupt) for f in stream]
    times = table.seconds.tolist()
    assert seen == [(index, number, times[index], False) for index, number in expected_numbers(name)]
    assert stream.tally.intact
    assert (stream.tally.asked, stream.tally.delivered) == (len(table), len(table))


@pytest.mark.parametrize("name", HEALTHY)
def test_pixels_equal_those_of_the_ffmpeg_command(zoo, name):
    table = read_time_table(zoo[name])
    ours = np.stack([frame.image for frame in frames(zoo[name], table)])
    theirs = pixels(zoo[name], ours.shape[1:])
    worst = np.abs(ours.astype(int) - theirs).max()
    assert worst == 0, f"worst difference {worst} grey levels"


@pytest.mark.parametrize("name", HEALTHY)
def test_single_frames_by_seeking_are_the_frames_of_a_full_decode(zoo, name):
    table = read_time_table(zoo[name])
    truth = expected_numbers(name)
    dice = np.random.default_rng(0)
    for _ in range(4):
        indices = dice.choice(len(table), size=min(5, len(table)), replace=False)
        assert numbers(read_frames(zoo[name], table, indices)) == [truth[i] for i in sorted(indices)]


@pytest.mark.parametrize(("start", "stop", "step"), [(0, None, 7), (41, 80, 1), (5, None, 40), (89, 90, 3), (7, 7, 1)])
def test_ranges_with_steps(zoo, start, stop, step):
    table = read_time_table(zoo["bframes.mp4"])
    stream = frames(zoo["bframes.mp4"], table, start=start, stop=stop, step=step)
    assert numbers(stream) == [(i, i) for i in range(COUNT)[start:stop:step]]


def test_skipped_frames_are_not_converted(zoo, monkeypatch):
    converted = []
    convert = Converter.__call__
    monkeypatch.setattr(Converter, "__call__", lambda self, frame: converted.append(frame.pts) or convert(self, frame))
    table = read_time_table(zoo["plain.mp4"])
    list(frames(zoo["plain.mp4"], table, step=9))
    assert converted == table.pts[::9].tolist()


def test_ranges_that_do_not_fit_the_table_are_programming_errors(zoo):
    table = read_time_table(zoo["plain.mp4"])
    for wrong in ({"start": -1}, {"stop": 91}, {"start": 5, "stop": 4}, {"step": 0}):
        with pytest.raises(ValueError, match="do not fit 90 frames"):
            frames(zoo["plain.mp4"], table, **wrong)
    with pytest.raises(ValueError, match="do not fit 90 frames"):
        read_frames(zoo["plain.mp4"], table, [3, 90])
    with pytest.raises(ValueError, match="not both"):
        frames(zoo["plain.mp4"], table, size=(10, 10), max_side=10)


@pytest.mark.parametrize("name", ["plain.mp4", "rot90.mp4", "odd.webm", "hd_colours.mp4"])
def test_colour_orders_and_gray(zoo, name):
    table = read_time_table(zoo[name])
    path = zoo[name]
    rgb = next(frames(path, table)).image
    bgr = next(frames(path, table, pixel_format="bgr24")).image
    gray = next(frames(path, table, pixel_format="gray")).image
    luma = rgb @ np.array([0.299, 0.587, 0.114])  # BT.601
    off = np.abs(gray - luma).mean()
    assert np.array_equal(bgr, rgb[..., ::-1])
    assert off < 1.5, f"luma is {off:.2f} grey levels off"


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("plain.mp4", {"max_side": 160}, (90, 160, 3)),
        ("plain.mp4", {"max_side": 999}, (180, 320, 3)),
        ("plain.mp4", {"size": (200, 200)}, (200, 200, 3)),
        ("rot90.mp4", {"max_side": 160}, (90, 160, 3)),
        ("rot270.mp4", {"size": (160, 120)}, (120, 160, 3)),
        ("rot180.mp4", {"size": (161, 91)}, (91, 161, 3)),
        ("odd.webm", {"max_side": 161}, (121, 161, 3)),
    ],
)
def test_scaling_keeps_frames_upright_and_right(zoo, name, options, shape):
    table = read_time_table(zoo[name])
    images = {f.index: f.image for f in frames(zoo[name], table, step=30, **options)}
    assert {image.shape for image in images.values()} == {shape}
    assert [read_number(image) for image in images.values()] == list(images)
    assert all(image.flags.writeable and image[0].flags.c_contiguous for image in images.values())
    theirs = pixels(zoo[name], shape, filters=f"scale={shape[1]}:{shape[0]}:flags=area")[::30]
    off = np.abs(np.stack(list(images.values())).astype(int) - theirs).mean()
    assert off < 4, f"{off:.2f} grey levels from an area average in the mean"


def test_frames_belong_to_the_caller(zoo):
    table = read_time_table(zoo["plain.mp4"])
    stream = frames(zoo["plain.mp4"], table)
    first = next(stream).image
    copy = first.copy()
    next(stream).image[:] = 0
    list(stream)
    assert np.array_equal(first, copy)


def test_a_stream_can_be_left_early_and_closed(zoo):
    table = read_time_table(zoo["plain.mp4"])
    with frames(zoo["plain.mp4"], table) as stream:
        next(stream)
    assert list(stream) == []
    assert (stream.tally.delivered, stream.tally.missing) == (1, 0)


def test_the_part_of_a_truncated_video_that_is_left_is_delivered_and_the_rest_counted(zoo):
    table = read_time_table(zoo["truncated.mp4"])
    stream = frames(zoo["truncated.mp4"], table)
    seen = numbers(stream)
    assert seen == [(i, i) for i in range(len(table) - 1)]  # the last packet is incomplete
    counts = {"asked": len(table), "delivered": len(table) - 1, "missing": 1, "corrupt": 0, "lost_packets": 1}
    assert json.loads(json.dumps(asdict(stream.tally))) == counts
    assert not stream.tally.intact


def test_damage_is_marked_up_to_the_next_key_frame_and_the_same_in_every_run(zoo):
    path = zoo["bitflip.mp4"]
    table = read_time_table(path)
    outcomes = []
    for _ in range(3):
        stream = frames(path, table)
        outcomes.append([(f.index, f.corrupt, read_number(f.image)) for f in stream])
        assert stream.tally.delivered + stream.tally.missing == COUNT
    assert outcomes[0] == outcomes[1] == outcomes[2]
    seen = outcomes[0]
    assert len(seen) > COUNT / 2
    assert stream.tally.corrupt == sum(corrupt for _, corrupt, _ in seen) > 0
    suspect = False
    for index, corrupt, _ in seen:
        suspect = corrupt or (suspect and index % KEY_INTERVAL != 0)
        assert corrupt == suspect, f"frame {index} follows a damaged one and is not marked"
    # Not all damage can be noticed: a flipped byte may well give a valid picture
    wrong = [corrupt for index, corrupt, number in seen if number != index]
    assert sum(wrong) >= 0.6 * len(wrong), f"{sum(wrong)} of {len(wrong)} spoilt frames are marked"


def test_frames_after_a_missing_one_are_marked(zoo):
    path = zoo["plain.mp4"]
    table = read_time_table(path)
    between = np.insert(table.pts, 40, (table.pts[39] + table.pts[40]) // 2)  # a frame that does not exist
    flags = np.insert(table.keyframe, 40, False)
    longer = replace(table, pts=between, keyframe=flags, corrupt=np.zeros(COUNT + 1, bool))
    stream = frames(path, longer)
    assert [f.index for f in stream if f.corrupt] == list(range(41, 61))
    assert (stream.tally.missing, stream.tally.corrupt) == (1, 20)


def test_a_seek_that_lands_too_late_is_repeated_from_further_back(zoo, monkeypatch):
    sought = decoder._Reader._sought
    monkeypatch.setattr(decoder._Reader, "_sought", lambda self, key: sought(self, key and 60))
    table = read_time_table(zoo["plain.mp4"])
    assert numbers(read_frames(zoo["plain.mp4"], table, [35, 70])) == [(35, 35), (70, 70)]


def test_frames_that_the_decoder_still_holds_are_delivered_when_the_container_breaks_off(zoo):
    class Torn:
        def __init__(self, container):
            self.format, self._container = container.format, container

        def demux(self, stream):
            yield from itertools.islice(self._container.demux(stream), 50)
            raise av.error.InvalidDataError(1, "torn")

    path = zoo["bframes.mp4"]
    table = read_time_table(path)
    with open_video(path) as (container, stream):
        reader = decoder._Reader(path, Torn(container), stream, table, decoder.Tally(COUNT))
        assert len(list(reader.positioned(0))) == 50


def test_a_video_of_which_nothing_can_be_decoded_is_bad_input(tmp_path):
    path = make_zoo(tmp_path, "plain.mp4")["plain.mp4"]
    table = read_time_table(path)
    content = path.read_bytes()
    start = content.find(b"mdat") + 4
    path.write_bytes(content[:start] + bytes(len(content) - start))
    with pytest.raises(BadInput, match="none of its 90 frames can be decoded"):
        list(frames(path, table))


def test_avi_times_that_contradict_the_order_of_frames_are_refused(zoo, tmp_path):
    path = tmp_path / "packed.avi"
    run_ffmpeg("-i", zoo["plain.mp4"], "-c:v", "libxvid", "-bf", "2", path)
    table = read_time_table(path)
    with pytest.raises(BadInput, match=r"packed\.avi: its time stamps contradict"):
        list(frames(path, table))


def test_a_change_of_size_inside_a_video_keeps_the_shape_of_images(zoo, tmp_path):
    large, small = tmp_path / "large.ts", tmp_path / "small.ts"
    both, path = tmp_path / "both.ts", tmp_path / "both.mkv"
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0")
    run_ffmpeg("-i", zoo["plain.mp4"], "-frames:v", "10", *x264, large)
    run_ffmpeg(
        "-i",
        zoo["plain.mp4"],
        "-frames:v",
        "10",
        "-vf",
        "scale=160:90",
        *x264,
        "-output_ts_offset",
        "1",
        small,
    )
    both.write_bytes(large.read_bytes() + small.read_bytes())
    run_ffmpeg("-i", both, "-c", "copy", path)
    table = read_time_table(path)
    images = [frame.image for frame in frames(path, table)]
    assert len(images) == len(table) > 15
    assert {image.shape for image in images} == {(180, 320, 3)}


_MUTATE = """
import random, sys
from pathlib import Path
from common.errors import GhostError
from common.media.container import probe
from common.media import decoder
from common.media.container import open_video
from common.media.decode import frames, read_frames
from common.media.packet_times import read_time_table
whole, path, dice = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), random.Random(int(sys.argv[3]))
for _ in range(20):
    content = bytearray(whole)
    for _ in range(dice.choice((1, 5, 50))):
        content[dice.randrange(len(content))] = dice.randrange(256)
    path.write_bytes(content[: dice.choice((len(content), dice.randrange(len(content))))])
    try:
        probe(path)
        table = read_time_table(path)
        sparse = read_frames(path, table, range(0, len(table), 11))
        for stream in (frames(path, table), sparse):
            for frame in stream:
                pass
            assert stream.tally.delivered + stream.tally.missing == stream.tally.asked
    except GhostError:
        pass
print("survived")
"""


@pytest.mark.parametrize("name", ["bframes.mp4", "hevc.mkv", "vp9.webm", "mpeg4.avi"])
def test_mutated_files_end_in_frames_or_in_an_error_of_ours(zoo, tmp_path, name):
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _MUTATE, zoo[name], tmp_path / name, "0"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.stdout == "survived\n", f"exit {done.returncode}: {done.stderr[-500:]}"
