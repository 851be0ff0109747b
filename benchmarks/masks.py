"""What writing and reading mask_data.npz costs, against numpy on the same images."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.figures import Figure, report
from common.artifacts.label_geometry import people_in
from common.artifacts.masks import Masks, MaskWriter, entry_name

HEIGHT, WIDTH = 1080, 1920
FRAMES = 40
PEOPLE = 4
ROUNDS = 3  # of each measurement; the quickest counts, since others work on the same machine


def measure() -> list[Figure]:
    """Ratios of CPU time and size against `np.savez_compressed` and `np.load`, measured in the same run."""
    images = walking_people(FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        ours, numpys = Path(folder, "ours.npz"), Path(folder, "numpys.npz")

        def write() -> None:
            with MaskWriter(ours, height=HEIGHT, width=WIDTH) as writer:
                for frame, labels in enumerate(images):
                    writer.write(frame, labels)

        def write_with_numpy() -> None:
            np.savez_compressed(numpys, **{entry_name(frame): labels for frame, labels in enumerate(images)})  # type: ignore[arg-type]

        def read() -> None:
            with Masks.open(ours) as masks:
                for _frame, _labels in masks:
                    pass

        def read_with_numpy() -> None:
            with np.load(numpys) as archive:
                for name in archive.files:
                    archive[name]

        writing, writing_numpy = _cpu_ms(write), _cpu_ms(write_with_numpy)
        reading, reading_numpy = _cpu_ms(read), _cpu_ms(read_with_numpy)
        with np.load(ours) as archive:
            same = all(np.array_equal(archive[entry_name(frame)], labels) for frame, labels in enumerate(images))
        size = ours.stat().st_size / numpys.stat().st_size
    geometry = _cpu_ms(lambda: [people_in(labels) for labels in images])
    return [
        _ratio("masks: write", writing_numpy, writing, asked=3.0),
        _ratio("masks: read", reading_numpy, reading, asked=3.0),
        Figure("masks: size", "<= 1.02 x numpy's", f"{size:.3f} x", size <= 1.02),
        Figure("masks: read by plain numpy", "equal", "equal" if same else "different", same),
        Figure("masks: boxes and areas", "<= 3 ms per frame", f"{geometry:.1f} ms", geometry <= 3.0),
    ]


def walking_people(frames: int) -> list[npt.NDArray[np.uint16]]:
    """Label images (1080, 1920) uint16 of figures with limbs and ragged contours, about 3 % of the pixels."""
    rng = np.random.default_rng(0)
    places = rng.uniform((200, 450), (1700, 750), (PEOPLE, 2))
    phases = rng.uniform(0, 6, PEOPLE)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    images = []
    for frame in range(frames):
        drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
        for person, ((cx, cy), phase) in enumerate(zip(places, phases, strict=True), start=1):
            cv2.ellipse(drawn, (int(cx), int(cy)), (40, 90), 5, 0, 360, person, -1)
            cv2.circle(drawn, (int(cx), int(cy) - 120), 28, person, -1)
            for side in (-1, 1):
                swing = 60 * side * np.sin(0.25 * frame + phase)
                for start, end, thickness in ((80, 240, 32), (-60, 70, 20)):
                    ends = (int(cx + 15 * side), int(cy + start)), (int(cx + swing), int(cy + end))
                    cv2.line(drawn, *ends, person, thickness)
        places[:, 0] += rng.uniform(-3, 3, PEOPLE)
        # Trackers do not give smooth contours: every frame is displaced by its own smooth noise.
        noise = rng.normal(0, 1.6, (HEIGHT // 16, WIDTH // 16, 2)).astype(np.float32)
        shift = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        images.append(cv2.remap(drawn, x + shift[..., 0], y + shift[..., 1], cv2.INTER_NEAREST).astype(np.uint16))
    return images


def _ratio(name: str, numpys: float, ours: float, *, asked: float) -> Figure:
    ratio = numpys / ours
    measured = f"{ratio:.1f} x less CPU ({ours:.2f} against {numpys:.2f} ms per frame)"
    return Figure(name, f">= {asked:.0f} x less CPU than numpy", measured, ratio >= asked)


def _cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds per frame, the quickest of some rounds."""
    spent = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent) * 1e3 / FRAMES


if __name__ == "__main__":
    sys.exit(report(measure()))
