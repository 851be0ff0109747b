"""The record that makes a result a result: one JSON file per stage and unit, written last.

A result counts as done if its manifest has the key that the stage would compute now and its files are intact;
nothing else counts, above all not the mere existence of a file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from common.storage.interface import Storage, StoredFile

SCHEMA = 1
FOLDER = "_manifests"


@dataclass(frozen=True)
class RunRecord:
    """What one attempt cost, and where its models ran.

    Times in seconds, memory and traffic in bytes; the GPU's name is "" if it used none. What `--device auto` and
    `--precision auto` turned out to be is no part of the key, though it moves results by rounding: whether a unit is up
    to date is asked on machines that cannot know it, such as the one that submits jobs.

    Attributes:
        device: kind of device that torch computed on: "cuda", "cpu", "mps"; "" if it was not used.
        precision: what it computed in: "bfloat16"; "" if it was not used, or the model decides by itself.
    """

    started: str
    wall_s: float
    cpu_s: float
    peak_rss: int
    bytes_read: int
    bytes_written: int
    gpu: str = ""
    gpu_peak: int = 0
    device: str = ""
    precision: str = ""


@dataclass(frozen=True)
class Manifest:
    """A finished unit.

    Attributes:
        key: digest of all that determines the result.
        files: what was published, keys relative to the scene.
        inputs: the digest of every input file, by the unit that made it ("segment/cam01") and its key.
        options: the effective options.
        weights: digest of every model file used.
        code: digest of the code that ran.
        packages: versions of the installed distributions that can change the result.
        found: what the run found, for tables ("people": 2).
        counts: how often each model was run.
        warnings: what the user should know about this result.
        record: what it cost.
    """

    stage: str
    scene: str
    video: str | None
    key: str
    files: tuple[StoredFile, ...]
    inputs: Mapping[str, Mapping[str, str]]
    options: Mapping[str, Any]
    weights: Mapping[str, str]
    code: str
    packages: Mapping[str, str]
    record: RunRecord
    found: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    schema: int = SCHEMA

    def files_of(self, key: str) -> tuple[StoredFile, ...]:
        """The file that `key` names or, if it ends in "/", the files below that folder."""
        match = str.startswith if key.endswith("/") else str.__eq__
        return tuple(file for file in self.files if match(file.key, key))


@dataclass(frozen=True)
class Failure:
    """A unit that could not be finished: what a report says instead of a result."""

    stage: str
    scene: str
    video: str | None
    exit_code: int
    message: str
    when: str


def unit_name(video: str | None) -> str:
    """How manifests, logs and tables call the unit; a stage has units of one kind, so "scene" cannot be mistaken."""
    return video if video is not None else "scene"


def manifest_key(scene: str, stage: str, video: str | None) -> str:
    """Where the manifest of a unit lies."""
    return f"{scene}/{FOLDER}/{stage}/{unit_name(video)}.json"


def failure_key(scene: str, stage: str, video: str | None) -> str:
    """Where the failure of a unit is recorded."""
    return f"{scene}/{FOLDER}/{stage}/failed/{unit_name(video)}.json"


def lock_key(scene: str, stage: str, video: str | None) -> str:
    """The lock file of a unit."""
    return f"{scene}/{FOLDER}/{stage}/{unit_name(video)}.lock"


def ledger_key(scene: str, stage: str, video: str | None) -> str:
    """The note of all files that the unit has ever begun to publish and that may still lie there.

    It is written before they are, so whatever else lies in their place is somebody else's, even after a kill, and even
    if the manifest is gone.
    """
    return f"{scene}/{FOLDER}/{stage}/{unit_name(video)}.files"


def encode_ledger(keys: Collection[str]) -> bytes:
    """The bytes of such a note."""
    return (json.dumps(sorted(keys), indent=0) + "\n").encode()


def read_ledger(storage: Storage, scene: str, stage: str, video: str | None) -> frozenset[str]:
    """The keys in the note of a unit, relative to the scene; none if there is no note, or a torn one."""
    content = storage.read(ledger_key(scene, stage, video))
    try:
        keys = json.loads(content or b"[]")
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else frozenset()


def encode(record: Manifest | Failure) -> bytes:
    """The bytes of a manifest or of a failure."""
    return (json.dumps(asdict(record), indent=1, allow_nan=False, default=_plain) + "\n").encode()


def _plain(value: Any) -> Any:  # noqa: ANN401 - a number of numpy, which is not imported here
    """What a stage reports as found is often counted by numpy; hours of work must not be lost over that."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a record cannot hold a {type(value).__name__}: {value!r}")


def read_manifest(storage: Storage, scene: str, stage: str, video: str | None) -> Manifest | None:
    """The manifest of a unit; None if there is none, or a torn or foreign one, which is the same: not done."""
    content = storage.read(manifest_key(scene, stage, video))
    if content is None:
        return None
    try:
        fields = json.loads(content)
        # The names are part of what it says: in a scene's folder that was copied or renamed nothing is done yet.
        if [fields[name] for name in ("schema", "stage", "scene", "video")] != [SCHEMA, stage, scene, video]:
            return None
        fields["files"] = tuple(StoredFile(**file) for file in fields["files"])
        fields["record"] = RunRecord(**fields["record"])
        fields["warnings"] = tuple(fields["warnings"])
        return Manifest(**fields)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def read_failure(storage: Storage, scene: str, stage: str, video: str | None) -> Failure | None:
    """The recorded failure of a unit, or None."""
    content = storage.read(failure_key(scene, stage, video))
    if content is None:
        return None
    try:
        return Failure(**json.loads(content))
    except (ValueError, TypeError, RecursionError):
        return None


def is_intact(storage: Storage, manifest: Manifest) -> bool:
    """Whether all files of a manifest are there with the size they should have.

    Sizes only: full digests cost a read of everything. They are for downloads, where a wrong body is likelier.
    """
    base = f"{manifest.scene}/"
    folders = {file.key.rpartition("/")[0] for file in manifest.files}
    sizes: dict[str, int] = {}
    for folder in folders:
        sizes.update(storage.sizes(base + folder))
    return all(sizes.get(base + file.key) == file.bytes for file in manifest.files)
