import os
from fractions import Fraction

import pytest

from common.errors import BadInput, InputMissing
from common.media import container
from common.media.container import VideoProperties, open_video, probe
from tests.media_zoo import BAD, make_zoo, run_ffmpeg


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
