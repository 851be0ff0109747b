"""What calibrated cameras add: the epipolar evidence alone, beside motion alone, on the same simulated scenes.

    python -m benchmarks.sync.calibration [--quick] [--half tune]

Two cameras, one person, starts within 10 s (of 30 s) or 5 s (of 10 s). Errors in frames of 30 fps.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, information, report
from benchmarks.simulation.cameras import Scene
from benchmarks.simulation.geometry import simulate_calibrated_scene, wrongly_calibrated
from benchmarks.simulation.halves import Half
from stages.sync.clues import Clue
from stages.sync.epipolar import calibration_clue
from stages.sync.result import OffsetCurve
from stages.sync.solve import solve
from stages.sync.tracks import VideoTracks

Floats = NDArray[np.float64]

SEED = {"tune": 11, "report": 12}
TRIALS, QUICK_TRIALS = 40, 10
FPS = 30.0
MAX_OFFSET = 30.0
WRONG = 3.0  # frames
CELLS = (("easy", 10.0), ("medium", 10.0), ("hard", 10.0), ("easy", 30.0), ("medium", 30.0), ("hard", 30.0))
AMBIGUOUS = 0.8  # of the highest peak of motion: another one as high is a rival
RIVALS = 5
STRIDE = 0.5  # s between rivals


@dataclass(frozen=True)
class Answer:
    """What one kind of evidence says, beside the truth, in frames.

    Attributes:
        error: offset minus truth; None: no answer.
        half_width: of the 95 % interval; None: none.
        z: how far the match stands out.
    """

    error: float | None
    half_width: float | None
    z: float


@dataclass(frozen=True)
class Trial:
    """One scene.

    Attributes:
        motion: of `solve` without cameras.
        alone: of the calibrated cameras alone, without any idea of the offset.
        refined: of the calibrated cameras near the truth, as motion would say it.
        wrong: of cameras of which one is turned by 10 degrees or moved by 0.3 m, without any idea.
        settled: whether the highest epipolar score among several peaks of motion is that of the right one; None where
            motion has no rivals, or not the right one among them, or where the score says nothing.
        ambiguous: whether motion has rivals.
    """

    motion: Answer
    alone: Answer
    refined: Answer
    wrong: tuple[Answer, ...]
    settled: bool | None
    ambiguous: bool


def simulate(level: str, seconds: float, trial: int, half: Half) -> tuple[Scene, np.random.Generator]:
    """The scene of that trial, and the generator of what else is random."""
    generator = np.random.default_rng([SEED[half], zlib.crc32(f"{level} {seconds:g}".encode()), trial])
    scene = simulate_calibrated_scene(
        generator, cameras=2, seconds=seconds, level=level, max_start=seconds / 2 if seconds < 20 else 10.0, half=half
    )
    return scene, generator


def run_trial(level: str, seconds: float, trial: int, half: Half) -> Trial:
    """Simulates and asks motion and cameras, each alone."""
    scene, generator = simulate(level, seconds, trial, half)
    a, b = scene.videos
    truth = float(scene.start_times[1] - scene.start_times[0])
    found = solve([replace(video, camera=None) for video in scene.videos], max_offset=MAX_OFFSET).pairs
    motion = Answer(None, None, 0.0)
    if found and found[0].offset is not None:
        half_width = found[0].half_width
        motion = Answer((found[0].offset - truth) * FPS, None if half_width is None else half_width * FPS, found[0].z)
    clue = _ask(a, b, near=None)
    wrong = []
    for degrees, metres in ((10.0, 0.0), (0.0, 0.3)):
        off = replace(b, camera=b.camera and wrongly_calibrated(b.camera, generator, degrees=degrees, metres=metres))
        wrong.append(_answer(_ask(a, off, near=None), truth))
    rivals = _peaks(found[0].curve) if found and found[0].curve is not None else []
    return Trial(
        motion,
        _answer(clue, truth),
        _answer(_ask(a, b, near=truth), truth),
        tuple(wrong),
        settled=_settled(rivals, clue, truth),
        ambiguous=len(rivals) > 1,
    )


def _ask(a: VideoTracks, b: VideoTracks, *, near: float | None) -> Clue | None:
    return calibration_clue(a, b, [(1, 1)], rate=FPS, max_offset=MAX_OFFSET, near=near)


def _answer(clue: Clue | None, truth: float) -> Answer:
    if clue is None:
        return Answer(None, None, 0.0)
    return Answer((clue.offset - truth) * FPS, 1.96 * clue.deviation * FPS, clue.z)


def _peaks(curve: OffsetCurve) -> list[float]:
    """Offsets in seconds of the best matches of motion, the highest first, the rest at least AMBIGUOUS as high."""
    r = np.nan_to_num(curve.r.astype(np.float64), nan=-1.0)
    found: list[float] = []
    highest = float(r.max())
    while len(found) < RIVALS and r.max() > 0 and r.max() >= AMBIGUOUS * highest:
        k = int(np.argmax(r))
        found.append(float(curve.offsets[k]))
        r[np.abs(curve.offsets - curve.offsets[k]) < STRIDE] = -1.0
    return found


def _settled(rivals: Sequence[float], clue: Clue | None, truth: float) -> bool | None:
    if len(rivals) < 2 or clue is None or min(abs(rival - truth) for rival in rivals) * FPS > WRONG:
        return None
    reach = WRONG / FPS
    scores = [float(clue.score[np.abs(clue.offsets - rival) <= reach].max(initial=0)) for rival in rivals]
    return abs(rivals[int(np.argmax(scores))] - truth) * FPS <= WRONG


def figures(quick: bool, *, half: Half = "report") -> list[Figure]:
    """All rows.

    Args:
        quick: fewer trials of the same cells.
        half: of the simulator.
    """
    count = QUICK_TRIALS if quick else TRIALS
    rows, short, everything = [], [], []
    for level, seconds in CELLS:
        trials = [run_trial(level, seconds, trial, half) for trial in range(count)]
        everything += trials
        short += trials if seconds < 20 else []
        rows += _accuracy(f"{level}, {seconds:g} s", trials)
    rows.append(_coverage("95 % intervals of cameras, all cells", [t.refined for t in everything]))
    rows.append(_ambiguity(short))
    rows.append(_wrong("no idea of the offset: wrong among the answered", [t.alone for t in everything], 2.0))
    turned, moved = ([t.wrong[k] for t in everything] for k in range(2))
    rows.append(_wrong("calibration 10 degrees off: wrong among the answered", turned, 5.0))
    rows.append(_wrong("calibration 0.3 m off: wrong among the answered", moved, 5.0))
    return rows


def _accuracy(name: str, trials: Sequence[Trial]) -> list[Figure]:
    both = [
        t for t in trials if t.motion.error is not None and abs(t.motion.error) <= WRONG and t.refined.error is not None
    ]
    cameras, motion = _errors(t.refined for t in both), _errors(t.motion for t in both)
    answered = [sum(getattr(t, kind).error is not None for t in trials) / len(trials) for kind in ("motion", "refined")]
    rows = [information(f"{name}: answered by motion, by cameras", f"{answered[0]:.0%}, {answered[1]:.0%}")]
    if both:
        asked = f"<= {np.median(motion):.3f}, {np.percentile(motion, 95):.2f} of motion"
        measured = f"{np.median(cameras):.3f}, {np.percentile(cameras, 95):.2f}"
        better = bool(
            np.median(cameras) <= np.median(motion) and np.percentile(cameras, 95) <= np.percentile(motion, 95)
        )
        rows.append(Figure(f"{name}: median, p95 where both answer ({len(both)})", asked, measured, better))
    rows.append(_coverage(f"{name}: 95 % intervals of cameras", [t.refined for t in trials], promise=False))
    return rows


def _errors(answers: Iterable[Answer]) -> Floats:
    return np.array([abs(answer.error) for answer in answers if answer.error is not None])


def _coverage(name: str, answers: Sequence[Answer], *, promise: bool = True) -> Figure:
    known = [(abs(x.error), x.half_width) for x in answers if x.error is not None and x.half_width is not None]
    if not known:
        return information(name, "no answer")
    share = sum(error <= width for error, width in known) / len(known)
    measured = f"{share:.1%} of {len(known)}, half width {np.median([width for _, width in known]):.2f}"
    return Figure(name, "90-98 %", measured, 0.90 <= share <= 0.98) if promise else information(name, measured)


def _ambiguity(trials: Sequence[Trial]) -> Figure:
    rivals = sum(t.ambiguous for t in trials)
    settled = [t.settled for t in trials if t.settled is not None]
    name = f"10 s, rivals in {rivals} of {len(trials)} curves of motion: settled right by cameras"
    if not settled:
        return information(name, "none to settle")
    share = sum(settled) / len(settled)
    return Figure(name, ">= 95 %", f"{share:.1%} of {len(settled)}", share >= 0.95)


def _wrong(name: str, answers: Sequence[Answer], percent: float) -> Figure:
    """Confident nonsense: an answer whose interval, widened to twice its size, does not hold the truth."""
    known = [x for x in answers if x.error is not None and x.half_width is not None]
    wrong = sum(abs(x.error or 0.0) > max(WRONG, 2 * (x.half_width or 0.0)) for x in known)
    share = 100 * wrong / max(len(known), 1)
    return Figure(name, f"<= {percent:g} %", f"{share:.1f} % of {len(known)} of {len(answers)}", share <= percent)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TRIALS} trials per cell instead of {TRIALS}")
    parser.add_argument("--half", choices=("tune", "report"), default="report", help="of the simulator")
    options = parser.parse_args()
    return report(figures(options.quick, half=options.half))


if __name__ == "__main__":
    raise SystemExit(main())
