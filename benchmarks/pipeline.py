"""What running costs: overhead over the bare model calls, decoding, npz, start-up, a run with nothing to do, memory.

    python -m benchmarks.pipeline [--quick] [--long] [--folder out]

Needs the recordings of `make demo`. --quick measures overhead on one video instead of all eight, and leaves memory out:
50 seconds. Otherwise memory is compared between 500 and 5,000 frames with the fake backend; --long adds the peak memory
of every stage on a 10-minute 1080p clip with the real models, which takes about half an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import decoding, demo_data, masks
from benchmarks.cut import loop
from benchmarks.figures import Figure, report
from common.models.litert import TfliteModel
from common.weights import store
from workflows.pipeline import STAGES

HD = (1920, 1080)
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns 1 if any figure falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="overhead on one video only, no memory")
    parser.add_argument("--long", action="store_true", help="also memory on a 10-minute clip with the real models")
    parser.add_argument("--folder", type=Path, default=Path("out"), help="where `make demo` put data and results")
    options = parser.parse_args(arguments)
    data = options.folder / "demo-data"
    demo_data.scenes(data)
    with tempfile.TemporaryDirectory(prefix="ghost-bench-") as scratch:
        figures = [
            *overhead(data, Path(scratch), quick=options.quick),
            *decoding.measure(),
            *masks.measure(),
            *start_up(),
            *nothing_to_do(data, options.folder / "demo"),
        ]
        if not options.quick:
            figures += memory_by_length(data / "single" / "cam03.mp4", Path(scratch))
        if options.long:
            figures += memory_of_ten_minutes(data / "single" / "cam03.mp4", Path(scratch))
    return report(figures)


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds of a child process and all of its children."""

    cpu: float
    wall: float


def run(*command: str) -> Cost:
    """Runs `python <command>` to its end, all of its processes included. Raises CalledProcessError if it fails.

    The processes of units are children of a server that outlives `ghost run` by a moment, so this process adopts it
    (prctl PR_SET_CHILD_SUBREAPER) and waits for it: only then does the kernel count what they have used.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    wall = time.monotonic() - start
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def overhead(data: Path, scratch: Path, *, quick: bool) -> list[Figure]:
    """CPU time of `ghost run` over that of as many bare model calls as it made."""
    scenes = scratch / "scenes"
    shutil.copytree(data, scenes)
    if quick:
        shutil.rmtree(scenes / "single")
        for name in ("cam02", "cam03", "cam04"):
            (scenes / "multi" / f"{name}.mp4").unlink()
    output = scratch / "overhead"
    whole = run("-m", "workflows", "run", str(scenes), str(output))
    calls: dict[str, int] = {}
    for manifest in _manifests(output):
        for name, count in manifest["counts"].items():
            calls[name] = calls.get(name, 0) + count
    each = bare_calls()
    bare = sum(each[name] * count for name, count in calls.items())
    ratio = whole.cpu / bare
    counted = ", ".join(f"{count} {name}" for name, count in sorted(calls.items()))
    name = "ghost run: CPU over bare model calls"
    return [Figure(name, "<= 1.3 x", f"{ratio:.2f} x ({whole.cpu:.0f} s over {bare:.0f} s: {counted})", ratio <= 1.3)]


def _manifests(output: Path) -> Iterator[Mapping[str, Any]]:
    for path in output.glob("*/_manifests/*/*.json"):
        yield json.loads(path.read_bytes())


def bare_calls(repeats: int = 20) -> dict[str, float]:
    """CPU seconds of one call of each model, by the names that the stages count them under: medians, one thread.

    Nothing but the runtime at work: random input of the right shape, no decoding, no cropping, no reading of results.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    movenet = onnxruntime.InferenceSession(str(store.path("movenet-multipose")), options)
    picture = np.random.default_rng(0).integers(0, 256, (1, 512, 288, 3), np.int32)  # a 1080x1920 frame's share
    calls: dict[str, Callable[[], object]] = {"movenet-multipose": lambda: movenet.run(None, {"input:0": picture})}
    for name in ("blazepose-heavy", "blazepose-detector"):
        model = TfliteModel(store.path(name))
        values = np.random.default_rng(0).random(model.input_shape, np.float32)
        calls[name] = functools.partial(model, values)
    return {name: _median_cpu(call, repeats) for name, call in calls.items()}


