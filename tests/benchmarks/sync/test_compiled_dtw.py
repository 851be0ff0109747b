"""The peer of the cost figures does what it claims; here uncompiled, so that numba is not needed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sync import compiled_dtw
from stages.sync.warping import cheapest_path, costs


@pytest.fixture
def uncompiled(monkeypatch):
    monkeypatch.setattr(compiled_dtw, "_compiled", lambda: compiled_dtw._lags_on_path)


def test_its_path_is_that_of_the_stage(uncompiled):
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(50, 4, 3)), axis=0).astype(np.float32)
    a, b = walk[:40], walk[9:]
    weights_a, weights_b = (rng.uniform(0.2, 1, x.shape[:2]).astype(np.float32) for x in (a, b))
    arrays = [np.ascontiguousarray(x.transpose(1, 2, 0)) for x in (a, b)] + [weights_a.T, weights_b.T]
    lags = compiled_dtw._lags_on_path(*arrays)
    rows, columns = cheapest_path(costs(a, b, weights_a, weights_b))
    assert lags[::-1].tolist() == (rows - columns).tolist()


def test_frame_k_of_b_is_frame_k_plus_lag_of_a(uncompiled):
    walk = np.cumsum(np.random.default_rng(1).normal(size=(50, 4, 3)), axis=0).astype(np.float32)
    ones = np.ones((41, 4), np.float32)
    assert compiled_dtw.compiled_lag(walk[:41], walk[9:], ones, ones) == 9
