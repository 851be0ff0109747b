"""When each video of a scene starts on one clock, and which people are the same in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import BODIES, CLOCK_TABLE, FRAMES, IDENTITIES, SCENE, SOUND, SYNC_PICTURE, SYNCHRONIZATION
from common.artifacts.synchronization import EVIDENCE
from common.stage import Resources, Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """Options of the sync stage."""

    method: str = option(
        "motion",
        help="motion: all evidence together, with intervals; dtw: dynamic time warping as the first version did it, "
        "for comparison.",
        choices=("motion", "dtw"),
    )
    evidence: str = option(
        ",".join(EVIDENCE),
        help=f"What to conclude from, where there is any: a comma list of {', '.join(EVIDENCE)}. dtw: motion alone.",
    )
    max_offset: float = option(
        60.0, help="Largest difference between two start times that is considered.", unit="s", minimum=0.1
    )
    cameras: str = option(
        "available",
        help="available: go on without cameras that have no bodies, and name them; all: fail then.",
        choices=("available", "all"),
    )
    expect: str = option(
        "none",
        help="aligned: the recordings claim to have started together; say for each camera whether that is so.",
        choices=("none", "aligned"),
    )
    expected_tolerance: float = option(
        0.0,
        help="Difference between starts that still counts as aligned; 0: one frame of the slowest camera.",
        unit="s",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        """Raises UsageError for a list of evidence that cannot be meant; orders it, so that equal lists are equal."""
        from common.errors import UsageError

        kinds = [kind.strip() for kind in self.evidence.split(",")]
        wrong = [kind for kind in kinds if kind not in EVIDENCE]
        if wrong:
            names = ", ".join(EVIDENCE)
            raise UsageError(f"--evidence: expected a comma list of {names}, got {wrong[0]!r} in {self.evidence!r}.")
        if self.method == "dtw" and "motion" not in kinds:
            raise UsageError(f"--evidence: --method dtw looks at motion alone, which {self.evidence!r} leaves out.")
        if kinds == ["calibration"]:
            raise UsageError("--evidence: calibration compares people whom motion has matched: motion,calibration.")
        object.__setattr__(self, "evidence", ",".join(kind for kind in EVIDENCE if kind in kinds))


def run(workspace: Workspace, options: Options) -> None:
    """Solves start times and identities of the scene's videos together."""
    from stages.sync.publish import synchronize_scene

    synchronize_scene(workspace, options)


STAGE = Stage(
    name="sync",
    summary="Finds when each camera started on one clock and which people are the same, from how their bodies move.",
    unit=Unit.SCENE,
    reads=(SCENE, FRAMES, BODIES),
    may_read=(SOUND,),
    writes=(SYNCHRONIZATION, CLOCK_TABLE, SYNC_PICTURE, IDENTITIES),
    run=run,
    options=Options,
    resources=Resources(cpus=1, memory_gib=1.0),
    packages=("numpy", "scipy"),
)
