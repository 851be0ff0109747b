"""Runs trials: simulates a scene of a cell, asks for its start times, and notes the answer beside the truth."""

from __future__ import annotations

import multiprocessing
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import numpy as np

from benchmarks.peak_memory import forget_peak, peak_bytes
from benchmarks.simulation.cameras import Scene, simulate_scene
from benchmarks.simulation.halves import Half
from benchmarks.sync import metrics
from benchmarks.sync.baselines import BASELINES
from benchmarks.sync.cells import Cell
from stages.sync.result import Synchronization, Verdict
from stages.sync.solve import solve

SEED: Mapping[str, int] = {"tune": 1, "report": 2}


def simulate(cell: Cell, trial: int, half: Half) -> Scene:
    """The scene of that trial: the same whenever it is asked for, and no other half has it."""
    generator = np.random.default_rng([SEED[half], zlib.crc32((cell.scenes or cell.name).encode()), trial])
    return simulate_scene(
        generator,
        cameras=cell.cameras,
        seconds=cell.frames / metrics.FPS,
        shortest=None if cell.shortest is None else cell.shortest / metrics.FPS,
        level=cell.level,
        people=cell.people,
        absent=cell.absent,
        max_start=cell.max_start,
        rates=cell.rates,
        variable=cell.variable,
        ppm=cell.ppm,
        activities=cell.activities or None,
        mirroring=cell.mirroring,
        half=half,
        legs_hidden=cell.legs_hidden,
        outliers={} if cell.outlier is None else {trial % cell.cameras: cell.outlier},
    )


def run_trial(cell: Cell, trial: int, half: Half) -> metrics.Record:
    """Simulates, solves and compares; the baselines of the cell see the same scene."""
    scene = simulate(cell, trial, half)
    forget_peak()
    begin = time.process_time()
    answer = _solve(scene, cell)
    cost = metrics.Cost(time.process_time() - begin, peak_bytes() / (1 << 20))
    starts, seconds = {}, {}
    for name in cell.baselines:
        begin = time.process_time()
        starts[name] = tuple(float(s) for s in BASELINES[name](scene.videos))
        seconds[name] = time.process_time() - begin
    return record(cell, trial, scene, answer, cost, starts, seconds)


def _solve(scene: Scene, cell: Cell) -> Synchronization:
    return solve(scene.videos, fit_rates=cell.fit_rates)


def record(
    cell: Cell,
    trial: int,
    scene: Scene,
    answer: Synchronization,
    cost: metrics.Cost,
    baselines: Mapping[str, tuple[float, ...]],
    baseline_cost: Mapping[str, float],
) -> metrics.Record:
    """The answer beside the truth."""
    rates = np.broadcast_to(scene.rates, len(scene.videos))
    cameras = tuple(
        metrics.Camera(
            true_start=float(scene.start_times[k]),
            true_rate=float(rates[k]),
            length=max((float(track.times[-1]) for track in video.persons if len(track.times)), default=0.0),
            start=said.start_time,
            half_width=said.half_width,
            rate=said.rate,
            rate_half_width=said.rate_half_width,
            refused=said.verdict is Verdict.UNKNOWN,
            mirrored=said.mirrored,
            z=said.z,
            outlier=None if (wrong := scene.outliers.get(k)) is None else str(wrong),
            reasons=said.reasons,
        )
        for k, (video, said) in enumerate(zip(scene.videos, answer.videos, strict=True))
    )
    identity = {(track.video, track.person): track.identity for track in answer.identities}
    said_people = [[identity[video.video, track.person] for track in video.persons] for video in scene.videos]
    links = metrics.count_links(said_people, scene.people)
    return metrics.Record(cell.name, trial, cameras, links, cost, baselines, baseline_cost)


def run_cells(cells: Sequence[Cell], *, trials: int, half: Half, workers: int) -> dict[str, list[metrics.Record]]:
    """Runs so many trials of every cell, times its repeats, in processes of one thread; says on stderr what is done.

    The most expensive cells come first, so that no worker is left alone with one at the end.
    """
    jobs = sorted(cells, key=lambda cell: -cell.frames * cell.cameras**2)
    records: dict[str, list[metrics.Record]] = {cell.name: [] for cell in cells}
    expected = {cell.name: trials * cell.repeats for cell in cells}
    begin = time.monotonic()
    # not forked: a child must read the thread limit that the parent has set (see __main__.py)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(run_trial, cell, trial, half) for cell in jobs for trial in range(trials * cell.repeats)]
        for future in as_completed(futures):
            one = future.result()
            done = records[one.cell]
            done.append(one)
            if len(done) == expected[one.cell]:
                done.sort(key=lambda r: r.trial)
                _say(done, time.monotonic() - begin)
    return records


def _say(records: Sequence[metrics.Record], elapsed: float) -> None:
    off = metrics.errors(records)
    print(
        f"[{elapsed:4.0f} s] {records[0].cell}: {len(records)} trials, {off.answered} of {off.asked} cameras answered,"
        f" median {off.quantile(0.5):.3f}, p95 {off.quantile(0.95):.3f}, {off.wrong} wrong",
        file=sys.stderr,
        flush=True,
    )
