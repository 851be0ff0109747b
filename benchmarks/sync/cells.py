"""The cells of the benchmark: what is simulated, under the names that results go by. Which promise hangs on which cell
stands in sections.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.simulation.cameras import Outlier
from benchmarks.simulation.exercises import PERIODIC, SPORTS

VERTICAL_SPEED = "vertical speed + LSQ"
FAST = ("integer correlation + LSQ", VERTICAL_SPEED)  # where videos are long, time warping takes too long
ALL = ("DTW camera axes + LSQ", "DTW body axes + LSQ", *FAST)
HELD_OUT = (*SPORTS, *PERIODIC)


@dataclass(frozen=True)
class Cell:
    """One kind of scene.

    Attributes:
        name: unique.
        level: of the errors, key of simulation.cameras.LEVELS.
        frames: length of each video, in frames of 30 fps whatever the video's rate.
        cameras: how many.
        people: how many.
        absent: chance that somebody is not in a video.
        max_start: seconds within which the cameras start.
        shortest: shortest video, frames; None: all are equally long.
        rates: frames per second, in turn.
        variable: whether the frame rate varies.
        ppm: largest deviation of a clock.
        fit_rates: whether clock rates may be fitted.
        activities: what people do; empty: the usual.
        mirroring: whether the second person copies the first as in a mirror.
        legs_hidden: share of cameras without legs.
        outlier: what is wrong with one camera, a different one from trial to trial.
        scenes: cells with the same value here and equally many people and cameras see the same people from the same
            places; empty: the cell's own.
        baselines: methods of others to be run on the same scenes.
        repeats: how many times as many trials it needs: a ratio of two quantiles is less certain than either.
    """

    name: str
    level: str
    frames: int = 900
    cameras: int = 6
    people: int = 1
    absent: float = 0.0
    max_start: float = 10.0
    shortest: int | None = None
    rates: tuple[float, ...] = (30.0,)
    variable: bool = False
    ppm: float = 0.0
    fit_rates: bool = True
    activities: tuple[str, ...] = ()
    mirroring: bool = False
    legs_hidden: float = 0.0
    outlier: Outlier | None = None
    scenes: str = ""
    baselines: tuple[str, ...] = ()
    repeats: int = 1

    @property
    def held_out(self) -> bool:
        """Whether the half that is tuned on must not know it."""
        return any(activity in HELD_OUT for activity in self.activities)


def usual(level: str, frames: int, cameras: int) -> str:
    """Name of a plain cell."""
    return f"{level}, T {frames}, N {cameras}"


def _cells() -> list[Cell]:
    cells = []
    for level in ("clean", "easy", "medium", "hard"):
        for frames in (900, 1800):
            if level == "clean":
                baselines: tuple[str, ...] = ()
            else:
                baselines = ALL if frames == 900 and level != "easy" else FAST
            cells.append(Cell(usual(level, frames, 6), level, frames, baselines=baselines))
    cells.append(Cell(usual("hard", 900, 16), "hard", cameras=16, baselines=(VERTICAL_SPEED,)))
    for level in ("medium", "hard"):
        cells.append(Cell(usual(level, 900, 2), level, cameras=2))
        cells.append(Cell(usual(level, 300, 6), level, 300))
        cells.append(Cell(f"{level}, 3 people, 2 cameras", level, cameras=2, people=3))
        cells.append(Cell(f"{level}, 3 people, 4 cameras, 25 % absent", level, cameras=4, people=3, absent=0.25))
    cells += [Cell(f"one camera {wrong}", "medium", outlier=wrong) for wrong in Outlier]
    for ppm in (0, 100, 1000):
        cells.append(Cell(f"clocks ±{ppm} ppm", "medium", 9000, cameras=4, ppm=ppm, scenes="clocks"))
    cells.append(Cell("clocks ±0 ppm, rates not fitted", "medium", 9000, 4, fit_rates=False, scenes="clocks"))
    cells += [
        Cell("all at 30 fps", "medium", scenes="mixed", repeats=3),
        Cell("24 / 29.97 / 60 fps mixed", "medium", rates=(24, 30000 / 1001, 60), scenes="mixed", repeats=3),
        Cell(
            "24 / 25 / 29.97 / 30 / 50 / 60 fps mixed",
            "medium",
            rates=(24, 25, 29.97, 30, 50, 60),
            scenes="mixed",
            repeats=3,
        ),
        Cell("variable frame rate", "medium", variable=True, scenes="mixed", repeats=3),
        Cell("lengths 15-60 s, starts within 30 s", "medium", 1800, shortest=450, max_start=30),
        Cell("legs unseen in half of the cameras", "medium", legs_hidden=0.5, scenes="legs"),
        Cell("legs unseen in all cameras", "medium", legs_hidden=1.0, scenes="legs"),
        Cell("standing still", "medium", activities=("stand",)),
        Cell("sports", "medium", activities=(*SPORTS, "idle")),
        Cell("periodic exercise", "medium", activities=tuple(PERIODIC)),
        Cell("two people mirroring each other", "medium", cameras=4, people=2, mirroring=True),
    ]
    return cells


CELLS: Mapping[str, Cell] = {cell.name: cell for cell in _cells()}
