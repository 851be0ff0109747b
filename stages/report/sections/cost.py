"""What it cost: time and memory of every unit."""

from __future__ import annotations

from typing import Any

from common.manifest import Manifest, unit_name
from stages.report.axis import percent
from stages.report.gather import Evidence
from stages.report.wording import duration, memory, size

TEMPLATE = "cost.html"
ANCHOR, TITLE = "cost", "Cost"


def context(evidence: Evidence) -> dict[str, Any]:
    """A row per unit with bars for wall and CPU time, a sum per stage."""
    history = evidence.history
    longest = max((max(m.record.wall_s, m.record.cpu_s) for m in history.manifests), default=0.0)
    stages = list(dict.fromkeys(m.stage for m in history.manifests))
    return {
        "stages": [
            {
                "name": stage,
                "cpu": duration(sum(m.record.cpu_s for m in history.manifests if m.stage == stage)),
                "units": [
                    _unit(m, longest, outdated=(m.stage, m.video) in history.outdated)
                    for m in history.manifests
                    if m.stage == stage
                ],
            }
            for stage in stages
        ],
        "wall": duration(sum(m.record.wall_s for m in history.manifests)),
        "cpu": duration(sum(m.record.cpu_s for m in history.manifests)),
        "peak": memory(max((m.record.peak_rss for m in history.manifests), default=0)),
    }


def _unit(manifest: Manifest, longest: float, *, outdated: bool) -> dict[str, Any]:
    record = manifest.record
    scale = longest or 1.0
    return {
        "name": unit_name(manifest.video),
        "wall": duration(record.wall_s),
        "cpu": duration(record.cpu_s),
        "wall_width": percent(record.wall_s / scale),
        "cpu_width": percent(record.cpu_s / scale),
        "memory": memory(record.peak_rss),
        "written": size(record.bytes_written),
        "found": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(manifest.found.items())),
        "outdated": outdated,
    }
