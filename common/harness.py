"""Runs one unit of a stage, unless it is up to date: lets it write privately and publishes the result as a whole."""

from __future__ import annotations

import datetime
import enum
import itertools
import logging
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import checkpoints, fingerprint
from common.device_names import RanOn
from common.errors import (
    BadInput,
    DiskError,
    GhostError,
    InputMissing,
    TemporaryFailure,
    Terminated,
    from_os_error,
)
from common.manifest import (
    Failure,
    Manifest,
    RunRecord,
    encode,
    encode_ledger,
    failure_key,
    ledger_key,
    lock_key,
    manifest_key,
    read_ledger,
    read_manifest,
    unit_name,
)
from common.plan import Plan, Task, plan
from common.published import Published
from common.storage.interface import CommitConflict, StoredFile
from common.workspace import Workspace

__all__ = ["Outcome", "Plan", "Status", "Task", "execute", "finished", "plan", "record_failure"]

_LOG = logging.getLogger("ghost")
_FOREIGN = ".before-ghost"  # appended to the names of files and folders that lay where results belong


class Status(enum.Enum):
    """How an attempt at a unit ended well."""

    DONE = "done"
    UP_TO_DATE = "up to date"
    OTHER_WAS_FIRST = "another attempt was first"


@dataclass(frozen=True)
class Outcome:
    """A finished unit and how it came to be."""

    status: Status
    manifest: Manifest


def finished(task: Task, planned: Plan, published: Published | None = None) -> Manifest | None:
    """The manifest of the task's result if it is up to date, else None.

    Args:
        task: what would be done.
        planned: its plan.
        published: where to look; the view that the plan was made with if none is given.
    """
    manifest = (published or planned.published).intact(task.stage.name, task.video)
    return manifest if manifest is not None and manifest.key == planned.key else None


def execute(task: Task, *, force: bool = False) -> Outcome:
    """Brings a unit up to date.

    On failure the reason is recorded in the workspace, earlier results stay, and the error is raised.

    Args:
        task: what to do.
        force: run even if the result is up to date, and continue from no checkpoint.

    Raises:
        GhostError: whatever the stage could not do; operating-system errors are converted.
    """
    _check_video(task)
    try:
        planned = plan(task)
        manifest = None if force else finished(task, planned)
        outcome = _attempt(task, planned, force=force) if manifest is None else _settle(task, manifest)
    except Terminated:
        raise  # asked to stop: nothing is wrong with the unit
    except GhostError as error:
        record_failure(task, error)
        raise
    except OSError as error:
        known = from_os_error(error, place=f"{task.output.uri}/{task.scene}")
        record_failure(task, known)
        raise known from error
    except Exception as error:
        record_failure(task, error)
        raise
    return outcome


def _settle(task: Task, manifest: Manifest) -> Outcome:
    """A result that is there already: whatever went wrong since then has left nothing that counts."""
    task.output.sweep(task.scene)
    _tidy(task)
    return Outcome(Status.UP_TO_DATE, manifest)


def _tidy(task: Task) -> None:
    """Removes what attempts before the one that was published have left: the note of a failure, checkpoints."""
    unit = (task.scene, task.stage.name, task.video)
    task.output.remove(failure_key(*unit))
    if not task.stage.checkpoints:
        return
    try:
        checkpoints.discard(task.output, *unit)
    except Terminated:
        raise
    except GhostError as error:  # the result is there; what is left over takes room and does no harm
        _LOG.debug("checkpoints could not be removed: %s", error)


def record_failure(task: Task, error: BaseException) -> None:
    """Leaves a note of a failed unit: nobody takes an older result for this run's, and the report can say why."""
    failure = Failure(
        stage=task.stage.name,
        scene=task.scene,
        video=task.video,
        exit_code=int(getattr(error, "exit_code", GhostError.exit_code)),
        message=str(error) or type(error).__name__,
        when=_now(),
    )
    try:
        task.output.write(failure_key(task.scene, task.stage.name, task.video), encode(failure))
    except Terminated:
        raise
    except GhostError as second:
        # A disk that refuses the result refuses its obituary too: one line about it is enough.
        level = logging.DEBUG if isinstance(error, DiskError) else logging.WARNING
        _LOG.log(level, "the failure could not be recorded: %s", second)


