"""Whether a pod that failed is tried again, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.engines.argo_runner.errors import Unsupported
from tests.engines.argo_runner.expressions import truth
from tests.engines.argo_runner.nodes import Node, Phase

_UNITS: dict[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_POLICIES = {"Always": (Phase.FAILED, Phase.ERROR), "OnFailure": (Phase.FAILED,), "OnError": (Phase.ERROR,)}


def enough(strategy: Mapping[str, Any], node: Node, names: Mapping[str, str], *, tries: int, late: bool) -> str:
    """Why there is no other attempt; empty if there is one.

    Args:
        strategy: the retryStrategy, filled in.
        node: the last attempt, which did not succeed.
        names: what the expression may mention.
        tries: attempts that were made.
        late: whether the time of the workflow is over.
    """
    # With an expression and no policy the expression alone decides.
    policy = strategy.get("retryPolicy") or ("Always" if strategy.get("expression") else "OnFailure")
    if policy not in _POLICIES:
        raise Unsupported(f"retryPolicy {policy} is not known to this runner")
    if late:
        return "retry exceeded workflow deadline"
    if node.phase not in _POLICIES[policy]:
        return node.message
    if tries > int(strategy["limit"]):
        return "No more retries left"
    if strategy.get("expression") and not truth(strategy["expression"], names):
        return "retryStrategy.expression evaluated to false"
    return ""


def pause(backoff: Mapping[str, Any], tries: int) -> float:
    """Seconds before the next attempt, after so many."""
    if not backoff:
        return 0.0
    factor = float(backoff.get("factor") or 1)
    return min(seconds(backoff["duration"]) * factor ** (tries - 1), seconds(backoff.get("cap", "365d")))


def seconds(duration: str | int) -> float:
    """A duration such as 15s, 10m, or a number of seconds."""
    written = str(duration)
    return float(written.rstrip("smhd")) * _UNITS.get(written[-1], 1)
