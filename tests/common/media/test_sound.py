"""Sounds at known instants of the pictures are found at the same PTS, whatever the container does to its clock."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import BadInput
from common.media.decode import frames
from common.media.packet_times import read_time_table
from common.media.sound import RATE, SoundStream
from tests.media_zoo import COUNT, HEIGHT, WIDTH, draw, read_number, run_ffmpeg

PICTURES_HZ = 30
PIPS = (0.4, 1.15, 1.9, 2.65)  # s after picture 0
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", "2")
TOLERANCE = 0.002  # s


def pip(rate):
    time = np.arange(-0.004, 0.004, 1 / rate)
    return np.sin(2 * np.pi * 2000 * time) * np.cos(np.pi * time / 0.008)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Numbered pictures, and a track of pips at known instants, losslessly."""
    folder = tmp_path_factory.mktemp("parts")
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(PICTURES_HZ), "-i", "-")
    run_ffmpeg(*raw, *X264, folder / "video.mp4", stdin=b"".join(draw(k).tobytes() for k in range(COUNT)))
    track = np.zeros(3 * 48_000)
    for moment in PIPS:
        at = round(moment * 48_000)
        track[at - 192 : at + 192] += 0.6 * pip(48_000)
    pcm = (track * 32767).astype("<i2").tobytes()
    run_ffmpeg("-f", "s16le", "-ar", "48000", "-ac", "1", "-i", "-", folder / "audio.wav", stdin=pcm)
    return folder


def listen(path):
    stream = SoundStream(path)
    blocks = list(stream)
    return stream, np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


def heard_pips(stream, samples, count):
    """PTS of the loudest pips, by a matched filter that knows nothing of containers."""
    height = np.abs(np.correlate(samples.astype(float), pip(RATE), "same"))
    found = []
    for _ in range(count):
        top = int(height.argmax())
        found.append(stream.start + top / RATE)
        height[max(0, top - 2000) : top + 2000] = 0
    return np.sort(found)


