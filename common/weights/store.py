"""Where the models lie, and whether they are what they are pinned to: a folder, or s3://bucket/prefix.

A file is hashed each time it is asked for: 28 MB take 25 ms, 3.4 GB take 3 s, less than loading the model, and no note
about an earlier check has to be believed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from common import fingerprint
from common.errors import BadInput, ConfigurationError, ModelUnavailable, UsageError
from common.storage.interface import Storage, StoredFile
from common.storage.open import open_storage
from common.weights.hub_lock import HubFile, HubModel, OptionalFile
from common.weights.lock import LockedFile, weights_lock
from common.weights.model_folder import FOLDER, inspect, matches, way_to_get
from common.weights.pins import PINS, Pin, parse, pin_of, read_pins

VARIABLE = "GHOST_WEIGHTS"  # --weights sets it for a process and its children
ABSENT = "absent"
"""The digest of an optional file that is not there."""


def remote() -> Storage | None:
    """Where the weights are if $GHOST_WEIGHTS names no folder of this machine."""
    chosen = os.environ.get(VARIABLE, "")
    return open_storage(chosen) if "://" in chosen else None


def root() -> Path:
    """The folder of the fetched weights: $GHOST_WEIGHTS, else ghost/weights in the user's cache folder.

    Raises:
        ConfigurationError: there is no home folder, as for a user id that a container does not know.
    """
    chosen = os.environ.get(VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        return (Path(cache) if cache else Path.home() / ".cache") / "ghost" / "weights"
    except RuntimeError as error:
        raise ConfigurationError(
            f"the folder of the weights: {error} Set {VARIABLE} to a folder that holds them, or may hold them."
        ) from error


def path(name: str) -> Path:
    """The verified file of a model: of one that a registry has, or of one of the Hub that is a single file.

    Raises:
        ModelUnavailable: it was not fetched, or is damaged.
        UsageError: the lock file has no such model of that name.
        TemporaryFailure, ConfigurationError: the place where the weights are did not answer.
    """
    file, elsewhere = weights_lock().find(name), remote()
    if isinstance(file, HubModel) and len(file.files) == 1:
        return folder(name) / next(iter(file.files))
    if not isinstance(file, LockedFile):
        raise UsageError(f"{name} is not a single file that is fetched: ask for its folder, or find it.")
    if elsewhere is None:
        found: Path | None = root() / file.file
        place = str(found)
    else:
        found = elsewhere.localize(file.file) if elsewhere.size(file.file) is not None else None
        place = f"{elsewhere.uri}/{file.file}"
    if found is None or not matches(found, file):
        state = "is damaged" if found is not None and found.exists() else "is missing"
        advice = f"Run `ghost weights fetch --backend {file.backends[0]}`."
        raise ModelUnavailable(f"the weights of {name} at {place}: the file {state}. {advice}")
    return found


def folder(name: str) -> Path:
    """The verified folder of a model of the Hugging Face Hub, in the layout of its repository.

    Raises:
        ModelUnavailable: it was not fetched, is damaged, or holds files that would change what is loaded from it.
        UsageError: the lock file has no model of that name.
        TemporaryFailure, ConfigurationError: the place where the weights are did not answer.
    """
    model, elsewhere = _model(name), remote()
    pin = _pin_of(model, elsewhere)
    if elsewhere is not None:
        return _localized(model, pin, elsewhere)
    found = root() / FOLDER / model.name
    findings = inspect(found, pin.files)
    if not findings.are_none:
        raise ModelUnavailable(f"the model {name} at {found}: {findings}. {way_to_get(model.name, str(root()))}")
    return found


def find(name: str) -> Path | None:
    """An optional file, if the user has put it there; nobody can tell whether it is the right one.

    Raises:
        UsageError: the lock file has no optional file of that name.
        TemporaryFailure, ConfigurationError: the place where the weights are did not answer.
    """
    file, elsewhere = weights_lock().find(name), remote()
    if not isinstance(file, OptionalFile):
        raise UsageError(f"{name} is not an optional file.")
    if elsewhere is not None:
        return elsewhere.localize(file.file) if elsewhere.size(file.file) is not None else None
    found = root() / file.file
    return found if found.is_file() else None


def digest(name: str) -> str:
    """What identifies a model in keys of results, the same on every machine.

    Of a file its sha256 in the lock file, of a model of the Hub a digest over those of its files: nothing is read from
    the disk but what was pinned, and what differs from that is never handed out. An optional file is read.

    Raises:
        ModelUnavailable: a model of the Hub whose files are not all pinned yet.
        UsageError: the lock file has no such name.
        TemporaryFailure, ConfigurationError: the place where the weights are did not answer.
    """
    entry = weights_lock().find(name)
    if isinstance(entry, LockedFile):
        return entry.sha256
    if isinstance(entry, HubModel):
        return _pin_of(entry, remote()).digest
    found = find(name)
    return ABSENT if found is None else fingerprint.of_file(found)


def recorded_pins(elsewhere: Storage | None) -> dict[str, Pin]:
    """What earlier fetches have recorded where the weights are. Raises BadInput if that cannot be understood."""
    if elsewhere is not None:
        return parse(elsewhere.read(PINS), f"{elsewhere.uri}/{PINS}")
    return read_pins(root())


def is_verified(file: LockedFile, folder: Path) -> bool:
    """Whether the file lies below `folder` with the size and the digest of the lock file."""
    return matches(folder / file.file, file)


def stored_files(model: str, files: Mapping[str, HubFile]) -> list[StoredFile]:
    """A model's files as a storage lists them: keys relative to the folder of all models."""
    return [StoredFile(f"{model}/{path}", file.size, file.sha256) for path, file in files.items()]


def stored_sizes(model: str, files: Mapping[str, HubFile], elsewhere: Storage) -> dict[str, int]:
    """Bytes of those of a model's files that a storage has, by path."""
    base = f"{FOLDER}/{model}/"
    folders = {f"{base}{path}".rpartition("/")[0] for path in files}
    sizes = {key[len(base) :]: size for one in folders for key, size in elsewhere.sizes(one).items()}
    return {path: size for path, size in sizes.items() if path in files}


def _model(name: str) -> HubModel:
    model = weights_lock().find(name)
    if not isinstance(model, HubModel):
        raise UsageError(f"{name} is not a model of the Hugging Face Hub: it has no folder.")
    return model


def _pin_of(model: HubModel, elsewhere: Storage | None) -> Pin:
    pin = pin_of(model, {} if model.is_pinned else recorded_pins(elsewhere))
    if pin is None:
        place = str(root()) if elsewhere is None else elsewhere.uri
        raise ModelUnavailable(
            f"the model {model.name} was not fetched yet, or {PINS} is not in {place}. {way_to_get(model.name, place)}"
        )
    return pin


def _localized(model: HubModel, pin: Pin, elsewhere: Storage) -> Path:
    place = f"{elsewhere.uri}/{FOLDER}/{model.name}"
    sizes = stored_sizes(model.name, pin.files, elsewhere)
    wrong = [path for path, file in pin.files.items() if sizes.get(path) != file.size]
    if wrong:
        problem = f"missing or damaged: {', '.join(wrong)}"
        raise ModelUnavailable(f"the model {model.name} at {place}: {problem}. {way_to_get(model.name, elsewhere.uri)}")
    try:
        return elsewhere.localize(f"{FOLDER}/{model.name}/", stored_files(model.name, pin.files))
    except BadInput as error:
        raise ModelUnavailable(f"the model {model.name}: {error} {way_to_get(model.name, elsewhere.uri)}") from error
