"""Sound as evidence, on simulated rooms: `python -m benchmarks.sync.audio [--quick]`.

Every scene is a room of 8 m with people who talk, clap and walk about, reverberation of 0.2 to 0.6 s and cameras
anywhere in it, whose microphones differ: noise, hum, gain (some clip), a lag of -5 to 15 ms against the pictures, one
muted for a while. Seeds differ from those that constants were chosen on.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, report
from benchmarks.simulation.sound import ROOM, Camera, record, true_offset, walker
from stages.sync.audio import audio_clue
from stages.sync.clues import Clue
from stages.sync.hearing import Heard, hear

RATE = 30.0  # Hz of the grid
MAX_OFFSET = 60.0  # s
WRONG = 0.1  # s: three frames of 30 fps, as for motion
SURE = 5.0
MODERATE, POOR = 0.1, 0.6  # rms of microphone noise, sources having 1 at a metre and about 0.25 where cameras stand
CAMERAS = 4
SEED = 20_000
ROOT = Path(__file__).resolve().parents[2]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Room:
    """One simulated scene."""

    cameras: tuple[Camera, ...]
    heard: tuple[Heard, ...]


def figures(quick: bool) -> list[Figure]:
    """Accuracy, honesty and cost of sound as evidence; `quick` simulates fewer rooms of the same kinds."""
    rooms = 5 if quick else 20
    result = []
    strangers: list[Room] = []
    coverage, total = 0, 0
    for name, noise in (("moderate noise", MODERATE), ("poor noise", POOR)):
        scenes = [make_room(SEED + 1000 * round(10 * noise) + k, noise=noise) for k in range(rooms)]
        strangers += scenes
        pairs = list(_pairs(scenes))
        sure = [(error, clue) for error, clue in pairs if clue is not None and clue.z >= SURE]
        errors = np.array([abs(error) for error, _ in sure])
        right = errors[errors <= WRONG]
        covered = [abs(error) <= 1.96 * clue.deviation for error, clue in sure if abs(error) <= WRONG]
        coverage, total = coverage + sum(covered), total + len(covered)
        median, p95 = (1e3 * float(np.quantile(right, q)) if len(right) else np.inf for q in (0.5, 0.95))
        asked = (10, 30) if noise == MODERATE else (15, 40)
        result += [
            _at_most(f"sound, {name}: median error, {len(sure)} pairs", median, asked[0], "ms"),
            _at_most(f"sound, {name}: 95 % of errors below", p95, asked[1], "ms"),
            _at_least(
                f"sound, {name}: pairs with z >= 5", 100 * len(sure) / len(pairs), 95 if noise == MODERATE else 60
            ),
            _at_most(f"sound, {name}: wrong among them", 100 * float(np.mean(errors > WRONG)), 0.5, "%"),
        ]
    share = 100 * coverage / max(total, 1)
    result.append(Figure("sound: 95 % intervals that hold the truth", "90-98 %", f"{share:.1f} %", 90 <= share <= 98))
    result.append(_strangers(strangers, limit=200 if quick else 800))
    result.append(_music(4 if quick else 10))
    return [*result, *_long(1 if quick else 4), _memory()]


def make_room(
    seed: int,
    *,
    noise: float,
    seconds: float = 60.0,
    cameras: int = CAMERAS,
    ppm: float = 50.0,
    kinds: tuple[str, ...] = (),
) -> Room:
    """A room with a random choice of sources (or these) and cameras that start within 15 s of each other."""
    generator = np.random.default_rng(seed)
    chosen = kinds or (
        "speech",
        *generator.choice(["speech", "claps", "steps"], generator.integers(0, 3), replace=False),
    )
    sources = [walker(kind, seconds + 20, generator) for kind in chosen]
    muted = int(generator.integers(0, 2 * cameras))
    reverberation = generator.uniform(0.2, 0.6)
    placed = tuple(
        Camera(
            place=(generator.uniform(0, ROOM), generator.uniform(0, ROOM)),
            start=generator.uniform(1, 16),
            rate=1 + 1e-6 * generator.uniform(-ppm, ppm),
            length=seconds * generator.uniform(0.7, 1),
            noise=noise,
            reverberation=reverberation,
            lag=generator.uniform(-0.005, 0.015),
            first=generator.choice([0.0, -0.02, 1.5]),
            band=(generator.uniform(60, 200), generator.uniform(4000, 7500)),
            hum=generator.choice([0.0, 0.1]),
            gain=generator.choice([0.05, 0.3, 1.5]),
            muted=((10.0, 10.0 + seconds / 4),) if k == muted else (),
        )
        for k in range(cameras)
    )
    return Room(placed, tuple(hear(record(sources, camera, generator)) for camera in placed))


def _pairs(rooms: list[Room]) -> Iterator[tuple[float, Clue | None]]:
    """Error in seconds, and clue, of all pairs of cameras in a room."""
    for room in rooms:
        for i, j in itertools.combinations(range(len(room.cameras)), 2):
            clue = audio_clue("a", room.heard[i], "b", room.heard[j], rate=RATE, max_offset=MAX_OFFSET)
            truth = np.nan if clue is None else true_offset(room.cameras[i], room.cameras[j], clue.moment)
            yield (np.nan if clue is None else clue.offset - truth), clue


def _strangers(rooms: list[Room], *, limit: int) -> Figure:
    """How often two cameras of different rooms are said to belong together."""
    pairs = [
        (x, y) for first, second in itertools.combinations(rooms, 2) for x in first.heard[:2] for y in second.heard[:2]
    ]
    chosen = [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, min(limit, len(pairs))).astype(int))]
    clues = [audio_clue("a", x, "b", y, rate=RATE, max_offset=MAX_OFFSET) for x, y in chosen]
    accepted = sum(clue is not None and clue.z >= SURE for clue in clues)
    return _at_most(
        f"sound: cameras of different rooms with z >= 5, {len(chosen)} pairs", 100 * accepted / len(chosen), 0.5, "%"
    )


def _music(rooms: int) -> Figure:
    """How often a machine's beat, the same every two seconds, is placed at a wrong bar."""
    scenes = [make_room(SEED + 500 + k, noise=MODERATE, kinds=("music",), cameras=3) for k in range(rooms)]
    pairs = list(_pairs(scenes))
    wrong = sum(clue is not None and clue.z >= SURE and abs(error) > WRONG for error, clue in pairs)
    return _at_most(f"sound: wrong bar of a machine's music with z >= 5, {len(pairs)} pairs", wrong, 0, "pairs")