def shift_of_pictures(path):
    """Seconds from the instant of picture 0 to the file's PTS 0, from a number that is seen in a picture."""
    table = read_time_table(path)
    with frames(path, table, start=len(table) // 2) as stream:
        shown = next(stream)
    return shown.seconds - read_number(shown.image) / PICTURES_HZ


CASES = {
    "aac.mp4": ("-c:v", "copy", "-c:a", "aac"),
    "aac44_stereo.mp4": ("-c:v", "copy", "-c:a", "aac", "-ar", "44100", "-ac", "2"),
    "late_start.mp4": ("-c:v", "copy", "-c:a", "aac", "-output_ts_offset", "1.5", "-avoid_negative_ts", "disabled"),
    "fragmented.mp4": ("-c:v", "copy", "-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov"),
    "pcm7.mov": ("-c:v", "copy", "-c:a", "pcm_s16le", "-af", "pan=7c|" + "|".join(f"c{k}=c0" for k in range(7))),
    "aac.mkv": ("-c:v", "copy", "-c:a", "aac"),
    "opus.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"),
    "pcm.avi": ("-c:v", "mpeg4", "-q:v", "3", "-c:a", "pcm_s16le"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pip_has_the_pts_of_the_picture_it_belongs_to(parts, tmp_path, name):
    run_ffmpeg("-i", parts / "video.mp4", "-i", parts / "audio.wav", *CASES[name], tmp_path / name)
    stream, samples = listen(tmp_path / name)
    worst = np.abs(heard_pips(stream, samples, 4) - shift_of_pictures(tmp_path / name) - PIPS).max()
    assert worst < TOLERANCE, f"{worst * 1e3:.2f} ms off"
    assert (stream.lost_packets, stream.broken_off) == (0, "")


@pytest.mark.parametrize("which", ["sound", "pictures"])
def test_a_track_that_begins_later_keeps_its_distance(parts, tmp_path, which):
    delay = ("-itsoffset", "0.3")
    before = (delay, ()) if which == "pictures" else ((), delay)
    sources = (*before[0], "-i", parts / "video.mp4", *before[1], "-i", parts / "audio.wav")
    run_ffmpeg(*sources, "-c:v", "copy", "-c:a", "aac", tmp_path / "late.mp4")
    stream, samples = listen(tmp_path / "late.mp4")
    expected = np.array(PIPS) + (0.3 if which == "sound" else -0.3)
    worst = np.abs(heard_pips(stream, samples, 4) - shift_of_pictures(tmp_path / "late.mp4") - expected).max()
    assert worst < TOLERANCE, f"{worst * 1e3:.2f} ms off"


@pytest.mark.parametrize(("suffix", "left"), [("mp4", 2), ("mkv", 3)])  # Matroska begins at the key frame before
def test_a_cut_between_key_frames_moves_sound_and_pictures_alike(parts, tmp_path, suffix, left):
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    run_ffmpeg("-i", parts / "video.mp4", "-i", parts / "audio.wav", "-c:v", "copy", "-c:a", "aac", whole)
    run_ffmpeg("-ss", "1.3", "-i", whole, "-c", "copy", cut)  # at a frame: ffmpeg moves the next one to an edit's start
    stream, samples = listen(cut)
    worst = np.abs(heard_pips(stream, samples, left) - shift_of_pictures(cut) - PIPS[-left:]).max()
    assert worst < TOLERANCE, f"{worst * 1e3:.2f} ms off"


def test_a_gap_in_the_times_becomes_marked_silence(parts, tmp_path):
    run_ffmpeg("-i", parts / "video.mp4", "-i", parts / "audio.wav", "-c:v", "copy", "-c:a", "aac", tmp_path / "a.mkv")
    gapped = ("-bsf:a", "setts=pts=PTS+gt(PTS\\,1500)*500:dts=DTS+gt(DTS\\,1500)*500")
    run_ffmpeg("-i", tmp_path / "a.mkv", "-c", "copy", *gapped, tmp_path / "gap.mkv")
    stream, samples = listen(tmp_path / "gap.mkv")
    [(first, end)] = stream.gaps
    assert (end - first) / RATE == pytest.approx(0.5, abs=0.002)
    assert not samples[first:end].any()
    expected = np.array(PIPS) + np.array([0, 0, 0.5, 0.5])
    worst = np.abs(heard_pips(stream, samples, 4) - shift_of_pictures(tmp_path / "gap.mkv") - expected).max()
    assert worst < TOLERANCE, f"{worst * 1e3:.2f} ms off"


def test_a_sound_card_that_is_slow_is_followed(parts, tmp_path):
    """PTS that pass 0.3 % faster than the samples: 9 ms in these 3 s."""
    run_ffmpeg("-i", parts / "video.mp4", "-i", parts / "audio.wav", "-c:v", "copy", "-c:a", "aac", tmp_path / "a.mkv")
    slow = ("-bsf:a", "setts=pts=PTS*1.003:dts=DTS*1.003")
    run_ffmpeg("-i", tmp_path / "a.mkv", "-c", "copy", *slow, tmp_path / "slow.mkv")
    stream, samples = listen(tmp_path / "slow.mkv")
    off = heard_pips(stream, samples, 4) - shift_of_pictures(tmp_path / "slow.mkv") - np.array(PIPS) * 1.003
    assert np.abs(off).max() < 0.004, f"{off * 1e3} ms off"


def test_blocks_are_handed_on_while_the_file_is_read(zoo, monkeypatch):
    monkeypatch.setattr("common.media.sound.BLOCK", 5000)
    stream = SoundStream(zoo["audio.mp4"])
    first = next(stream)
    assert (len(first), stream.length) == (5000, 5000)
    rest = [len(block) for block in stream]
    assert set(rest[:-1]) == {5000}
    assert stream.length == 5000 + sum(rest) == pytest.approx(3 * RATE, abs=0.05 * RATE)


def test_a_video_without_a_track_has_no_sound(zoo):
    stream, samples = listen(zoo["plain.mp4"])
    assert (stream.start, len(samples)) == (None, 0)


def test_a_torn_file_gives_the_sound_up_to_the_tear(parts, tmp_path):
    run_ffmpeg("-i", parts / "video.mp4", "-i", parts / "audio.wav", *CASES["aac.mkv"], tmp_path / "a.mkv")
    whole = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "torn.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    stream, samples = listen(tmp_path / "torn.mkv")
    assert RATE < len(samples) < 2.9 * RATE
    assert np.abs(heard_pips(stream, samples, 1) - PIPS[0]).min() < 1


def test_what_is_no_video_is_refused(zoo):
    with pytest.raises(BadInput):
        list(SoundStream(zoo["text.mp4"]))
    with pytest.raises(BadInput):
        list(SoundStream(Path(zoo["audio_only.mp4"])))
