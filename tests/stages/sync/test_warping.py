"""Costs and path against textbook loops that share no code with them."""

from __future__ import annotations

import numpy as np
import pytest

from stages.sync.warping import cheapest_path, costs


def _sequence(frames: int, seed: int, joints: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(frames, joints, 3))
    weights = rng.uniform(0.1, 1, (frames, joints)) * (rng.random((frames, joints)) > 0.2)
    weights[:, 0] = 0.5  # some joint is always shared
    return points, weights


def _least_total(cost: np.ndarray) -> float:
    """Sakoe and Chiba's recursion, cell by cell."""
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return float(total[-1, -1])


def test_costs_are_squared_weighted_mean_distances():
    (a, wa), (b, wb) = _sequence(37, 0), _sequence(150, 1)
    found = costs(a, b, wa, wb)
    for i in (0, 12, 36):
        for j in (0, 77, 149):
            w = wa[i] * wb[j]
            expected = (np.sum(w * np.linalg.norm(a[i] - b[j], axis=1)) / np.sum(w)) ** 2
            assert found[i, j] == pytest.approx(expected, rel=1e-4), f"cost({i}, {j})"


def test_costs_do_not_depend_on_how_many_are_computed_at_once(monkeypatch):
    (a, wa), (b, wb) = _sequence(50, 2), _sequence(31, 3)
    whole = costs(a, b, wa, wb)
    monkeypatch.setattr("stages.sync.warping._CELLS_AT_ONCE", 100)
    np.testing.assert_allclose(costs(a, b, wa, wb), whole, rtol=1e-6)


def test_frames_without_a_joint_in_common_are_as_dear_as_the_worst():
    (a, wa), (b, wb) = _sequence(20, 4), _sequence(20, 5)
    wa[3], wb[7] = 0, 0
    wa[3, 1], wb[7, 2] = 1, 1
    a[wa == 0] = np.nan  # what is not seen may be anything
    found = costs(a, b, wa, wb)
    assert np.isfinite(found).all()
    assert found[3, 7] == found.max()


def test_nothing_in_common_at_all_is_unknown():
    (a, wa), (b, wb) = _sequence(6, 6), _sequence(6, 7)
    wa[:, 2:], wb[:, :2] = 0, 0
    wb[:, 0] = 0
    assert np.isnan(costs(a, b, wa, wb)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (40, 40), (23, 61), (61, 23)])
def test_the_path_is_the_cheapest_from_corner_to_corner(shape: tuple[int, int]):
    cost = np.random.default_rng(shape[1]).random(shape).astype(np.float32) ** 3
    rows, columns = cheapest_path(cost)
    assert (rows[0], columns[0], rows[-1], columns[-1]) == (0, 0, shape[0] - 1, shape[1] - 1)
    steps = set(zip(np.diff(rows).tolist(), np.diff(columns).tolist(), strict=True))
    assert steps <= {(0, 1), (1, 0), (1, 1)}
    total, least = float(cost[rows, columns].astype(np.float64).sum()), _least_total(cost.astype(np.float64))
    assert total == pytest.approx(least, rel=1e-9), f"path costs {total}, cheapest {least}"


def test_where_nothing_differs_the_path_is_the_diagonal():
    rows, columns = cheapest_path(np.zeros((12, 12), np.float32))
    assert rows.tolist() == columns.tolist() == list(range(12))
