"""What a model's files have to be: from the lock file and, for files that it does not pin, from the first fetch.

The first fetch records revision, sizes and digests of what it got in pins.json beside the models. From then on every
fetch and every use has to agree with it, on this machine and on every other that pins.json is copied to. What the lock
file says stands above it: a record of another revision than the lock file's counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from common import fingerprint
from common.errors import BadInput, from_os_error
from common.weights.hub_lock import HubFile, HubModel, read_file, read_revision, write_file

PINS = "pins.json"
"""The record's name, in the folder of the weights."""
_FORMAT = 1


@dataclass(frozen=True)
class Pin:
    """One version of a model.

    Attributes:
        repository: "owner/name" at the Hub.
        revision: the commit.
        recorded: the day of the first fetch, "2026-11-21"; "" where all is in the lock file.
        files: path in the repository -> what it has to be.
    """

    repository: str
    revision: str
    recorded: str
    files: Mapping[str, HubFile]

    @property
    def digest(self) -> str:
        """What identifies the content, wherever it came from: sha256 over the names and digests of the files."""
        return fingerprint.of_value({path: file.sha256 for path, file in self.files.items()})

    @property
    def origin(self) -> str:
        """Who pinned it, for messages."""
        return f"pinned here on {self.recorded}" if self.recorded else "pinned by ghost"


def record_of(model: HubModel, recorded: Mapping[str, Pin]) -> Pin | None:
    """What was recorded of a model, unless the lock file has moved on to another revision or repository."""
    pin = recorded.get(model.name)
    if pin is None or pin.repository != model.repository or model.revision not in (None, pin.revision):
        return None
    return pin


def pin_of(model: HubModel, recorded: Mapping[str, Pin]) -> Pin | None:
    """What a model has to be; None if neither the lock file nor the record says it of all files."""
    record = record_of(model, recorded)
    files = {path: file or (record.files.get(path) if record else None) for path, file in model.files.items()}
    known = {path: file for path, file in files.items() if file is not None}
    if len(known) < len(files):
        return None
    if model.is_pinned:
        return Pin(model.repository, str(model.revision), "", known)
    return None if record is None else Pin(model.repository, record.revision, record.recorded, known)


def with_pin(model: HubModel, pin: Pin) -> HubModel:
    """The model as the lock file would have it with this pin in it."""
    return replace(model, revision=pin.revision, files=pin.files)


def parse(content: bytes | None, place: str) -> dict[str, Pin]:
    """The pins by name of the model; none if there is no record yet.

    Raises:
        BadInput: this is not a record of pins; names its place.
    """
    if content is None:
        return {}
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            raise ValueError(f"format {document['format']!r} instead of {_FORMAT}")
        return {name: _read_pin(name, entry) for name, entry in document["models"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(
            f"{place}: not a record of pinned models: {reason}. Put back a copy of it; if there is none, remove it and "
            "fetch the models again."
        ) from error


def read_pins(root: Path) -> dict[str, Pin]:
    """What is recorded in a folder of weights.

    Raises:
        BadInput: as `parse`.
        DiskError: it cannot be read.
    """
    path = root / PINS
    try:
        return parse(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise from_os_error(error, place=str(path)) from error


def render(pins: Mapping[str, Pin]) -> bytes:
    """The content of the record."""
    models = {
        name: {
            "repository": pin.repository,
            "revision": pin.revision,
            "recorded": pin.recorded,
            "files": {path: write_file(file) for path, file in sorted(pin.files.items())},
        }
        for name, pin in sorted(pins.items())
    }
    return (json.dumps({"format": _FORMAT, "models": models}, indent=2) + "\n").encode()


def _read_pin(name: str, entry: Mapping[str, object]) -> Pin:
    content: dict[str, object] = {"repository": "", "recorded": "", **entry}
    files = entry["files"]
    if not isinstance(files, dict):
        raise TypeError(f"model {name}: files {files!r}")
    pins = {path: read_file(file, f"model {name}: {path}") for path, file in files.items()}
    return Pin(
        repository=str(content["repository"]),
        revision=read_revision(str(entry["revision"]), f"model {name}"),
        recorded=str(content["recorded"]),
        files={path: pin for path, pin in pins.items() if pin is not None},
    )
