"""Whether memory grows with the length of a video: 1080p through gdino-sam2 with tiny models, from file to masks."""

from __future__ import annotations

import itertools
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path

from benchmarks.cut import loop
from benchmarks.figures import Figure
from benchmarks.gpu import clip

HEIGHT, WIDTH = 1080, 1920
LENGTHS = (500, 10_000)
_SECONDS = 2  # of the clip that is repeated; making frames takes longer than encoding them


def measure(lengths: tuple[int, int] = LENGTHS, *, people: int = 2) -> list[Figure]:
    """Peak memory of a long video over that of a short one, and how much SAM 2 remembers meanwhile.

    Takes 0.2 s for each frame on one core: half an hour for 10,000.
    """
    with tempfile.TemporaryDirectory(prefix="ghost-memory-") as folder:
        scratch = Path(folder)
        short = clip.write(scratch / "short", round(_SECONDS * clip.RATE), height=HEIGHT, width=WIDTH)
        peaks = []
        for frames in lengths:
            long = scratch / str(frames) / short.relative_to(scratch / "short")
            long.parent.mkdir(parents=True)
            rate = Fraction(clip.RATE).limit_denominator()
            loop(short, long, seconds=float(frames / rate), rate=rate, size=(WIDTH, HEIGHT))
            # A process of its own for each, or the second would begin with the memory of the first.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                peaks.append(pool.submit(peak_of, scratch / str(frames), frames, people).result())
    (few, least), (many, most) = zip(lengths, peaks, strict=True)
    states = states_of(people)
    return [
        Figure(
            f"gdino-sam2, tiny models, 1080p: peak memory of {many:,} frames over {few}",
            "< 1.2 x",
            f"{most / least:.3f} x ({most / 1e6:.0f} of {least / 1e6:.0f} MB)",
            ok=most < 1.2 * least,
        ),
        Figure(
            "what SAM 2 remembers after 400 frames over 20",
            "<= 1 x",
            f"{states[-1] / states[20]:.3f} x",
            ok=max(states[20:]) <= states[20],
        ),
    ]


def peak_of(data: Path, frames: int, people: int) -> int:
    """Bytes that this process holds at most while it makes the masks of a video."""
    import torch

    from benchmarks.gpu.loops import Models, from_file
    from benchmarks.gpu.stand_ins import CertainDetector, CertainTracker, rectangles
    from benchmarks.peak_memory import peak_bytes
    from stages.segment.prompted.grounding_dino import GroundingDinoDetector
    from stages.segment.prompted.sam2 import Sam2Tracker
    from tests import tiny_models

    torch.set_num_threads(1)
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory(prefix="ghost-memory-") as folder:
        detector = GroundingDinoDetector(
            tiny_models.grounding_dino(Path(folder) / "detector"),
            prompt="person.", box_threshold=0.25, text_threshold=0.25, device=device,
        )  # fmt: skip
        tracker = Sam2Tracker(tiny_models.save_sam2_video(Path(folder) / "tracker"), device=device)
        models = Models(
            CertainDetector(detector, rectangles(people, height=HEIGHT, width=WIDTH)),
            CertainTracker(tracker, height=HEIGHT, width=WIDTH),
            device,
            step=50,
        )
        from_file(models, data, frames=frames)
    return peak_bytes()


def states_of(people: int, *, frames: int = 400) -> list[int]:
    """Bytes of all tensors in SAM 2's memory after each of so many frames."""
    import torch

    from benchmarks.gpu.stand_ins import rectangles
    from stages.segment.prompted.sam2 import Sam2Tracker
    from tests import tiny_models

    height, width = 90, 160
    with tempfile.TemporaryDirectory(prefix="ghost-memory-") as folder:
        tracker = Sam2Tracker(tiny_models.save_sam2_video(Path(folder)), device=torch.device("cpu"))
    pictures = [tracker.see(image) for image in clip.images(16, height=height, width=width)]
    memory = tracker.memory()
    memory.remember(pictures[0], 0, tracker.outline(pictures[0], rectangles(people, height=height, width=width)))
    sizes = []
    for index, picture in enumerate(itertools.islice(itertools.cycle(pictures), frames), start=1):
        memory.follow(picture, index)
        sizes.append(sum(part.nbytes for part in memory.tensors()))
    return sizes
