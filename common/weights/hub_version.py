"""One commit of a model's repository: what the Hub states of it against what is pinned, and its files verified."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import DiskError, ModelUnavailable, TemporaryFailure
from common.storage.local import sync_folder
from common.storage.transfer_log import TransferLog
from common.weights import hub
from common.weights.exclusive import ATTEMPT
from common.weights.hub import Stated
from common.weights.hub_lock import HubFile, HubModel
from common.weights.model_folder import matches
from common.weights.pins import PINS, Pin

_LOG = logging.getLogger("ghost.weights")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Version:
    """One commit of a model's repository.

    Attributes:
        model: the model.
        commit: the commit.
        record: what earlier fetches have recorded of it, if anything.
        stated: what the Hub states of its files.
    """

    model: HubModel
    commit: str
    record: Pin | None
    stated: Mapping[str, Stated]

    def pinned(self, path: str) -> HubFile | None:
        """What a file has to be, if that is known."""
        return self.model.files[path] or (self.record.files.get(path) if self.record else None)

    def check_statements(self) -> None:
        """Raises ModelUnavailable if a file is not there, or is stated to be something else than what is pinned."""
        for path in self.model.files:
            stated, file = self.stated.get(path), self.pinned(path)
            if stated is None:
                raise ModelUnavailable(self.contradiction(path, "is not there at the Hub"))
            if file is not None and stated.size != file.size:
                raise ModelUnavailable(self.contradiction(path, f"has {stated.size} bytes at the Hub, not {file.size}"))
            if file is not None and stated.sha256 not in (None, file.sha256):
                raise ModelUnavailable(self.contradiction(path, _differing(str(stated.sha256), file)))

    def download(self, folder: Path, attempts: Path) -> dict[str, HubFile]:
        """Gets those files that are not there yet; returns what all of them are."""
        found = {path: file for path in self.model.files if (file := self.present(folder / path, path)) is not None}
        wanted = [path for path in self.model.files if path not in found]
        total, free = sum(self.stated[path].size for path in wanted), shutil.disk_usage(attempts).free
        if total > free:
            raise DiskError(
                f"{attempts}: {self.model.name} needs {total / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free. "
                "Free some, or choose another folder with --weights, then run again."
            )
        if wanted:
            _LOG.info("fetching %s (%.0f MB, files: %d)", self.model, total / 1e6, len(wanted))
        progress = TransferLog(f"downloading {self.model.name}", total=total)
        with tempfile.TemporaryDirectory(dir=attempts, prefix=ATTEMPT) as attempt:
            for path in wanted:
                received = hub.download(self.model, self.commit, path, Path(attempt), progress=progress)
                found[path] = self.verified(received, path)
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                received.replace(target)
                sync_folder(target.parent)
                _LOG.info("%s: verified", target)
        return {path: found[path] for path in self.model.files}

    def present(self, candidate: Path, path: str) -> HubFile | None:
        """What a file is that is there already; None if it is not there, or not what it has to be."""
        pinned, stated = self.pinned(path), self.stated[path]
        if pinned is not None:
            return pinned if matches(candidate, pinned) else None
        if not candidate.is_file() or candidate.stat().st_size != stated.size:
            return None
        sha256, blob = _digests(candidate)
        return HubFile(stated.size, sha256) if stated.is_of(sha256, blob) else None

    def verified(self, received: Path, path: str) -> HubFile:
        """What came; refused if it is not what it has to be."""
        size, (sha256, blob) = received.stat().st_size, _digests(received)
        if size != self.stated[path].size or not self.stated[path].is_of(sha256, blob):
            raise TemporaryFailure(
                f"{self.model}: {path} came damaged: {size} bytes with sha256 {sha256[:16]}…, which is not what "
                "the Hub states. Nothing of it was used. Run again."
            )
        pinned = self.pinned(path)
        if pinned is not None and pinned.sha256 != sha256:
            raise ModelUnavailable(self.contradiction(path, _differing(sha256, pinned)))
        return HubFile(size, sha256)

    def contradiction(self, path: str, problem: str) -> str:
        """What to say and advise when the Hub has something else than what is pinned."""
        if self.record is None or self.model.files[path] is not None:
            origin, way_out = "pinned by ghost", "Report it. A copy of the folder from a machine that has it will do."
        else:
            origin = self.record.origin
            way_out = (
                f"Copy the folder from a machine that has it; or, if the change is known and wanted, remove "
                f"{self.model.name} from {PINS} and fetch again: results will then be made anew."
            )
        where = f"{self.model.repository} at {self.commit[:12]}"
        return f"{where}: {path} {problem} ({origin}). Nothing of it is used. {way_out}"


def _digests(path: Path) -> tuple[str, str]:
    """sha256 of a file, and git's identity of it."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def _differing(found: str, file: HubFile) -> str:
    return f"has sha256 {found[:16]}… at the Hub, not {file.sha256[:16]}…"
