"""What happened to every unit of the scene: its manifest, or why there is none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from common.manifest import FOLDER, Failure, Manifest, unit_name
from common.published import Published

ORDER = ("ingest", "frames", "segment", "body", "sync", "preview")
"""In which order stages are shown; others follow by name."""

WITHOUT_RECORDINGS = ("sync",)
"""Stages that do not take --data-root."""


@dataclass(frozen=True)
class History:
    """The records of a scene, in the order of stages, then videos.

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
    for stage in sorted((s for s in published.stages() if s != leave_out), key=rank):
        folder = f"{published.scene}/{FOLDER}/{stage}/"
        manifests += [m for v in _units(published, folder) if (m := published.manifest(stage, v)) is not None]
        failed = _units(published, f"{folder}failed/")
        failures += [f for v in failed if (f := published.failure(stage, v)) is not None]
    outdated = {(m.stage, m.video) for m in manifests if not published.is_current(m.stage, m.video)}
    return History(tuple(manifests), frozenset(outdated), tuple(failures))


def rank(stage: str) -> tuple[int, str]:
    """A key to sort stages by."""
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), stage)


def _units(published: Published, folder: str) -> list[str | None]:
    """The units that a folder has a record of: videos, or None for the scene."""
    names = [PurePosixPath(key).stem for key in published.storage.list(folder) if key.endswith(".json")]
    return [None if name == unit_name(None) else name for name in names]
