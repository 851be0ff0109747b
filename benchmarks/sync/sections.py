"""What is promised, section by section: cells in, figures out. A dash is asked where a row only informs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.figures import Figure, information
from benchmarks.simulation.cameras import Outlier
from benchmarks.sync import metrics, random_pairs
from benchmarks.sync.cells import CELLS, usual
from benchmarks.sync.metrics import Record
from benchmarks.sync.promises import FULL, at_least, at_most, percent, quantile, ratio, share

ORIGINAL = "DTW body axes + LSQ"  # the original method at its best: in camera axes it answers 0 where views differ

Results = Mapping[str, Sequence[Record]]


@dataclass(frozen=True)
class Section:
    """Figures that belong together.

    Attributes:
        title: a heading.
        cells: names of those that it needs.
        figures: from their records; a cell that was not run is not in the results.
    """

    title: str
    cells: tuple[str, ...]
    figures: Callable[[Results], list[Figure]]


def _full(records: Sequence[Record]) -> bool:
    return len(records) >= FULL


def _details(cell: str, records: Sequence[Record]) -> Figure:
    off = metrics.errors(records)
    within = " / ".join(percent(off.within(limit), off.answered) for limit in (0.5, 1, 3))
    cpu = np.mean([record.cost.cpu for record in records])
    memory = max(record.cost.memory for record in records)
    return information(
        f"{cell}: within 0.5 / 1 / 3 frames; answered; cost of a scene",
        f"{within}; {off.answered} of {off.asked}; {cpu:.2f} CPU s, {memory:.0f} MB",
    )


def _spread(cell: str, records: Sequence[Record]) -> Figure:
    off = metrics.errors(records)
    measured = f"{off.quantile(0.5):.3f} / {off.quantile(0.95):.3f} frames"
    refused = f", {off.answered} of {off.asked} answered, {off.wrong} wrong"
    return information(f"{cell}: median / p95", measured + refused)


def _baselines(cell: str, records: Sequence[Record]) -> list[Figure]:
    figures = []
    for name in CELLS[cell].baselines:
        off = metrics.baseline_errors(records, name)
        within = " / ".join(percent(off.within(limit), off.answered) for limit in (0.5, 1, 3))
        cpu = np.mean([record.baseline_cost[name] for record in records])
        measured = f"{off.quantile(0.5):.2f} / {off.quantile(0.95):.1f} frames; {within}; {cpu:.2f} CPU s"
        figures.append(information(f"    {name}: median / p95; within 0.5 / 1 / 3", measured))
    return figures


# cell, median, p95, and a share of the answered within so many frames
ACCURACY: tuple[tuple[str, float, float, tuple[float, float] | None], ...] = (
    (usual("easy", 1800, 6), 0.02, 0.06, None),
    (usual("medium", 1800, 6), 0.05, 0.17, None),
    (usual("hard", 1800, 6), 0.15, 0.45, (0.99, 1)),
    (usual("hard", 900, 6), 0.26, 1.2, (0.98, 3)),
    (usual("hard", 900, 16), 0.15, 0.5, None),
)
LEVELS = ("medium", "hard")


def accuracy(results: Results) -> list[Figure]:
    """Median, p95 and shares of the errors, with the methods of others below."""
    figures = []
    for cell, median, p95, most in ACCURACY:
        off, full = metrics.errors(results[cell]), _full(results[cell])
        figures.append(quantile(f"{cell}: median", off, 0.5, median, full=full))
        figures.append(quantile(f"{cell}: p95", off, 0.95, p95, full=full))
        if most is not None:
            least, frames = most
            name = f"{cell}: within {frames:g} frame{'s' if frames > 1 else ''}"
            figures.append(share(name, off.within(frames), off.answered, low=least, full=full))
        figures += [_details(cell, results[cell]), *_baselines(cell, results[cell])]
    return figures


def against_time_warping(results: Results) -> list[Figure]:
    """How much closer than the original's method, on the same scenes."""
    figures = []
    for level in LEVELS:
        cell = usual(level, 900, 6)
        ours, theirs = metrics.errors(results[cell]), metrics.baseline_errors(results[cell], ORIGINAL)
        for name, which, factor in (("median", 0.5, 20), ("p95", 0.95, 100)):
            times = theirs.quantile(which) / ours.quantile(which)
            figures.append(at_least(f"{cell}: {name} of {ORIGINAL} over ours", times, factor, "x"))
        figures += [_spread(cell, results[cell]), *_baselines(cell, results[cell])]
    return figures