def _median_cpu(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def start_up() -> list[Figure]:
    """How long the slowest `--help` of a stage takes, median of 5."""
    slowest = max((_median_wall("-m", f"stages.{stage.name}", "--help"), stage.name) for stage in STAGES)
    return [
        Figure(
            "python -m stages.<any> --help, the slowest",
            "< 0.5 s",
            f"{slowest[0]:.2f} s ({slowest[1]})",
            slowest[0] < 0.5,
        )
    ]


def _median_wall(*command: str) -> float:
    return statistics.median(run(*command).wall for _ in range(5))


def nothing_to_do(data: Path, output: Path) -> list[Figure]:
    """A second run on the demo scenes."""
    run("-m", "workflows", "run", str(data), str(output))
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "workflows", "run", str(data), str(output)], check=True, capture_output=True, text=True
    )
    wall = time.monotonic() - start
    last = done.stdout.strip().splitlines()[-1]
    units, _, rest = last.partition(" units: ")
    idle = rest == f"{units} up to date"
    return [
        Figure("second run of the demo: units run", "0", "0" if idle else last, idle),
        Figure("second run of the demo", "< 5 s", f"{wall:.2f} s", wall < 5),
    ]


def memory_by_length(source: Path, scratch: Path) -> list[Figure]:
    """How much more memory the stages need for a clip ten times as long, with fake models.

    Pixels are streamed; what is kept is some kB per person and frame.
    """
    peaks = []
    for number, seconds in enumerate((500 / 30, 5000 / 30)):
        clip = scratch / f"length{number}" / "scene" / "cam01.mp4"
        clip.parent.mkdir(parents=True)
        loop(source, clip, seconds=seconds, rate=Fraction(30), size=(640, 360))
        output = scratch / f"length{number}-results"
        run("-m", "workflows", "run", str(clip.parents[1]), str(output), "--backend", "fake")
        peaks.append({m["stage"]: m["record"]["peak_rss"] for m in _manifests(output)})
    growth = {stage: (peaks[1][stage] - peaks[0][stage]) / 1e6 for stage in peaks[0]}
    worst, largest = max(growth, key=lambda stage: growth[stage]), max(peaks[1].values())
    measured = f"{largest / 1e9:.2f} GB, at most {growth[worst]:.0f} MB more than for 500 ({worst})"
    return [Figure("peak memory of any stage, 5,000 frames of two people", "< 1 GB", measured, largest < 1e9)]


def memory_of_ten_minutes(source: Path, scratch: Path) -> list[Figure]:
    """Peak memory of every stage on 18,000 frames of 1080p, with the real models."""
    clip = scratch / "ten-minutes" / "scene" / "cam01.mp4"
    clip.parent.mkdir(parents=True)
    loop(source, clip, seconds=600, rate=Fraction(30), size=HD)
    output = scratch / "ten-minutes-results"
    run("-m", "workflows", "run", str(clip.parents[1]), str(output))
    manifests = {m["stage"]: m for m in _manifests(output)}
    peaks = {stage: m["record"]["peak_rss"] for stage, m in manifests.items()}
    each, segment = bare_calls(), manifests["segment"]
    ratio = segment["record"]["cpu_s"] / sum(each[name] * count for name, count in segment["counts"].items())
    return [
        *(
            Figure(f"peak memory of {stage}, 10 min of 1080p", "< 1 GB", f"{peak / 1e9:.2f} GB", peak < 1e9)
            for stage, peak in sorted(peaks.items())
        ),
        Figure("segment, 10 min of 1080p: CPU over bare model calls", "<= 1.3 x", f"{ratio:.2f} x", ratio <= 1.3),
    ]


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
    sys.exit(main())