def _check_video(task: Task) -> None:
    """Raises InputMissing for a video that the scene does not have: a mistyped name must leave no trace."""
    if task.video is None:
        return
    try:
        videos = Published(task.output, task.scene).load_scene().videos
    except (InputMissing, BadInput):
        return  # something is wrong with the scene itself; the plan will say what
    if task.video not in videos:
        raise InputMissing(f"{task.scene}: no video {task.video!r}; there are {', '.join(sorted(videos)) or 'none'}.")


def _attempt(task: Task, planned: Plan, *, force: bool) -> Outcome:
    stage, output = task.stage, task.output
    unit = (task.scene, stage.name, task.video)
    _occupied(task)  # a link in the way is refused before the work, not after it
    if force and stage.checkpoints:
        checkpoints.discard(output, *unit)  # "again" means from the beginning
    started, wall, cpu = _now(), time.monotonic(), _cpu_seconds()
    with output.attempt(task.scene, f"{stage.name}.{unit_name(task.video)}") as folder:
        workspace = Workspace(
            planned.published, folder, stage=stage.name, video=task.video, data=task.data, key=planned.key
        )
        try:
            stage.run(workspace, task.options)
        except (BadInput, InputMissing):
            _check_unchanged(task, planned)  # what looks damaged or missing may have been published anew just now
            raise
        files = _collect(task, folder)
        _check_unchanged(task, planned)
        gpu, gpu_peak = workspace.gpu if workspace.gpu[0] else _gpu_of_this_process(workspace.ran_on)
        record = RunRecord(
            started=started,
            wall_s=round(time.monotonic() - wall, 3),
            cpu_s=round(_cpu_seconds() - cpu, 3),
            peak_rss=_peak_rss(),
            bytes_read=workspace.recording_bytes + _bytes_of_inputs(planned),
            bytes_written=sum(file.bytes for file in files),
            gpu=gpu,
            gpu_peak=gpu_peak,
            device=workspace.ran_on.kind,
            precision=workspace.ran_on.precision,
        )
        with output.lock(lock_key(*unit)):
            other = None if force else finished(task, planned, Published(output, task.scene))
            if other is not None:
                _tidy(task)
                return Outcome(Status.OTHER_WAS_FIRST, other)
            obsolete = _make_room(task, files, workspace)
            manifest = Manifest(
                stage=stage.name,
                scene=task.scene,
                video=task.video,
                key=planned.key,
                files=files,
                inputs=planned.inputs,
                options=planned.options,
                weights=planned.weights,
                code=planned.code,
                packages=planned.packages,
                found=workspace.found,
                counts=workspace.counts,
                warnings=tuple(workspace.warnings),
                record=record,
            )
            target, content = manifest_key(*unit), encode(manifest)
            try:
                output.commit(folder, task.scene, files, obsolete=obsolete, manifest=target, content=content)
            except CommitConflict:
                # No lock where this is: the other one may have done the same work. If not, this attempt is void.
                other = finished(task, planned, Published(output, task.scene))
                if other is None:
                    raise
                _tidy(task)
                return Outcome(Status.OTHER_WAS_FIRST, other)
            _tidy(task)
    return Outcome(Status.DONE, manifest)


def _check_unchanged(task: Task, planned: Plan) -> None:
    """Raises TemporaryFailure if the task would read something else now than it was given."""
    changed = f"{task.title}: its inputs changed while it ran. Run it again."
    try:
        key = plan(task).key
    except (BadInput, InputMissing) as error:
        raise TemporaryFailure(changed) from error
    if key != planned.key:
        raise TemporaryFailure(changed)


