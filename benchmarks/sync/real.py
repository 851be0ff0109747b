"""Start times and identities on cuts of real recordings, with joints from the embedded backend (real_cuts.py).

Two demo scenes, cuts of 0.8, 1.2 and 1.5 s, 25 trials each, all reported. Errors are in frames of 60 fps: what a
camera's start is off, against the mean of the other cameras that have one, because the zero of the clock is a
convention. The recordings are said to be synchronous. The epipolar error confirms that for cameras 1, 2 and 4 and asks
for 2 to 4 frames at camera 3: its clock or its calibration is off. So cameras 1, 2 and 4 are also solved by themselves.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import demo_data
from benchmarks.figures import Figure
from benchmarks.sync.baselines import BASELINES
from benchmarks.sync.real_cuts import CAMERAS, RATE, Cuts, Trial
from stages.sync.result import Synchronization
from stages.sync.solve import solve

Floats = NDArray[np.float64]
Solved = list[tuple[Trial, Synchronization]]

SCENES = ("single", "multi")
LENGTHS = (48, 72, 90)  # frames: 0.8, 1.2 and 1.5 s
PROMISED = ("single", 72)  # the scene and length of which something is promised
TRUSTED = ("cam01", "cam02", "cam04")
WRONG = 6.0  # frames: 0.1 s, three frames of 30 fps


@dataclass(frozen=True)
class Links:
    """Pairs of tracks in two cameras, at least one of man or woman: linked rightly, wrongly, not though the same."""

    right: int
    wrong: int
    missed: int


def figures(*, quick: bool = False, folder: Path = Path("out")) -> list[Figure]:
    """All figures on real cuts. The first time they take an hour of CPU for the bodies, later two minutes.

    Args:
        quick: 1.2 s only; one cut of each camera of `single`, and nothing of `multi`, unless all bodies are there.
        folder: where `make demo` put the recordings; cuts and bodies go to `sync-cuts` in it.
    """
    rows = promised(quick=quick, folder=folder)
    for scene, frames in itertools.product(SCENES, LENGTHS):
        cuts = Cuts(scene, frames, folder / "sync-cuts")
        single = Cuts("single", frames, folder / "sync-cuts")
        if quick and frames != PROMISED[1]:
            continue
        if quick and not (cuts.complete and single.complete):
            if scene != PROMISED[0]:
                rows.append(Figure(_title(cuts), "-", "skipped: its bodies are made without --quick", True))
            continue
        demo_data.scenes(folder / "demo-data")
        cuts.make(folder / "demo-data")
        if (scene, frames) != PROMISED:
            rows += starts(cuts)
        rows += identities(cuts) if scene == "multi" else baselines(cuts)
    return rows


def promised(*, quick: bool = False, folder: Path = Path("out")) -> list[Figure]:
    """The figures on start times in cuts of 1.2 s of `single`: the ones that something is promised of.

    Args:
        quick: one cut of each camera instead of five, unless all bodies are there.
        folder: as in `figures`.
    """
    cuts = Cuts(*PROMISED, folder / "sync-cuts")
    if quick and not cuts.complete:
        cuts = Cuts(*PROMISED, folder / "sync-cuts", count=1)
    demo_data.scenes(folder / "demo-data")
    cuts.make(folder / "demo-data")
    return starts(cuts)


def starts(cuts: Cuts) -> list[Figure]:
    """Start times of all four cameras, and of the three that can be trusted without the fourth."""
    rows = []
    if cuts.outdated:
        rows.append(Figure(f"{_title(cuts)}: bodies by other code than today's", "-", f"{cuts.outdated} results", True))
    for cameras in (CAMERAS, TRUSTED):
        solved = _solve(cuts, cameras)
        error = np.array([errors([v.start_time for v in answer.videos], trial, cameras) for trial, answer in solved])
        widths = np.array([[v.half_width or np.nan for v in answer.videos] for _, answer in solved]) * RATE
        if (cuts.scene, cuts.frames) == PROMISED and cameras == TRUSTED:
            rows += _gates(_title(cuts, cameras), np.abs(error))
        rows += _start_figures(_title(cuts, cameras), error, widths)
    return rows


def baselines(cuts: Cuts) -> list[Figure]:
    """Start times of cameras 1, 2 and 4 of `single` by the methods of others, which are given the man alone."""
    rows = []
    for name, method in BASELINES.items():
        off = []
        for trial in cuts.trials:
            videos = [cuts.man(trial.cuts[camera], camera) for camera in TRUSTED]
            off.append(np.abs(errors(list(method(videos)), trial, TRUSTED)))
        measured = f"{_spread(np.array(off))}; {_answered(np.array(off))}"
        rows.append(Figure(f"{_title(cuts, TRUSTED)}, {name}: off; answered; wrong", "-", measured, True))
    return rows


def identities(cuts: Cuts) -> list[Figure]:
    """Who is who in all four cameras of `multi`."""
    found = links(cuts, _solve(cuts, CAMERAS))
    measured = f"{found.right} right, {found.wrong} wrong, {found.missed} missed"
    return [Figure(f"{_title(cuts, CAMERAS)}: links of man and woman", "-", measured, True)]


def errors(start_times: Sequence[float | None], trial: Trial, cameras: Sequence[str]) -> Floats:
    """(cameras,) frames by which starts are off, each against the mean of the others; NaN where there is nothing.

    Args:
        start_times: (cameras,) seconds; None or NaN where unknown.
        trial: the truth.
        cameras: in the order of the starts.
    """
    truth = np.array([trial.starts[camera] for camera in cameras])
    off = np.array([np.nan if start is None else start for start in start_times], np.float64) * RATE - truth
    others = np.isfinite(off).sum() - 1
    if others < 1:
        return np.full(len(off), np.nan)
    return np.asarray(off - (np.nansum(off) - off) / others)


def links(cuts: Cuts, solved: Solved) -> Links:
    """Identities, over all trials and all pairs of cameras that both have a start.

    Args:
        cuts: of `multi`.
        solved: trials and what sync said.
    """
    right = wrong = missed = 0
    for trial, answer in solved:
        placed = {v.video for v in answer.videos if v.start_time is not None}
        who = {camera: cuts.people(number, camera) for camera, number in trial.cuts.items()}
        for a, b in itertools.combinations(answer.identities, 2):
            name, other = who[a.video].get(a.person), who[b.video].get(b.person)
            if a.video == b.video or not {a.video, b.video} <= placed or name is None is other:
                continue  # of two bystanders nobody knows whether they are the same
            right += a.identity == b.identity and name == other
            wrong += a.identity == b.identity and name != other
            missed += a.identity != b.identity and name == other
    return Links(right, wrong, missed)


def _solve(cuts: Cuts, cameras: Sequence[str]) -> Solved:
    return [(trial, solve([cuts.tracks(trial.cuts[c], c) for c in cameras])) for trial in cuts.trials]


def _gates(name: str, off: Floats) -> list[Figure]:
    known = off[np.isfinite(off)]
    mean, worst = (known.mean(), known.max()) if len(known) else (np.inf, np.inf)
    refused = off.size - len(known)
    return [
        Figure(f"{name}: mean error", "<= 1.5 frames", f"{mean:.2f} frames", bool(mean <= 1.5)),
        Figure(f"{name}: largest error", "<= 4 frames", f"{worst:.2f} frames", bool(worst <= 4)),
        Figure(f"{name}: starts refused", "0", f"{refused} of {off.size}", refused == 0),
    ]


def _start_figures(name: str, error: Floats, widths: Floats) -> list[Figure]:
    """Of (trials, cameras) frames of error and half width, NaN where there is none."""
    off = np.abs(error)
    bounded = np.isfinite(off) & np.isfinite(widths)
    covered = _share(int((off <= widths)[bounded].sum()), int(bounded.sum()))
    half = f", median half width {np.median(widths[bounded]):.1f} frames" if bounded.any() else ""
    by_camera = ["-" if np.isnan(column).all() else f"{np.nanmedian(column):+.1f}" for column in error.T]
    return [
        Figure(f"{name}: off, mean / median / p95 / worst", "-", _spread(off), True),
        Figure(f"{name}: answered; of these > {WRONG:g} frames off", "-", _answered(off), True),
        Figure(f"{name}: 95 % intervals that cover", "-", f"{covered}{half}", True),
        Figure(f"{name}: median error by camera", "-", f"{', '.join(by_camera)} frames", True),
    ]


def _spread(off: Floats) -> str:
    known = off[np.isfinite(off)]
    if not len(known):
        return "nothing answered"
    values = (known.mean(), np.median(known), np.quantile(known, 0.95), known.max())
    return " / ".join(f"{value:.2f}" for value in values) + " frames"


def _answered(off: Floats) -> str:
    known = off[np.isfinite(off)]
    return f"{_share(len(known), off.size)}; {_share(int((known > WRONG).sum()), len(known))}"


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.0f} % of {of}" if of else "none of 0"


def _title(cuts: Cuts, cameras: Sequence[str] = ()) -> str:
    numbers = ", ".join(camera[-1] for camera in cameras)
    trials = "1 trial" if cuts.count == 1 else f"{cuts.count**2} trials"
    return f"real {cuts.scene}, {trials} of {cuts.frames / RATE:.1f} s" + (f", cameras {numbers}" if numbers else "")
