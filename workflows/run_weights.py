"""The model files that a run needs, fetched before its first unit does: the first step of a run on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from common.stage import Stage
from common.weights.commands import fetch
from common.weights.hub_lock import HubModel
from common.weights.lock import LockedFile, weights_lock
from workflows.units import stage_options


def fetch_for(stages: Iterable[Stage], options: Mapping[str, Any]) -> list[str]:
    """Fetches what the backends of these stages need with these options of a run; returns where it is.

    Raises:
        UsageError, TemporaryFailure, ModelUnavailable, ConfigurationError, DiskError: see
            `common.weights.commands.fetch`.
    """
    places: list[str] = []
    asked = [
        (stage, stage.make_options(stage_options(stage, options))) for stage in stages
    ]  # all, before gigabytes come
    for stage, chosen in asked:
        entries = [weights_lock().find(name) for name in stage.weights(chosen)]
        models = [entry.name for entry in entries if isinstance(entry, HubModel)]
        if models or any(isinstance(entry, LockedFile) for entry in entries):  # optional files nobody can fetch
            places += fetch(chosen.backend, models)
    return list(dict.fromkeys(places))
