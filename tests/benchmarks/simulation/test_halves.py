from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.activities import EVERYDAY
from benchmarks.simulation.halves import ALL_BINS, Dice
from benchmarks.simulation.motion import HELD_OUT, simulate_motion


def _drawn(half: str | None, count: int = 4000) -> np.ndarray:
    return Dice(np.random.default_rng(0), half).styles(np.full(count, 2.0), np.full(count, 10.0))


def test_no_style_of_one_half_occurs_in_the_other():
    tune, report = (set(np.floor(_drawn(half) - 2).astype(int)) for half in ("tune", "report"))
    assert not tune & report
    assert tune | report == set(range(ALL_BINS))


def test_both_halves_have_the_mean_and_the_variance_of_the_whole_range():
    for half in (None, "tune", "report"):
        drawn = _drawn(half, 200_000)
        assert drawn.mean() == pytest.approx(6.0, abs=0.02), half
        assert drawn.std() == pytest.approx(8 / np.sqrt(12), abs=0.02), half


def test_people_of_the_two_halves_share_no_style_whatever_they_do(monkeypatch: pytest.MonkeyPatch):
    seen: dict[tuple[str, float, float], set[int]] = {}
    draw, asked = Dice.styles, "tune"

    def watched(dice: Dice, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        values = draw(dice, low, high)
        for a, b, value in zip(low, high, values, strict=True):
            seen.setdefault((asked, a, b), set()).add(int((value - a) / (b - a) * ALL_BINS))
        return values

    monkeypatch.setattr(Dice, "styles", watched)
    for asked in ("tune", "report"):
        simulate_motion(200, np.random.default_rng(0), activities=tuple(EVERYDAY), half=asked)
    ranges = {key[1:] for key in seen}
    assert len(ranges) > 15, f"{len(ranges)} ranges of style were used"
    for low, high in ranges:
        both = seen.get(("tune", low, high), set()) & seen.get(("report", low, high), set())
        assert not both, f"{low}..{high}: bins {both} occur in both halves"


@pytest.mark.parametrize("activity", HELD_OUT)
def test_nothing_can_be_tuned_on_a_held_out_activity(activity: str):
    with pytest.raises(ValueError, match="held out"):
        simulate_motion(5, np.random.default_rng(0), activities=("walk", activity), half="tune")
    simulate_motion(5, np.random.default_rng(0), activities=("walk", activity), half="report")
