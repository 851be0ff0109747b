from __future__ import annotations

import pytest

from stages.sync.certainty import Agreement
from stages.sync.result import Verdict
from stages.sync.verdicts import explain_unknown, judge_identity, judge_start


def test_a_start_that_stands_out_is_ok_without_comment():
    assert judge_start(Agreement(12.0, 0.5, 20.0, 1.0, True), 0.02, placed=True) == (Verdict.OK, (), ())


@pytest.mark.parametrize(
    ("fit", "half_width", "placed", "reason"),
    [
        (Agreement(0.0, 0.6, 1.2, 0.9, True), 0.02, False, "only 1.2 s shared"),
        (Agreement(8.0, 0.4, 4.0, 0.9, True), 0.02, False, "4.0 s shared"),
        (Agreement(12.0, 0.4, 14.0, 0.9, True), 0.3, True, "±0.30 s"),
    ],
)
def test_an_uncertain_start_says_why_and_what_helps(fit: Agreement, half_width: float, placed: bool, reason: str):
    verdict, reasons, advice = judge_start(fit, half_width, placed=placed)
    assert verdict is Verdict.UNCERTAIN
    assert any(reason in text for text in reasons), reasons
    assert advice


@pytest.mark.parametrize(
    ("fit", "reason"),
    [
        (Agreement(0.0, 0.0, 0.0, 0.0, False), "nobody in it agrees"),
        (Agreement(3.2, 0.1, 9.0, 1.0, True), "3.2 standard deviations"),
        (Agreement(0.0, 0.2, 1.0, 1.0, True), "too weak"),
        (Agreement(0.0, 0.2, 1.0, 1.0, False), "contradict"),
    ],
)
def test_an_unknown_start_says_why(fit: Agreement, reason: str):
    reasons, advice = explain_unknown(fit)
    assert reason in reasons[0]
    assert advice


def test_an_identity_is_no_surer_than_the_time_it_rests_on():
    assert judge_identity(9.0, 5.0, Verdict.OK) is Verdict.OK
    assert judge_identity(9.0, 5.0, Verdict.UNCERTAIN) is Verdict.UNCERTAIN
    assert judge_identity(9.0, 0.1, Verdict.OK) is Verdict.UNCERTAIN
    assert judge_identity(0.0, 0.0, Verdict.OK) is Verdict.UNKNOWN
