from __future__ import annotations

import numpy as np

from benchmarks.sync import random_pairs


def test_without_wrong_pairs_only_their_noise_is_left():
    off = random_pairs.errors(20, cameras=6, wrong=0.0, seed=1)
    assert len(off) == 120
    assert 0.01 < np.median(off) < 0.15, f"median {np.median(off):.3f} frames of pairs that are 0.1 off"


def test_random_pairs_alone_say_nothing():
    off = random_pairs.errors(20, cameras=6, wrong=1.0, seed=1)
    assert (off <= 0.5).mean() < 0.1, f"{(off <= 0.5).mean():.2f} of the cameras are placed by chance"
