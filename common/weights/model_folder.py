"""Whether a folder holds a model's files, byte for byte, and nothing that a loader could take for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common import fingerprint
from common.errors import from_os_error
from common.weights.hub_lock import HubFile
from common.weights.lock import LockedFile
from common.weights.pins import PINS

FOLDER = "models"
"""The folder of the fetched models below that of the weights; in it one folder per model."""
_READ_BY_LOADERS = (".jinja", ".json", ".model", ".py", ".safetensors", ".txt")
# Found in the folder, an adapter_config.json or a second tokenizer changes what `from_pretrained` makes of the rest.


@dataclass(frozen=True)
class Findings:
    """What is wrong with a model's folder.

    Attributes:
        missing: paths of files that are not there.
        damaged: paths of files that are something else.
        foreign: paths of files that do not belong to the model, and that a loader could read.
    """

    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def are_none(self) -> bool:
        """Whether the folder is as it should be."""
        return not (self.missing or self.damaged or self.foreign)

    def __str__(self) -> str:
        parts = [
            *([f"missing: {', '.join(self.missing)}"] if self.missing else []),
            *([f"damaged: {', '.join(self.damaged)}"] if self.damaged else []),
            *([f"not of this model, move away: {', '.join(self.foreign)}"] if self.foreign else []),
        ]
        return "; ".join(parts)


def inspect(folder: Path, files: Mapping[str, HubFile]) -> Findings:
    """Compares a folder with what has to be in it. Reads every file whose size is right: 3.4 GB take 3 s.

    Raises:
        DiskError, TemporaryFailure: it cannot be read.
    """
    wrong = [path for path, file in files.items() if not matches(folder / path, file)]
    try:
        found = [path for path in folder.rglob("*") if path.suffix in _READ_BY_LOADERS and path.is_file()]
    except OSError as error:
        raise from_os_error(error, place=str(folder)) from error
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    return Findings(
        missing=tuple(path for path in wrong if not (folder / path).exists()),
        damaged=tuple(path for path in wrong if (folder / path).exists()),
        foreign=tuple(name for name in names if name not in files and not f"/{name}".count("/.")),
    )


def matches(candidate: Path, file: HubFile | LockedFile) -> bool:
    """Whether a file is there, with the size and the digest that the lock file, or a pin, gives for it.

    Raises:
        DiskError, TemporaryFailure: it cannot be read.
    """
    try:
        return candidate.stat().st_size == file.size and fingerprint.of_file(candidate) == file.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise from_os_error(error, place=str(candidate)) from error


def way_to_get(name: str, place: str) -> str:
    """What to do about a model that is not there, for messages."""
    return (
        f"Run `ghost weights fetch --model {name}` (`ghost weights for-run`, with the options of the run, fetches all "
        f"that it needs); on a machine without a network {way_to_copy(name, place)}"
    )


def way_to_copy(name: str, place: str) -> str:
    """What to do about a model on a machine that cannot fetch it: the rest of a sentence that speaks of one."""
    return f"copy {FOLDER}/{name} and {PINS} to {place} from one that has fetched them."
