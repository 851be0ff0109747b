from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.clocks import DROPPED, JITTER, even_times, uneven_times


@pytest.mark.parametrize("rate", [24, 25, 30000 / 1001, 30, 50, 60])
def test_a_constant_rate_fills_the_time(rate: float):
    times = even_times(10, rate)
    assert len(times) == int(10 * rate)
    assert times[0] == 0
    np.testing.assert_allclose(np.diff(times), 1 / rate)


def test_variable_time_stamps_increase_vary_and_leave_frames_out():
    times = uneven_times(100, 30, np.random.default_rng(0))
    steps = np.diff(times) * 30
    assert times[0] == 0
    assert 95 < times[-1] < 105
    assert steps.min() >= 1 - JITTER - 1e-9
    assert steps[steps < 1 + JITTER].std() > 0.1, "intervals vary"
    dropped = (steps > 1.5).mean()
    assert DROPPED / 2 < dropped < 2 * DROPPED, f"{dropped:.3f} of the intervals span a missing frame"
