"""How good synchronisation is: accuracy, refusals, identities, intervals, outliers, clocks, sound, cost, real video.

    python -m benchmarks.sync [--quick] [--only accuracy,honesty] [--half tune]

Errors are in frames of 30 fps, a camera against the others. Scenes are simulated with fixed seeds, 30 per cell; what is
reported comes from a half of the simulator that nothing was tuned on. --quick runs the same cells with fewer trials;
a promise about a share or a quantile then counts as broken only where chance does not explain it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Figure, report

TRIALS, QUICK_TRIALS = 30, 3
GRAPHS = 10  # of the consensus alone, per trial: they cost next to nothing
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OTHERS = ("audio", "calibration", "cost", "real")  # modules with figures of their own instead of cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns 1 if any figure falls short."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sync", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TRIALS} trials per cell")
    parser.add_argument("--only", metavar="A,B", help="sections: by default all")
    parser.add_argument("--half", choices=("tune", "report"), default="report", help="of the simulator")
    parser.add_argument("--trials", type=int, help=f"per cell: {TRIALS} by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes: one per core by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the records of all trials there")
    options = parser.parse_args(arguments)
    for name in ONE_THREAD:
        os.environ[name] = "1"  # before numpy is loaded, here and in the workers
    from benchmarks.sync.cells import CELLS
    from benchmarks.sync.sections import SECTIONS, random_edges
    from benchmarks.sync.trials import SEED, run_cells

    chosen = options.only.split(",") if options.only else [*SECTIONS, *OTHERS]
    if unknown := set(chosen) - {*SECTIONS, *OTHERS}:
        parser.error(f"--only: {sorted(unknown)} are not among {[*SECTIONS, *OTHERS]}")
    trials = options.trials or (QUICK_TRIALS if options.quick else TRIALS)
    names = dict.fromkeys(name for section in chosen if section in SECTIONS for name in SECTIONS[section].cells)
    cells = [CELLS[name] for name in names if options.half == "report" or not CELLS[name].held_out]
    records = run_cells(cells, trials=trials, half=options.half, workers=options.workers) if cells else {}
    if options.json:
        everything = {
            "half": options.half,
            "trials": trials,
            "records": [asdict(one) for many in records.values() for one in many],
        }
        options.json.write_text(json.dumps(everything), encoding="utf-8")
    short = 0
    for name in chosen:
        if name in SECTIONS:
            figures = SECTIONS[name].figures(records)
            if name == "outliers":
                figures += random_edges(trials * GRAPHS, SEED[options.half])
            title = f"{SECTIONS[name].title}: {trials} trials, {options.half} half"
        else:
            figures, title = _others(name, quick=options.quick), name.capitalize()
        print(f"\n{title}", flush=True)
        short |= report(figures)
    return short


def _others(name: str, *, quick: bool) -> list[Figure]:
    """Figures of the module benchmarks.sync.<name>, loaded only when asked for."""
    return list(importlib.import_module(f"benchmarks.sync.{name}").figures(quick=quick))


if __name__ == "__main__":
    sys.exit(main())
