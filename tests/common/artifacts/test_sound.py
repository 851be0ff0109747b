import dataclasses

import numpy as np
import pytest

from common.artifacts import sound
from common.artifacts.npz import NpzWriter
from common.artifacts.sound import Sound, SoundWriter
from common.errors import BadInput


def some_sound():
    samples = np.random.default_rng(0).integers(-3000, 3000, 1000).astype(np.int16)
    samples[100:200] = 0
    return Sound(samples, 16_000, -0.25, np.array([[100, 200]], np.int64))


def assert_same(got, expected):
    assert np.array_equal(got.samples, expected.samples)
    assert np.array_equal(got.gaps, expected.gaps)
    assert (got.rate, got.start) == (expected.rate, expected.start)


def test_what_is_saved_is_loaded_and_numpy_reads_it_too(tmp_path):
    saved = some_sound()
    sound.save(tmp_path / "sound.npz", saved)
    loaded = sound.load(tmp_path / "sound.npz")
    assert_same(loaded, saved)
    assert loaded.end == -0.25 + 1000 / 16_000
    with np.load(tmp_path / "sound.npz") as archive:
        assert np.array_equal(archive["samples_000000"], saved.samples)
        assert (int(archive["rate"]), float(archive["start"])) == (16_000, -0.25)


def test_blocks_are_joined_in_order(tmp_path):
    whole = some_sound()
    with SoundWriter(tmp_path / "sound.npz") as writer:
        for part in np.array_split(whole.samples, 12):
            writer.write(part)
        writer.describe(rate=whole.rate, start=whole.start, gaps=[(100, 200)])
    assert writer.length == 1000
    assert_same(sound.load(tmp_path / "sound.npz"), whole)
    sound.validate(tmp_path / "sound.npz")


def test_a_writer_that_fails_leaves_no_readable_file(tmp_path):
    with pytest.raises(BadInput, match="got"), SoundWriter(tmp_path / "sound.npz") as writer:  # noqa: PT012
        writer.write(np.zeros(5, np.int16))
        writer.write(np.zeros(5, np.float32))
    with pytest.raises(BadInput, match="not an npz archive"):
        sound.load(tmp_path / "sound.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": np.zeros(0, np.int16)}, r"samples: expected 1 to \d+, got 0"),
        ({"samples": np.zeros(1000, np.float32)}, r"expected \(n,\) int16, got \(1000,\) float32"),
        ({"rate": 5}, "rate: expected 1000 to 399999 Hz, got 5"),
        ({"start": float("nan")}, "start: expected seconds, got nan"),
        ({"gaps": np.array([[100, 2000]])}, "gaps: expected runs in ascending order within 1000 samples"),
        ({"gaps": np.array([[200, 100]])}, "gaps: expected runs in ascending order"),
        ({"gaps": np.array([[100, 200], [150, 300]])}, "gaps: expected runs in ascending order"),
    ],
)
def test_what_breaks_the_contract_is_named(tmp_path, change, message):
    broken = dataclasses.replace(some_sound(), **change)
    with pytest.raises(BadInput, match=rf"sound .*sound\.npz: .*{message}"):
        sound.save(tmp_path / "sound.npz", broken)
    with NpzWriter(tmp_path / "sound.npz") as writer:
        writer.write("samples_000000", broken.samples)
        writer.write("rate", np.array(broken.rate, np.int32))
        writer.write("start", np.array(broken.start))
        writer.write("gaps", broken.gaps.astype(np.int64))
    with pytest.raises(BadInput, match=rf"sound .*sound\.npz: .*{message}"):
        sound.load(tmp_path / "sound.npz")


def test_a_block_that_is_missing_is_noticed(tmp_path):
    with NpzWriter(tmp_path / "sound.npz") as writer:
        for name in ("samples_000000", "samples_000002"):
            writer.write(name, np.zeros(5, np.int16))
        writer.write("rate", np.array(16_000, np.int32))
        writer.write("start", np.array(0.0))
        writer.write("gaps", np.zeros((0, 2), np.int64))
    with pytest.raises(BadInput, match=r"samples_000001: expected \(n,\) int16, but it is missing"):
        sound.load(tmp_path / "sound.npz")
