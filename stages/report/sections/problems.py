"""Everything that limits the result: failures, warnings, and what this page could not read."""

from __future__ import annotations

from typing import Any

from common.errors import ExitCode
from common.manifest import Failure, unit_name
from stages.report.gather import Evidence
from stages.report.status import failure_advice

TEMPLATE = "problems.html"
ANCHOR, TITLE = "problems", "Warnings and failures"


def context(evidence: Evidence) -> dict[str, Any]:
    """Failures, warnings by unit, notes."""
    return {
        "failures": [_failure(failure) for failure in evidence.history.failures],
        "warnings": [
            {"stage": m.stage, "unit": unit_name(m.video), "message": message}
            for m in evidence.history.current
            for message in m.warnings
        ],
        "notes": evidence.notes,
        "outdated": sorted(f"{stage} {unit_name(video)}" for stage, video in evidence.history.outdated),
    }


def _failure(failure: Failure) -> dict[str, Any]:
    known = failure.exit_code in list(ExitCode)
    return {
        "stage": failure.stage,
        "unit": unit_name(failure.video),
        "message": failure.message,
        "code": failure.exit_code,
        "meaning": ExitCode(failure.exit_code).meaning if known else "",
        "advice": failure_advice(failure),
        "when": failure.when,
    }
