"""sound.npz: what a camera heard, mono, on the clock of its pictures. Only videos with a sound track have it.

`rate` () int32, Hz; `start` () float64, PTS of the first sample in seconds, with the same zero as the PTS of
`frames/time_table.npz`; `gaps` (g, 2) int64, first and end of the runs of samples that are silence because the track
has none there; and the samples in blocks, `samples_000000`, `samples_000001`, ...: int16, so that an hour can be
written in memory that does not grow. Stored, not deflated: noise does not deflate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.artifacts.contract import FREE, Field, check_array, check_header, place, read_fields
from common.artifacts.npy import STORED_LEVEL
from common.artifacts.npz import MAX_ARRAY_BYTES, NpzReader, NpzWriter
from common.errors import BadInput

_BLOCK = "samples_"
_ABOUT = {"rate": Field((), np.int32), "start": Field((), np.float64)}
_GAPS = {"gaps": Field((FREE, 2), np.int64)}
_RATES = range(1_000, 400_000)  # Hz


@dataclass(frozen=True, eq=False)
class Sound:
    """What a camera heard; at least one sample.

    Attributes:
        samples: (n,) int16, full scale 32768; silence in the gaps.
        rate: samples per second.
        start: PTS of the first sample, seconds on the video's clock; may be negative.
        gaps: (g, 2) int64, first and end of runs of samples that were not recorded; ascending, apart.
    """

    samples: npt.NDArray[np.int16]
    rate: int
    start: float
    gaps: npt.NDArray[np.int64]

    @property
    def end(self) -> float:
        """PTS at which the sound is over, seconds on the video's clock."""
        return self.start + len(self.samples) / self.rate


class SoundWriter:
    """Writes the artifact block by block; its `with` block finishes the file or, on an error, leaves it unreadable."""

    def __init__(self, path: Path) -> None:
        """Opens `path` for writing; what was there is lost."""
        self._where = place("sound", path)
        self._archive = NpzWriter(path, level=STORED_LEVEL)
        self._blocks = 0
        self.length = 0

    def __enter__(self) -> SoundWriter:
        self._archive.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.__exit__(*exception)  # type: ignore[arg-type]  # what `with` passes

    def write(self, samples: npt.NDArray[np.int16]) -> None:
        """Appends (n,) int16 samples.

        Raises:
            BadInput: another shape or dtype.
            OSError: the disk refuses.
        """
        check_array(f"{self._where}: samples", samples, (FREE,), np.int16)
        self._archive.write(f"{_BLOCK}{self._blocks:06d}", samples)
        self._blocks += 1
        self.length += len(samples)

    def describe(self, *, rate: int, start: float, gaps: Iterable[tuple[int, int]]) -> None:
        """Says what the samples are; once, after the last block. See Sound for the arguments.

        Raises:
            BadInput: a rate, a start or gaps that cannot be.
            OSError: the disk refuses.
        """
        runs = np.array(list(gaps), np.int64).reshape(-1, 2)
        _check(self._where, self.length, rate, start, runs)
        self._archive.write("rate", np.array(rate, np.int32))
        self._archive.write("start", np.array(start, np.float64))
        self._archive.write("gaps", runs)


def save(path: Path, sound: Sound) -> None:
    """Writes a sound that is in memory as one block; errors as in SoundWriter."""
    with SoundWriter(path) as writer:
        writer.write(sound.samples)
        writer.describe(rate=sound.rate, start=sound.start, gaps=[(int(a), int(b)) for a, b in sound.gaps])


def load(path: Path) -> Sound:
    """Reads and checks the artifact.

    Raises:
        BadInput: the field that breaks the contract, expected and actual; more than 1 GiB of samples.
        OSError: the file cannot be read.
    """
    where = place("sound", path)
    with NpzReader(path) as reader:
        about = read_fields(reader, where, _ABOUT)
        gaps = read_fields(reader, where, _GAPS)["gaps"]
        rate, start = int(about["rate"]), float(about["start"])
        names = sorted(name for name in reader.names if name.startswith(_BLOCK))
        lengths = []
        for position, name in enumerate(names):
            if name != f"{_BLOCK}{position:06d}":
                raise BadInput(f"{where}: {_BLOCK}{position:06d}: expected (n,) int16, but it is missing")
            shape, dtype = reader.header(name)
            check_header(f"{where}: {name}", shape, dtype, shape=(FREE,), dtype=np.int16)
            lengths.append(shape[0])
        _check(where, sum(lengths), rate, start, gaps)
        samples = np.empty(sum(lengths), np.int16)
        end = np.cumsum(lengths)
        for name, length, stop in zip(names, lengths, end.tolist(), strict=True):
            samples[stop - length : stop] = reader.read(name)
    return Sound(samples, rate, start, gaps)


def validate(path: Path) -> None:
    """Checks the whole artifact; errors as in `load`."""
    load(path)


def _check(where: str, length: int, rate: int, start: float, gaps: npt.NDArray[np.int64]) -> None:
    if not 1 <= length <= MAX_ARRAY_BYTES // 2:
        raise BadInput(f"{where}: samples: expected 1 to {MAX_ARRAY_BYTES // 2}, got {length}")
    if rate not in _RATES:
        raise BadInput(f"{where}: rate: expected {_RATES.start} to {_RATES.stop - 1} Hz, got {rate}")
    if not np.isfinite(start):
        raise BadInput(f"{where}: start: expected seconds, got {start}")
    edges = gaps.reshape(-1)
    if edges.size and (edges[0] < 0 or edges[-1] > length or (np.diff(edges) <= 0).any()):
        raise BadInput(f"{where}: gaps: expected runs in ascending order within {length} samples, got {gaps.tolist()}")