CROWDS = ("3 people, 2 cameras", "3 people, 4 cameras, 25 % absent")


def identity(results: Results) -> list[Figure]:
    """Who is who, and when."""
    figures = []
    for level in LEVELS:
        low = 1.0 if level == "medium" else 0.99
        for cell in (f"{level}, {crowd}" for crowd in CROWDS):
            links, full = metrics.all_links(results[cell]), _full(results[cell])
            figures.append(share(f"{cell}: links that are right", links.right, links.said, low=low, full=full))
            figures.append(share(f"{cell}: links that are found", links.right, links.true, low=low, full=full))
            if level == "hard":
                off = metrics.errors(results[cell])
                figures.append(quantile(f"{cell}: p95", off, 0.95, 0.8, full=full))
            figures += [_spread(cell, results[cell]), _details(cell, results[cell])]
    return figures


def _wrong(cell: str, records: Sequence[Record], limit: float) -> Figure:
    off = metrics.errors(records)
    if not off.answered:
        return Figure(f"{cell}: wrong among the answered", f"<= {100 * limit:g} %", "none answered", ok=True)
    return share(f"{cell}: wrong among the answered", off.wrong, off.answered, high=limit, full=_full(records))


def honesty(results: Results) -> list[Figure]:
    """Refusals and false answers."""
    figures = []
    for level, least in (("medium", 0.99), ("hard", 0.95)):
        cell = usual(level, 900, 6)
        off, full = metrics.errors(results[cell]), _full(results[cell])
        figures.append(share(f"{cell}: answered", off.answered, off.asked, low=least, full=full))
        figures.append(_wrong(cell, results[cell], 0.005))
    for level in LEVELS:
        cell = usual(level, 1800, 6)
        figures += [_wrong(cell, results[cell], 0.005), _answered(cell, results[cell])]
    for level in LEVELS:
        cell = usual(level, 900, 2)
        figures += [_wrong(cell, results[cell], 0.005), _answered(cell, results[cell]), _spread(cell, results[cell])]
    for level in LEVELS:
        cell = usual(level, 300, 6)
        figures += [_wrong(cell, results[cell], 0.02), _answered(cell, results[cell]), _spread(cell, results[cell])]
    for cell in ("standing still", "lengths 15-60 s, starts within 30 s"):
        figures += [_wrong(cell, results[cell], 0.005), _answered(cell, results[cell]), _spread(cell, results[cell])]
    return figures


def _answered(cell: str, records: Sequence[Record]) -> Figure:
    off = metrics.errors(records)
    return information(f"{cell}: answered", f"{percent(off.answered, off.asked)} ({off.answered} of {off.asked})")


INTERVALS = tuple(usual(level, frames, 6) for level in ("clean", "easy", *LEVELS) for frames in (900, 1800))


def intervals(results: Results) -> list[Figure]:
    """Whether the 95 % intervals hold the truth as often as they say."""
    figures = []
    for cell in INTERVALS:
        held = metrics.coverage(results[cell])
        name = f"{cell}: intervals that hold the truth"
        figures.append(share(name, held.right, held.given, low=0.90, high=0.98, full=_full(results[cell])))
        figures.append(information(f"{cell}: median half width", f"{held.half_width:.3f} frames"))
    return figures


def outliers(results: Results) -> list[Figure]:
    """Cameras and pairs that do not belong."""
    figures = []
    for wrong in Outlier:
        cell = f"one camera {wrong}"
        records = results[cell]
        full, off = _full(records), metrics.errors(records)
        if wrong is Outlier.MIRRORED:
            named, total = metrics.count(records, lambda camera: camera.refused or camera.mirrored)
            called, _ = metrics.count(records, lambda camera: camera.mirrored)
            figures.append(information(f"{cell}: called mirrored", f"{called} of {total}"))
        else:
            named, total = metrics.count(records, lambda camera: camera.refused)
        figures.append(share(f"{cell}: named", named, total, low=0.95, full=full))
        figures.append(quantile(f"{cell}: p95 of the others", off, 0.95, 0.5, full=full))
        figures.append(_answered(f"{cell}, the others", records))
        flagged = sum(c.mirrored for record in records for c in record.cameras if c.outlier is None)
        figures.append(information(f"{cell}: others called mirrored", f"{flagged} of {off.asked}"))
    return figures