def _long(scenes: int) -> list[Figure]:
    """Clock rates within 1000 ppm, and cost, of recordings of ten minutes."""
    errors: list[float] = []
    deviations: list[float] = []
    offsets: list[float] = []
    cpu: list[float] = []
    for k in range(scenes):
        room = make_room(SEED + 700 + k, noise=MODERATE, seconds=850.0, cameras=2, ppm=1000.0)
        begin = time.process_time()
        heard = [hear(one.sound) for one in room.heard]
        clue = audio_clue("a", heard[0], "b", heard[1], rate=RATE, max_offset=MAX_OFFSET)
        cpu.append((time.process_time() - begin) * 600 / (850 * 0.85))
        if clue is not None and clue.rate is not None and clue.rate_deviation is not None:
            truth = room.cameras[1].rate / room.cameras[0].rate
            errors.append(1e6 * abs(clue.rate - truth))
            deviations.append(1e6 * clue.rate_deviation)
            offsets.append(abs(clue.offset - true_offset(room.cameras[0], room.cameras[1], clue.moment)))
    worst = max(errors, default=np.inf)
    said = f" (deviation said: {np.median(deviations):.0f})" if deviations else ""
    return [
        _at_least("sound, 10 minutes, clocks +-1000 ppm: rate found", 100 * len(errors) / scenes, 90),
        _at_most(f"sound, 10 minutes: largest rate error{said}", worst, 40, "ppm"),
        _at_most("sound, 10 minutes: largest error", 1e3 * max(offsets, default=np.inf), 40, "ms"),
        _at_most("sound, 10 minutes: CPU for a pair", float(np.median(cpu)), 5, "s"),
    ]


# VmHWM, because getrusage gives a child what its parent had.
_HOUR = """
import numpy as np, pathlib, re
from common.artifacts.sound import Sound
from stages.sync.audio import audio_clue
from stages.sync.hearing import hear
loud = 3000 * np.random.default_rng(1).uniform(0, 1, 7300) ** 4
def sound(shift):
    samples = np.empty((3600, 16000), np.int16)
    for second, row in enumerate(samples, shift):
        row[:] = np.random.default_rng(second).normal(0, loud[second], 16000)
    return Sound(samples.reshape(-1), 16000, 0.0, np.zeros((0, 2), np.int64))
clue = audio_clue("a", hear(sound(0)), "b", hear(sound(7)), rate=30.0, max_offset=60.0)
assert clue is not None and abs(clue.offset - 7) < 0.01 and clue.z > 5, clue
print(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
"""


def _memory() -> Figure:
    """Peak of a process that compares two recordings of an hour, its imports included."""
    command = [sys.executable, "-c", _HOUR]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout) / 1024
    return _at_most("sound, an hour: peak memory of a pair", peak, 1024, "MiB")


def _at_most(name: str, value: float, asked: float, unit: str) -> Figure:
    return Figure(name, f"<= {asked:g} {unit}", f"{value:.1f} {unit}", value <= asked)


def _at_least(name: str, value: float, asked: float) -> Figure:
    return Figure(name, f">= {asked:g} %", f"{value:.1f} %", value >= asked)


if __name__ == "__main__":
    sys.exit(report(figures("--quick" in sys.argv[1:])))