def _collect(task: Task, folder: Path) -> tuple[StoredFile, ...]:
    """The files that the stage wrote, sorted. Raises GhostError for one that it does not declare: a bug."""
    places = _places(task)
    files = []
    for path in sorted(path for path in folder.rglob("[!.]*") if not path.is_dir()):
        key = path.relative_to(folder).as_posix()
        if not any(key.startswith(place) if place.endswith("/") else key == place for place in places):
            raise GhostError(f"{task.stage.name} wrote {key}, which it does not declare.")
        if path.is_symlink() or not path.is_file():
            raise GhostError(f"{task.stage.name} wrote {key}, which is no regular file.")
        files.append(StoredFile(key, path.stat().st_size, fingerprint.of_file(path)))
    return tuple(files)


def _places(task: Task) -> tuple[str, ...]:
    """Where the results of the unit lie: keys of files, and of folders, which end in "/"."""
    return tuple(artifact.key(task.video) for artifact in task.stage.writes)


def _occupied(task: Task) -> dict[str, str]:
    """What lies where the unit's results belong, whoever put it there: key -> place. Raises DiskError for a link."""
    base = f"{task.scene}/"
    return {key.removeprefix(base): place for place in _places(task) for key in task.output.occupied(base + place)}


def _make_room(task: Task, files: tuple[StoredFile, ...], workspace: Workspace) -> list[str]:
    """Notes what is about to be published, and sets aside what others have put in its place.

    What this unit has published earlier is known from its manifest, and from a note in case that was removed by an
    attempt killed while publishing. Whatever else lies there, such as results of the original ghost, is somebody's
    work; but left in a folder of results, readers would take it for one.

    Returns:
        Keys of the unit's own earlier files that the new result does not replace.
    """
    output, unit = task.output, (task.stage.name, task.video)
    old = read_manifest(output, task.scene, *unit)
    own = read_ledger(output, task.scene, *unit) | {file.key for file in (old.files if old is not None else ())}
    occupied = _occupied(task)
    aside = {key: _aside(task, key, place) for key, place in occupied.items() if key not in own}
    if aside:
        first = next(iter(aside))
        workspace.warn(
            f"{task.title}: files that ghost did not write lay where its results go; they were kept under another "
            f"name: {len(aside)} of them, such as {first}, now {aside[first]}."
        )
        output.set_aside({f"{task.scene}/{key}": f"{task.scene}/{new}" for key, new in aside.items()})
    new = {file.key for file in files}
    obsolete = (occupied.keys() & own) - new
    output.write(ledger_key(task.scene, *unit), encode_ledger(new | obsolete))
    return sorted(obsolete)


def _aside(task: Task, key: str, place: str) -> str:
    """A free name for a file beside its place: "cam01/json_data.before-ghost/000.json"."""
    root = place.rstrip("/")
    numbers = itertools.chain(("",), (f"-{number}" for number in itertools.count(2)))
    names = (f"{root}{_FOREIGN}{number}{key.removeprefix(root)}" for number in numbers)
    return next(name for name in names if task.output.size(f"{task.scene}/{name}") is None)


def _bytes_of_inputs(planned: Plan) -> int:
    total = 0
    for producer, digests in planned.inputs.items():
        manifest = planned.published.producer(producer)
        if manifest is not None:
            total += sum(file.bytes for key in digests for file in manifest.files_of(key.partition("#")[0]))
    return total


def _peak_rss() -> int:
    """Bytes; the larger one of this process and of its largest child. The kernel counts in KiB."""
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return 1024 * max(own, children)


def _gpu_of_this_process(ran_on: RanOn) -> tuple[str, int]:
    """Name of the GPU that torch has used in this process, and the most bytes that its tensors took; else "" and 0.

    Without a device in `ran_on` it is the current one, which is the first unless somebody has chosen another.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized() or ran_on.kind not in ("", "cuda"):
        return "", 0
    device = ran_on.device or None
    return str(torch.cuda.get_device_name(device)), int(torch.cuda.max_memory_allocated(device))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
