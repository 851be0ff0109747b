"""A rendered world whose truth is known: people who walk, cross, hide, leave and come back, seen by three cameras."""

from __future__ import annotations

from tests.synth.files import write_scene, write_video
from tests.synth.scene import Event, Thing, TruthScene
from tests.synth.scripts import crowd_scene, late_arrivals, two_cross

__all__ = [
    "Event",
    "Thing",
    "TruthScene",
    "crowd_scene",
    "late_arrivals",
    "two_cross",
    "write_scene",
    "write_video",
]
