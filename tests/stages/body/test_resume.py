"""A job that is killed by SIGKILL goes on where its last chunk ended, and its result is that of a job that was not."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from tests.sample_stages import LISTING, Bench
from tests.stages.body.killed_run import CHUNK
from tests.stages.body.scenes import HEIGHT, WIDTH, write_masks

ROOT = Path(__file__).parents[3]
FRAMES = 47


def scene(folder):
    bench = Bench(folder)
    bench.record(cam01="one")
    bench.execute(LISTING)
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[100:400, 150:250], labels[150:300, 400:450] = 1, 3
    write_masks(folder / "clip", [labels] * FRAMES)[0].close()
    return bench


def attempt(folder, kill_at):
    """The exit status of an attempt, the frames that the model saw in it, and what it said."""
    (folder / "seen.txt").write_text("")
    command = [sys.executable, "-m", "tests.stages.body.killed_run", str(folder), str(kill_at)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.returncode, [int(line) for line in (folder / "seen.txt").read_text().split()], done.stderr


def results(bench):
    return {name: content for name, content in bench.files().items() if name.startswith("cam01/")}


def test_killed_twice_it_repeats_at_most_a_chunk_each_time_and_ends_with_the_same_bytes(tmp_path):
    whole, killed = scene(tmp_path / "whole"), scene(tmp_path / "killed")
    code, seen, errors = attempt(whole.folder, -1)
    assert (code, seen) == (0, list(range(FRAMES))), errors
    assert set(results(whole)) == {"cam01/frames/person_1.npz", "cam01/frames/person_3.npz"}

    counted = Counter()
    for kill_at, resumed in ((27, None), (38, 20), (-1, 30)):
        code, seen, errors = attempt(killed.folder, kill_at)
        assert code == (0 if kill_at < 0 else -9), errors
        assert (f"resumed at frame {resumed} of {FRAMES}" in errors) is (resumed is not None), errors
        counted.update(seen)
        if kill_at >= 0:
            assert results(killed) == {}, "what is kept is no result"
    repeated = sum(counted.values()) - FRAMES
    assert repeated <= 2 * CHUNK, f"{repeated} frames were estimated again after two kills; a chunk has {CHUNK}"
    assert sorted(counted) == list(range(FRAMES))
    assert results(killed) == results(whole)
    assert not (killed.results / "_partial").exists()
    assert killed.leftovers() == []
