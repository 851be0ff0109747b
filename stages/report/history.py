"""What happened to every unit of the scene: its manifest, or why there is none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from common.manifest import FOLDER, Failure, Manifest, unit_name
from common.published import Published

WITHOUT_RECORDINGS = ("sync",)
"""Stages that do not take --data-root."""


@dataclass(frozen=True)
class History:
    """The records of a scene: every stage after those whose results it read, then by stage and video.

    Attributes:
        manifests: of finished units, outdated ones included.
        outdated: (stage, video) of those that a later change or failure has made worthless.
        failures: of units whose last attempt failed.
    """

    manifests: tuple[Manifest, ...] = ()
    outdated: frozenset[tuple[str, str | None]] = frozenset()
    failures: tuple[Failure, ...] = ()

    @property
    def current(self) -> tuple[Manifest, ...]:
        """Manifests that can be relied on."""
        return tuple(m for m in self.manifests if (m.stage, m.video) not in self.outdated)

    @property
    def videos(self) -> tuple[str, ...]:
        """Every video that any record is about, sorted."""
        about = {m.video for m in self.manifests} | {f.video for f in self.failures}
        return tuple(sorted(video for video in about if video is not None))

    def failures_of(self, video: str | None) -> tuple[Failure, ...]:
        """What failed for a video, or for the scene as a whole."""
        return tuple(failure for failure in self.failures if failure.video == video)

    def of_videos(self, videos: Collection[str]) -> History:
        """The records of the scene as a whole and of some of its videos."""
        return History(
            tuple(m for m in self.manifests if m.video is None or m.video in videos),
            frozenset(unit for unit in self.outdated if unit[1] is None or unit[1] in videos),
            tuple(f for f in self.failures if f.video is None or f.video in videos),
        )


def read_history(published: Published, *, leave_out: str) -> History:
    """All records of a scene.

    Args:
        published: the scene.
        leave_out: the stage that asks; its own past is no part of what it shows.
    """
    manifests, failures = [], []
    for stage in (s for s in published.stages() if s != leave_out):
        folder = f"{published.scene}/{FOLDER}/{stage}/"
        manifests += [m for v in _units(published, folder) if (m := published.manifest(stage, v)) is not None]
        failed = _units(published, f"{folder}failed/")
        failures += [f for v in failed if (f := published.failure(stage, v)) is not None]
    outdated = {(m.stage, m.video) for m in manifests if not published.is_current(m.stage, m.video)}
    depths = lineage(manifests)

    def place(record: Manifest | Failure) -> tuple[bool, int, str]:  # what never succeeded is the last that was tried
        return record.stage not in depths, depths.get(record.stage, 0), record.stage

    return History(tuple(sorted(manifests, key=place)), frozenset(outdated), tuple(sorted(failures, key=place)))


def lineage(manifests: Iterable[Manifest]) -> dict[str, int]:
    """How many stages, at most, one after the other, made what each stage read: 0 for the first of the pipeline."""
    read: dict[str, set[str]] = {}
    for manifest in manifests:
        producers = {producer.partition("/")[0] for producer in manifest.inputs if "/" in producer}
        read.setdefault(manifest.stage, set()).update(producers)
    depths = dict.fromkeys(read, 0)
    for _ in read:  # no chain is longer than there are stages; records that name each other in a circle end, too
        depths = {stage: max((1 + depths[p] for p in read[stage] if p in depths), default=0) for stage in read}
    return depths


def _units(published: Published, folder: str) -> list[str | None]:
    """The units that a folder has a record of: videos, or None for the scene."""
    names = [PurePosixPath(key).stem for key in published.storage.list(folder) if key.endswith(".json")]
    return [None if name == unit_name(None) else name for name in names]
