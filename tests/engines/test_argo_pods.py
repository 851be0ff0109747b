"""What is read from the status of a pod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engines.argo_pods import result_of
from tests.engines.argo_runner.nodes import Phase
from tests.engines.kubernetes import exit_code, lifetime, most_at_once


def pod(phase: str, code: int, *, reason: str = "Error", message: str = "", begin: int = 0, end: int = 1) -> Any:
    times = {"startedAt": f"2026-01-01T00:00:{begin:02}Z", "finishedAt": f"2026-01-01T00:00:{end:02}Z"}
    states = [
        {"name": "wait", "state": {"terminated": {"exitCode": 7, **times}}},
        {"name": "main", "state": {"terminated": {"exitCode": code, "reason": reason, **times}}},
    ]
    status = {"phase": phase, "containerStatuses": states} | ({"message": message} if message else {})
    return {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": status}


@pytest.mark.parametrize(
    ("found", "phase", "code", "message"),
    [
        (pod("Succeeded", 0), Phase.SUCCEEDED, 0, ""),
        (pod("Failed", 65), Phase.FAILED, 65, "main: Error (exit code 65)"),
        (pod("Failed", 137, reason="OOMKilled"), Phase.FAILED, 137, "main: OOMKilled (exit code 137)"),
        (pod("Failed", 143, message="Pod was active too long"), Phase.FAILED, 143, "Pod was active too long"),
    ],
)
def test_the_end_of_a_pod_is_worded_as_argo_words_it(found: Any, phase: Phase, code: int, message: str) -> None:
    result = result_of(found, "out", 1.5)
    assert (result.phase, result.exit_code, result.message, result.stdout) == (phase, code, message, "out")
    assert exit_code(found) == code


def test_a_pod_that_never_started_has_no_exit_code() -> None:
    assert exit_code({"status": {}}) is None
    assert result_of({"status": {"phase": "Failed", "message": "evicted"}}, "", 0).exit_code is None


def test_pods_that_follow_one_another_did_not_run_at_once() -> None:
    one, two, three = (
        pod("Succeeded", 0, end=5),
        pod("Succeeded", 0, begin=5, end=9),
        pod("Succeeded", 0, begin=4, end=6),
    )
    assert most_at_once([one, two]) == 1
    assert most_at_once([one, two, three]) == 2
    assert lifetime(two) == 9
