import os
from fractions import Fraction

import numpy as np
import pytest

from common.errors import BadInput, InputMissing
from common.media import container
from common.media.container import open_video, probe
from common.media.decode import frames
from common.media.packet_times import read_time_table
from common.media.properties import VideoProperties
from tests.media_zoo import BAD, make_zoo, read_number, run_ffmpeg


def test_a_plain_video_is_described_as_it_was_made(zoo):
    assert probe(zoo["plain.mp4"]) == VideoProperties(
        width=320,
        height=180,
        coded_width=320,
        coded_height=192,  # H.264 codes blocks of 16
        rotation=0,
        codec="h264",
        pixel_format="yuv420p",
        time_base=Fraction(1, 15360),
        average_rate=30.0,
        duration_s=3.0,
        has_audio=False,
        container="mov,mp4,m4a,3gp,3g2,mj2",
    )


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_width_and_height_are_those_of_the_upright_frame(zoo, rotation):
    properties = probe(zoo[f"rot{rotation}.mp4"])
    assert (properties.rotation, properties.width, properties.height) == (rotation, 320, 180)
    stored = (192, 320) if rotation % 180 else (320, 192)
    assert (properties.coded_width, properties.coded_height) == stored


@pytest.mark.parametrize(
    ("name", "codec", "kind", "rate"),
    [
        ("vp9.webm", "vp9", "matroska,webm", 30.0),
        ("hevc.mkv", "hevc", "matroska,webm", 30.0),
        ("mpeg4.avi", "mpeg4", "avi", 30.0),
        ("ntsc.mp4", "h264", "mov,mp4,m4a,3gp,3g2,mj2", 30000 / 1001),
        ("vfr.mp4", "h264", "mov,mp4,m4a,3gp,3g2,mj2", 30.0),
    ],
)
def test_codec_container_rate_and_duration(zoo, name, codec, kind, rate):
    properties = probe(zoo[name])
    assert (properties.codec, properties.container) == (codec, kind)
    assert properties.average_rate == pytest.approx(rate)
    assert properties.duration_s == pytest.approx(3.0, abs=0.21)


def test_audio_is_noticed(zoo):
    assert probe(zoo["audio.mp4"]).has_audio


@pytest.mark.parametrize("name", [name for name in BAD if name != "bframes.avi"])
def test_bad_files_are_refused(zoo, name):
    with pytest.raises(BadInput, match=f"^{name}: "):
        probe(zoo[name])


def test_the_reason_fits_the_file(zoo):
    for name, reason in {
        "empty.mp4": "empty",
        "text.mp4": "not a video in a format",
        "no_moov.mp4": "damaged or cut short",
        "audio_only.mp4": "no video stream",
    }.items():
        with pytest.raises(BadInput, match=reason):
            probe(zoo[name])


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(BadInput, match="not a regular file"):
        probe(tmp_path / "pipe.mp4")


def test_a_cover_picture_is_not_the_video(tmp_path):
    plain = make_zoo(tmp_path, "plain.mp4", "audio_only.mp4")
    picture, song = tmp_path / "cover.png", tmp_path / "song.mp4"
    run_ffmpeg("-i", plain["plain.mp4"], "-frames:v", "1", picture)
    cover = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic")
    run_ffmpeg("-i", plain["audio_only.mp4"], "-i", picture, *cover, song)
    with pytest.raises(BadInput, match="no video stream"):
        probe(song)


def test_a_path_that_reads_like_a_protocol_is_a_path(tmp_path, monkeypatch):
    plain = make_zoo(tmp_path, "plain.mp4")["plain.mp4"]
    plain.rename(tmp_path / "concat:a|b.mp4")
    monkeypatch.chdir(tmp_path)
    assert probe(plain.relative_to(tmp_path).with_name("concat:a|b.mp4")).width == 320


def test_frames_beyond_the_limit_are_refused_before_they_are_decoded(zoo, monkeypatch):
    monkeypatch.setattr(container, "MAX_PIXELS", 320 * 180 - 1)
    with pytest.raises(BadInput, match="320 x 180"):
        probe(zoo["plain.mp4"])


def test_a_file_that_may_not_be_read_is_missing(tmp_path, monkeypatch):
    path = make_zoo(tmp_path, "text.mp4")["text.mp4"]

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)  # root may read everything, so a mode does not do
    with pytest.raises(InputMissing, match="may not be read"):
        probe(path)


def test_errors_of_the_decoder_inside_the_block_become_bad_input(zoo):
    def decode_all():
        with open_video(zoo["truncated.mp4"]) as (opened, stream):
            for _ in opened.decode(stream):
                pass

    with pytest.raises(BadInput, match=r"^truncated\.mp4: damaged"):
        decode_all()


def squeezed(tmp_path, *, name="squeezed.mp4", ratio="3/2", turn=0):
    """The plain video, said to have pixels of this width over height."""
    plain = make_zoo(tmp_path, "plain.mp4")["plain.mp4"]
    flat = tmp_path / f"flat_{name}"
    run_ffmpeg(
        "-i", plain, "-frames:v", "12", "-vf", f"setsar={ratio}", "-c:v", "libx264", "-preset", "ultrafast", flat
    )
    run_ffmpeg("-display_rotation", turn, "-i", flat, "-c", "copy", tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("name", ["squeezed.mp4", "squeezed.mkv"])
def test_pixels_that_are_not_square_are_made_square_once(tmp_path, name):
    path = squeezed(tmp_path, name=name)
    properties = probe(path)
    assert (properties.width, properties.height, properties.coded_width) == (480, 180, 320)
    with frames(path, read_time_table(path)) as stream:
        images = [frame.image for frame in stream]
    assert {image.shape for image in images} == {(180, 480, 3)}
    assert [read_number(image) for image in images] == list(range(12))
    players = "scale=iw*sar:ih:flags=bilinear"  # what players do, by ffmpeg's own program
    raw = run_ffmpeg("-i", path, "-vf", players, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(-1, 180, 480, 3)[5]
    difference = np.abs(expected.astype(int) - images[5]).mean()
    assert difference < 2, f"{difference:.2f} levels"


def test_squeezed_pixels_of_a_turned_video_stretch_the_side_that_was_stored_as_width(tmp_path):
    path = squeezed(tmp_path, turn=90)
    assert (probe(path).width, probe(path).height) == (180, 480)
    with frames(path, read_time_table(path), stop=1) as stream:
        assert next(stream).image.shape == (480, 180, 3)


@pytest.mark.parametrize("ratio", ["1281/1280", "9/1"])
def test_ratios_that_are_leftovers_or_mistakes_are_ignored(tmp_path, ratio):
    assert probe(squeezed(tmp_path, ratio=ratio)).width == 320


def test_the_limit_counts_square_pixels(tmp_path, monkeypatch):
    path = squeezed(tmp_path)
    monkeypatch.setattr(container, "MAX_PIXELS", 480 * 180 - 1)
    with pytest.raises(BadInput, match="480 x 180"):
        probe(path)
