"""What a long unit has done so far, kept where results go, so that a killed job does not start from the beginning.

A checkpoint is an npz below ``<scene>/_partial/<stage>/<unit>/<key>/``. The key is the one that the result would have:
it is made of code, options, inputs and weights, so whatever lies under another one belongs to another result and is
removed. A checkpoint is no result: no manifest lists it, and it goes once the unit is published.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from common.errors import GhostError, Terminated
from common.manifest import unit_name
from common.storage.interface import Storage

if TYPE_CHECKING:
    import numpy.typing as npt

FOLDER = "_partial"
_LOG = logging.getLogger("ghost")
_KEY_LENGTH = 16  # hexadecimal digits: 64 bits tell the few keys of a unit apart
_DIGEST_BYTES = hashlib.sha256().digest_size
_NAME = re.compile(r"[A-Za-z0-9_]+")


class Checkpoints:
    """The numbered checkpoints of one unit. Asks the storage nothing until it is used."""

    def __init__(self, storage: Storage, scene: str, stage: str, video: str | None, key: str) -> None:
        """Remembers whose they are.

        Args:
            storage: where results go.
            scene: name of the scene.
            stage: name of the stage.
            video: id of the video, None in a stage that covers a scene.
            key: of the result that is being made.
        """
        self._storage = storage
        self._unit = _unit_folder(scene, stage, video)
        self._key = key
        self._is_clean = False

    def load(self, index: int) -> dict[str, npt.NDArray[Any]] | None:
        """The arrays of a checkpoint, or None.

        None, too, if it is damaged or somebody else's: what it held has to be computed again, and that is all.

        Args:
            index: which, from 0.

        Raises:
            GhostError: the storage does not answer.
        """
        self._remove_others()
        content = self._storage.read(self._place(index))
        if content is None:
            return None
        arrays = _unpack(content, self._about(index))
        if arrays is None:
            _LOG.warning("%s: not a whole checkpoint of this run; its work is done again", self._place(index))
        return arrays

    def save(self, index: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keeps arrays; replaces what there was, as a whole.

        Args:
            index: which, from 0.
            arrays: by names of letters, digits and underscores; numbers or text, no objects.

        Raises:
            ValueError: a name that cannot be kept.
            GhostError: the storage refuses.
        """
        self._remove_others()
        self._storage.write(self._place(index), _pack(arrays, self._about(index)))

    def _place(self, index: int) -> str:
        return f"{self._unit}{self._key[:_KEY_LENGTH]}/{index:06d}.npz"

    def _about(self, index: int) -> str:
        return f"{self._unit}{self._key}/{index}"

    def _remove_others(self) -> None:
        """Removes what attempts have left that would have made another result; once, and before anything is kept."""
        if not self._is_clean:
            own = f"{self._unit}{self._key[:_KEY_LENGTH]}/"
            for folder in self._storage.list(self._unit):
                if folder != own:
                    self._remove(folder)
            self._is_clean = True

    def _remove(self, folder: str) -> None:
        try:
            self._storage.remove_folder(folder.rstrip("/"))
        except Terminated:
            raise
        except GhostError as error:  # whose attempt may be alive and write at this moment; it does no harm
            _LOG.debug("%s could not be removed: %s", folder, error)


def discard(storage: Storage, scene: str, stage: str, video: str | None) -> None:
    """Removes all checkpoints of a unit; there need not be any."""
    folder = _unit_folder(scene, stage, video)
    if storage.list(folder):
        storage.remove_folder(folder.rstrip("/"))


def _unit_folder(scene: str, stage: str, video: str | None) -> str:
    return f"{scene}/{FOLDER}/{stage}/{unit_name(video)}/"


def _pack(arrays: Mapping[str, npt.NDArray[Any]], about: str) -> bytes:
    """An npz of these arrays with a digest behind it, which readers of zip archives pass over."""
    import numpy as np  # not for those who only look whether there are any

    for name, array in arrays.items():
        if not _NAME.fullmatch(name) or array.dtype.hasobject:
            raise ValueError(f"{name} ({array.dtype}) cannot be kept in a checkpoint")
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    digest = _digest(content.getbuffer(), about)
    content.write(digest)
    return content.getvalue()


def _unpack(content: bytes, about: str) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays of such bytes; None if they are not the very bytes that were kept about this."""
    import numpy as np

    payload, digest = memoryview(content)[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if _digest(payload, about) != digest:
        return None
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _digest(payload: memoryview, about: str) -> bytes:
    """sha256 over whose checkpoint it is and what it holds."""
    digest = hashlib.sha256(f"{about}\n".encode())
    digest.update(payload)
    return digest.digest()
