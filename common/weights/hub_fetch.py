"""Brings models of the Hub to disk: ask what they are, compare with the pins, download, verify, publish, pin.

What the Hub states is compared with the pins before anything is downloaded; what came is compared before it gets its
name. So a file appears complete and verified, or not at all. A file that is there already is not downloaded again,
wherever it came from.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.errors import ModelUnavailable, from_os_error
from common.storage.local import write_atomically
from common.weights import hub
from common.weights.exclusive import exclusively
from common.weights.hub_lock import HubModel
from common.weights.hub_version import Version
from common.weights.model_folder import FOLDER, inspect, way_to_copy
from common.weights.pins import PINS, Pin, pin_of, read_pins, record_of, render

_LOG = logging.getLogger("ghost.weights")


def fetch_models(models: Sequence[HubModel], root: Path) -> list[Path]:
    """Makes sure that models lie below `root`, verified, and that all their files are pinned.

    Returns:
        The folder of every model.

    Raises:
        ModelUnavailable: no access, offline, or the Hub has something else than what is pinned.
        TemporaryFailure: the network failed, or a file came damaged.
        ConfigurationError: what $HF_ENDPOINT names is no Hub.
        DiskError: the folder cannot be written, or is full.
    """
    try:
        for model in models:
            _fetch_model(model, root)
    except OSError as error:
        raise from_os_error(error, place=str(root)) from error
    return [root / FOLDER / model.name for model in models]


def _fetch_model(model: HubModel, root: Path) -> None:
    folder = root / FOLDER / model.name
    pin = pin_of(model, read_pins(root))
    if pin is not None and inspect(folder, pin.files).are_none:
        return
    with exclusively(root):
        # Another process may have been first while this one waited.
        recorded = read_pins(root)
        pin = bring(model, recorded, folder, attempts=root)
        if not model.is_pinned and recorded.get(model.name) != pin:
            write_atomically(root / PINS, render({**recorded, model.name: pin}))
            _LOG.info("%s: revision and digests are recorded in %s", model.name, root / PINS)


def bring(model: HubModel, recorded: Mapping[str, Pin], folder: Path, *, attempts: Path) -> Pin:
    """Makes sure that `folder` holds a model.

    Args:
        model: which.
        recorded: what earlier fetches have pinned.
        folder: the model's own; created if need be.
        attempts: a folder on the same file system, for downloads.

    Returns:
        What the folder's files now are, and from now on have to be.

    Raises:
        As `fetch_models`.
    """
    pin = pin_of(model, recorded)
    if pin is not None and inspect(folder, pin.files).are_none:
        return pin
    if hub.forbidden_by():
        raise ModelUnavailable(_offline(model, pin, folder))
    record = record_of(model, recorded)
    revision = model.revision or (record.revision if record else None)
    commit, stated = hub.describe(model, revision)
    if revision not in (None, commit):
        raise ModelUnavailable(f"{model}: the Hub answers with revision {commit}, which was not asked for. Report it.")
    version = Version(model, commit, record, stated)
    version.check_statements()
    found = version.download(folder, attempts)
    remaining = inspect(folder, found)
    if not remaining.are_none:
        raise ModelUnavailable(f"{folder}: {remaining}. Then run again.")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return pin or Pin(model.repository, commit, record.recorded if record else today, found)


def _offline(model: HubModel, pin: Pin | None, folder: Path) -> str:
    if pin is None:
        problem = f"not all of its files are pinned, so no copy can be trusted without {PINS}"
    else:
        problem = str(inspect(folder, pin.files))
    return (
        f"{model.name} at {folder}: {problem}. The environment forbids to ask the Hub: unset {hub.forbidden_by()} and "
        f"run again; on a machine without a network {way_to_copy(folder.name, str(folder.parent.parent))}"
    )
