from pathlib import Path

import numpy as np
import pytest

from common.artifacts import frames, sound
from common.manifest import Manifest, read_failure, read_manifest
from common.storage.local import LocalStorage
from tests.media_zoo import COUNT, RATE, make_zoo, run_ffmpeg
from tests.stages.ingest.test_ingest import run

NAMES = ("plain.mp4", "offset.mp4", "truncated.mp4", "audio.mp4")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of healthy, odd and broken recordings, listed."""
    root = tmp_path_factory.mktemp("frames")
    zoo = make_zoo(root / "zoo", *NAMES)
    take = root / "data" / "take"
    take.mkdir(parents=True)
    for name, path in zoo.items():
        (take / name).symlink_to(path)
    (take / "text.mp4").write_text("I am no video.")
    run_ffmpeg("-i", zoo["audio.mp4"], "-c", "copy", root / "zoo" / "audio.mkv")
    unknown = (root / "zoo" / "audio.mkv").read_bytes().replace(b"A_AAC", b"A_XYZ")  # a codec that nobody knows
    (take / "mute.mkv").write_bytes(unknown)
    assert run("ingest", root)[0] == 0
    return root


def table(root: Path, video: str) -> frames.Frames:
    return frames.load(root / "out" / "take" / video / "frames")


def manifest(root: Path, video: str) -> Manifest:
    found = read_manifest(LocalStorage(root / "out"), "take", "frames", video)
    assert found is not None
    return found


def test_the_time_table_is_published(root: Path) -> None:
    code, lines = run("frames", root, "--video=plain", "--force")
    assert (code, len(lines)) == (0, 1), lines
    assert lines[0].endswith(f"frames take/plain: done (frames {COUNT})")
    np.testing.assert_allclose(table(root, "plain").table.seconds, np.arange(COUNT) / RATE, atol=1e-9)
    assert sorted(file.key for file in manifest(root, "plain").files) == [
        "plain/frames/time_table.npz",
        "plain/frames/video.json",
    ]


def test_a_start_offset_is_kept(root: Path) -> None:
    assert run("frames", root, "--video=offset")[0] == 0
    assert table(root, "offset").table.seconds[0] == pytest.approx(1.5, abs=1 / RATE)


def test_a_truncated_video_gives_what_it_has_and_a_warning(root: Path) -> None:
    code, lines = run("frames", root, "--video=truncated")
    assert code == 0, lines
    warnings = manifest(root, "truncated").warnings
    assert any("the file ends early" in warning for warning in warnings), warnings
    assert 0 < len(table(root, "truncated").table) <= COUNT


def test_a_text_file_called_mp4_ends_with_65_and_the_reason(root: Path) -> None:
    code, lines = run("frames", root, "--video=text")
    assert code == 65
    assert len(lines) == 1
    assert "BadInput: text.mp4: not a video in a format that ghost reads" in lines[0]
    failure = read_failure(LocalStorage(root / "out"), "take", "frames", "text")
    assert failure is not None
    assert failure.exit_code == 65
    assert not (root / "out" / "take" / "text").exists()


def test_jpegs_come_on_request_and_go_with_the_next_run_without(root: Path) -> None:
    folder = root / "out" / "take" / "plain" / "frames"
    code, lines = run("frames", root, "--video=plain", "--jpeg")
    assert code == 0, lines
    assert lines[-1].endswith(f"done (frames {COUNT}, jpegs {COUNT})")
    assert len(list(folder.glob("*.jpg"))) == COUNT
    assert run("frames", root, "--video=plain")[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["time_table.npz", "video.json"]


def test_a_video_that_the_scene_does_not_have_ends_with_66(root: Path) -> None:
    code, lines = run("frames", root, "--video=cam99")
    assert code == 66
    assert "no video 'cam99'; there are audio, mute, offset, plain, text, truncated" in lines[-1]


def test_the_sound_is_published_where_there_is_a_track(root: Path) -> None:
    code, lines = run("frames", root, "--video=audio")
    assert code == 0, lines
    assert lines[-1].endswith(f"done (frames {COUNT}, seconds of sound 3)")
    heard = sound.load(root / "out" / "take" / "audio" / "sound.npz")
    spectrum = np.abs(np.fft.rfft(heard.samples[: heard.rate]))
    assert (heard.rate, heard.start) == (16_000, 0.0)
    assert int(spectrum.argmax()) == 440  # what the file was made with
    assert "audio/sound.npz" in [file.key for file in manifest(root, "audio").files]


def test_a_sound_track_that_cannot_be_decoded_is_a_warning(root: Path) -> None:
    code, lines = run("frames", root, "--video=mute")
    assert code == 0, lines
    assert not (root / "out" / "take" / "mute" / "sound.npz").exists()
    warnings = manifest(root, "mute").warnings
    assert any("mute: the sound cannot be used" in warning for warning in warnings), warnings
    assert len(table(root, "mute").table) == COUNT
