"""The consensus alone: pairs of which many are plainly wrong."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from benchmarks.sync.metrics import FPS, start_errors
from stages.sync.consensus import robust_starts

SPAN = 10.0  # s within which the cameras start
REACH = 11.0  # s: largest offset of a wrong pair
NOISE = 0.1 / FPS  # s: standard deviation of the right pairs


def errors(graphs: int, *, cameras: int, wrong: float, seed: int) -> NDArray[np.float64]:
    """(graphs * cameras,) frames: every camera against the median of the others.

    Args:
        graphs: number of scenes.
        cameras: in each, all of them paired.
        wrong: chance that a pair says any offset at all.
        seed: of everything.
    """
    i, j = np.array(list(itertools.combinations(range(cameras), 2))).T
    found = []
    for generator in np.random.default_rng(seed).spawn(graphs):
        starts = generator.uniform(0, SPAN, cameras)
        offsets = starts[j] - starts[i] + generator.normal(0, NOISE, len(i))
        random = generator.random(len(i)) < wrong
        offsets[random] = generator.uniform(-REACH, REACH, int(random.sum()))
        lags = offsets * FPS
        answer = robust_starts(cameras, i, j, lags, np.ones(len(i)), rate=FPS) / FPS
        found.append(start_errors(answer.tolist(), starts.tolist()))
    return np.abs(np.concatenate(found))