def random_edges(graphs: int, seed: int) -> list[Figure]:
    """The consensus on graphs of which 30 % of the pairs are random."""
    figures = []
    for cameras in (6, 16):
        off = random_pairs.errors(graphs, cameras=cameras, wrong=0.3, seed=seed)
        name = f"30 % random pairs, N {cameras}: within 0.5 frame"
        figures.append(share(name, int((off <= 0.5).sum()), len(off), low=0.94, full=True))
    return figures


UNFITTED = "clocks ±0 ppm, rates not fitted"
CLOCKS = tuple(f"clocks ±{ppm} ppm" for ppm in (0, 100, 1000))


def clocks(results: Results) -> list[Figure]:
    """Clocks that run at different rates; the worst moment of every video."""
    figures = []
    for cell in CLOCKS:
        off, rates = metrics.errors(results[cell]), metrics.rate_errors(results[cell])
        p95, ppm = off.quantile(0.95), float(np.quantile(rates, 0.95)) if len(rates) else float("nan")
        if cell == CLOCKS[-1]:
            full = _full(results[cell])
            figures.append(quantile(f"{cell}: p95 of the worst moment", off, 0.95, 0.2, full=full))
            figures.append(at_most(f"{cell}: p95 of the rate error", ppm, 35, "ppm", digits=0))
        else:
            figures.append(
                information(f"{cell}: p95 of the worst moment, of the rate error", f"{p95:.3f}, {ppm:.0f} ppm")
            )
        figures += [_spread(cell, results[cell]), _details(cell, results[cell])]
    fitted, plain = (metrics.errors(results[cell]) for cell in (CLOCKS[0], UNFITTED))
    name, full = "equal clocks: p95 fitted over not fitted", _full(results[UNFITTED])
    figures.append(ratio(name, fitted, plain, 0.95, 1.05, full=full))
    return figures


EVEN = "all at 30 fps"
MIXED = ("24 / 29.97 / 60 fps mixed", "24 / 25 / 29.97 / 30 / 50 / 60 fps mixed", "variable frame rate")


def frame_rates(results: Results) -> list[Figure]:
    """Frame rates against 30 fps, on the same scenes."""
    plain = metrics.errors(results[EVEN])
    figures = [_spread(EVEN, results[EVEN])]
    for cell in MIXED:
        off, full = metrics.errors(results[cell]), _full(results[cell])
        for name, which in (("median", 0.5), ("p95", 0.95)):
            title = f"{cell}: {name} in seconds over 30 fps"
            figures.append(ratio(title, off, plain, which, 1.2, full=full))
        figures.append(_spread(cell, results[cell]))
    return figures


SCENES = (
    "sports",
    "periodic exercise",
    "two people mirroring each other",
    "legs unseen in half of the cameras",
    "legs unseen in all cameras",
)


def motions(results: Results) -> list[Figure]:
    """Movements that nothing was tuned on, and bodies that are seen in part."""
    figures = []
    for cell in SCENES:
        if cell in results:
            figures += [_wrong(cell, results[cell], 0.005), _spread(cell, results[cell])]
            if CELLS[cell].people > 1:
                links = metrics.all_links(results[cell])
                right, found = percent(links.right, links.said), percent(links.right, links.true)
                figures.append(information(f"{cell}: links right, found", f"{right}, {found}"))
    return figures


_N6 = tuple(usual(level, 900, 6) for level in LEVELS)
SECTIONS: Mapping[str, Section] = {
    "accuracy": Section("Accuracy", tuple(cell for cell, *_ in ACCURACY), accuracy),
    "dtw": Section("Against dynamic time warping and least squares", _N6, against_time_warping),
    "identity": Section("Several people", tuple(f"{level}, {crowd}" for level in LEVELS for crowd in CROWDS), identity),
    "honesty": Section(
        "Saying no",
        (
            *(usual(level, frames, 6) for level in LEVELS for frames in (300, 900, 1800)),
            *(usual(level, 900, 2) for level in LEVELS),
            "standing still",
            "lengths 15-60 s, starts within 30 s",
        ),
        honesty,
    ),
    "intervals": Section("95 % intervals", INTERVALS, intervals),
    "outliers": Section("What does not belong", tuple(f"one camera {wrong}" for wrong in Outlier), outliers),
    "clocks": Section("Clocks, 5 minutes", (*CLOCKS, UNFITTED), clocks),
    "rates": Section("Frame rates", (EVEN, *MIXED), frame_rates),
    "motions": Section("Held-out movements and hidden legs", SCENES, motions),
}
