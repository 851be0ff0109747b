"""What a unit would read, and the key that is made of all that determines its result."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import fingerprint, recordings
from common.artifacts import SCENE, Unit
from common.errors import BadInput, DiskError, InputMissing, ModelUnavailable, UsageError
from common.manifest import FOLDER
from common.published import Published
from common.stage import Stage
from common.storage.interface import Storage
from common.workspace import missing


@dataclass(frozen=True)
class Task:
    """One unit of a stage, with its options and the places it reads from and writes to."""

    stage: Stage
    output: Storage
    scene: str
    video: str | None
    options: Any
    data: Storage | None = None

    def __post_init__(self) -> None:
        """Checks that a video is named exactly where the stage covers one."""
        if (self.video is None) is (self.stage.unit is Unit.VIDEO):
            raise UsageError(
                f"{self.stage.name} covers a {self.stage.unit.value}: "
                + ("name one with --video." if self.video is None else "leave out --video.")
            )

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.stage.name} {self.scene}" + (f"/{self.video}" if self.video else "")


@dataclass(frozen=True)
class Plan:
    """All that determines the result of a task, and the key made of it."""

    key: str
    inputs: Mapping[str, Mapping[str, str]]
    options: Mapping[str, Any]
    weights: Mapping[str, str]
    code: str
    packages: Mapping[str, str]
    published: Published


def plan(task: Task, published: Published | None = None) -> Plan:
    """What the task would read, and its content key.

    Args:
        task: what would be done.
        published: a view of the scene's results to plan with, for callers who plan many tasks at one moment.

    Raises:
        InputMissing: something that it needs is not there.
        ModelUnavailable: no weights are known by such a name, or a model of the user's own is not where it should be.
    """
    stage, published = task.stage, published or Published(task.output, task.scene)
    options = dataclasses.asdict(task.options)
    own = {name: options[name] for name in stage.model_paths(task.options)}
    determines: dict[str, Any] = {
        "inputs": _inputs(task, published),
        "options": options | {name: Path(path).name for name, path in own.items()},
        "weights": _weight_digests(stage.weights(task.options)) | _own_digests(stage, own),
        "code": fingerprint.of_code(stage.name),
        "packages": {
            name: fingerprint.version(name) for name in (*stage.packages, *stage.model_packages(task.options))
        },
    }
    unit = {"stage": stage.name, "scene": task.scene, "video": task.video}
    without_effect = stage.without_effect(task.options)
    options = {name: value for name, value in determines["options"].items() if name not in without_effect}
    key = fingerprint.of_value({**determines, "options": options, **unit})
    return Plan(key=key, published=published, **determines)


def _inputs(task: Task, published: Published) -> dict[str, dict[str, str]]:
    """{producer: {key: digest}} of everything that the task reads."""
    stage = task.stage
    inputs: dict[str, dict[str, str]] = {}
    if stage.source and SCENE in stage.writes:
        inputs["recordings"] = _recordings(task)
    videos: tuple[str | None, ...] = (task.video,)
    if stage.unit is Unit.SCENE and any(a.unit is Unit.VIDEO for a in (*stage.reads, *stage.may_read)):
        videos = _videos(task, published)
    for artifact in (*stage.reads, *stage.may_read):
        owners = (None,) if artifact.unit is Unit.SCENE else videos
        parts = [published.inputs(artifact, owner, reader=task.video) for owner in owners]
        # A scene stage works with the videos that there are; a video stage cannot do without its own.
        if artifact in stage.reads and not any(parts) and not (artifact.unit is Unit.VIDEO and task.video is None):
            raise InputMissing(missing(task.scene, artifact, owners[0]))
        for part in parts:
            for producer, digests in (part or {}).items():
                inputs.setdefault(producer, {}).update(digests)
    if stage.history:
        inputs["history"] = _history(task, published)
    return inputs


def _videos(task: Task, published: Published) -> tuple[str, ...]:
    try:
        return tuple(sorted(published.load_scene().videos))
    except (InputMissing, BadInput):
        if task.stage.history:
            return ()  # the report is written also when nothing else was
        raise


def _recordings(task: Task) -> dict[str, str]:
    if task.data is None:
        raise InputMissing(f"{task.stage.name} opens the recordings: name their folder with --data-root.")
    names = list(recordings.list_recordings(task.data, task.scene).values())
    if task.data.size(f"{task.scene}/{recordings.CALIBRATION}") is not None:
        names.append(recordings.CALIBRATION)
    refused = dict.fromkeys(recordings.refused_recordings(task.data, task.scene), "refused")
    return refused | {name: _recording(task.data, f"{task.scene}/{name}") for name in names}


def _recording(data: Storage, key: str) -> str:
    """Identity of a recording; that of its trouble if it cannot be read, which concerns the one video alone."""
    try:
        with data.open(key) as handle:
            return fingerprint.of_opened_recording(handle)
    except (BadInput, DiskError, InputMissing) as error:
        return f"unreadable: {type(error).__name__}"  # its text would say where the data lie


def _history(task: Task, published: Published) -> dict[str, str]:
    """Digests of all records of the scene but the stage's own."""
    base = f"{task.scene}/{FOLDER}/"
    digests = {}
    for stage in published.stages():
        if stage == task.stage.name:
            continue
        folder = f"{base}{stage}/"
        for key in (*task.output.list(folder), *task.output.list(f"{folder}failed/")):
            content = task.output.read(key) if key.endswith(".json") else None
            if content is not None:
                digests[key[len(base) :]] = hashlib.sha256(content).hexdigest()
    return digests


def _weight_digests(names: tuple[str, ...]) -> dict[str, str]:
    if not names:
        return {}
    from common.weights.store import digest

    return {name: digest(name) for name in names}


def _own_digests(stage: Stage, paths: Mapping[str, str]) -> dict[str, str]:
    """Digests of models that options name."""
    digests = {}
    for name, path in paths.items():
        spec = stage.option_spec(name)
        if not path:  # it would stand for the current folder
            raise ModelUnavailable(f"{spec.flag} is not given. {spec.way_to_get}.")
        try:
            digests[name] = fingerprint.of_model(Path(path).expanduser())
        except OSError as error:
            raise ModelUnavailable(
                f"{spec.flag}: {path!r} cannot be read: {error.strerror}. {spec.way_to_get}."
            ) from error
    return digests
