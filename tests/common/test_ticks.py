"""Ticks of an axis: few, round, inside."""

import pytest

from common.ticks import round_step, round_ticks


def test_steps_are_one_two_or_five():
    assert [round_step(span, at_most=6) for span in (6, 7, 13, 31, 60, 0.6)] == pytest.approx([1, 2, 5, 10, 10, 0.1])


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (-1, 1, ["−1.0", "−0.5", "0.0", "0.5", "1.0"]),
        (0, 61, ["0", "20", "40", "60"]),
        (-0.013, 0.021, ["−0.01", "0.00", "0.01", "0.02"]),
    ],
)
def test_ticks_are_written_with_as_many_decimals_as_they_need(low, high, texts):
    ticks = round_ticks(low, high, at_most=4)
    assert [text for _, text in ticks] == texts
    assert [value for value, _ in ticks] == pytest.approx([float(text.replace("−", "-")) for text in texts])
