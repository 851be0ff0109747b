"""The figures: speed against the bare models and against transformers, memory by length, how busy the GPU is."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks import full_size_models
from benchmarks.figures import Figure, information
from benchmarks.gpu import clip, loops
from benchmarks.gpu.loops import PICTURES, Models
from benchmarks.gpu.stand_ins import CertainDetector, CertainTracker, rectangles
from benchmarks.gpu.watch import Watch
from common.models.devices import deterministic, resolve_dtype
from stages.segment.prompted.grounding_dino import GroundingDinoDetector
from stages.segment.prompted.sam2 import Sam2Tracker
from stages.segment.prompted.sam2_pictures import Picture
from tests import tiny_models

_STEP = 50  # frames between detections: the stage's default
_WARM = 20  # frames before a timed loop: kernels are chosen and memories are full


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        frames: of the videos.
        people: numbers of people to measure with.
        rivals: the number of people for the comparison with transformers.
        runs: of which the median counts.
        lengths: of the two videos between which memory is compared.
        compared: frames whose masks are compared.
        height: of the videos, pixels.
        width: likewise.
        detector: saves a Grounding DINO into a folder.
        tracker: saves a SAM 2.1 into a folder.
        compile: whether to measure torch.compile as well.
    """

    frames: int = 1000
    people: tuple[int, ...] = (1, 2, 4, 8)
    rivals: int = 4
    runs: int = 3
    lengths: tuple[int, int] = (500, 2000)
    compared: int = 60
    height: int = 1080
    width: int = 1920
    detector: Callable[[Path], Path] = field(default=full_size_models.save_grounding_dino)
    tracker: Callable[[Path], Path] = field(default=full_size_models.save_sam2)
    compile: bool = True


FULL = Scale()
QUICK = Scale(frames=200, people=(1, 4), runs=1, lengths=(100, 400), compile=False)


def measure(device: torch.device, scale: Scale, folder: Path) -> list[Figure]:
    """All figures, on one device.

    Args:
        device: where the models compute.
        scale: how much is measured.
        folder: empty; holds models, videos and results meanwhile: 4 GB.
    """
    deterministic()
    detector, tracker = scale.detector(folder / "detector"), scale.tracker(folder / "tracker")
    figures = [information("device", _name(device)), information("torch", torch.__version__)]
    figures += same_on_cpu(device, folder)
    figures += masks_of_transformers(device, scale, tracker)
    data = folder / "data"
    clip.write(data, scale.frames, height=scale.height, width=scale.width)
    for people in scale.people:
        figures += end_to_end(_models(device, scale, detector, tracker, people), data, scale, people)
    figures += speed_of_transformers(device, scale, tracker)
    figures += memory(device, scale, detector, tracker, folder)
    if scale.compile:
        figures += compiled(device, scale, tracker)
    return figures


def same_on_cpu(device: torch.device, folder: Path) -> list[Figure]:
    """Tiny models of random weights in float32: the same masks on this device as on a CPU."""
    weights = tiny_models.save_sam2_video(folder / "tiny")
    found = []
    for place in (torch.device("cpu"), device):
        tracker = Sam2Tracker(weights, device=place, dtype=torch.float32)
        pictures = [tracker.see(image) for image in clip.images(PICTURES, height=180, width=320)]
        given = tracker.outline(pictures[0], rectangles(3, height=180, width=320))
        results = loops.ours(tracker, pictures, given, frames=40)
        found.append(torch.stack([outlines.logits.float().cpu() for outlines in results]))
    same = ((found[0] > 0) == (found[1] > 0)).float().mean().item()
    return [Figure("tiny SAM 2, float32: pixels equal to the CPU's", ">= 99.9 %", f"{same:.3%}", ok=same >= 0.999)]


def masks_of_transformers(device: torch.device, scale: Scale, weights: Path) -> list[Figure]:
    """The masks of our batched loop and of transformers' one after the other, in float32."""
    tracker, pictures = _tracker(device, scale, weights, torch.float32)
    given = CertainTracker(tracker, height=scale.height, width=scale.width).outline(
        pictures[0], rectangles(scale.rivals, height=scale.height, width=scale.width)
    )
    ours = loops.ours(tracker, pictures, given, frames=scale.compared)
    theirs = loops.theirs(weights, pictures, given, frames=scale.compared, dtype=torch.float32)
    equal, inside = [], []
    for mine, other in zip(ours, theirs, strict=True):
        equal.append(((mine.logits > 0) == (other > 0)).float().mean().item())
        inside.append((other > 0).float().mean().item())
    worst = statistics.fmean(equal)
    return [
        Figure(
            f"{scale.rivals} people, float32, {scale.compared} frames: pixels equal to transformers'",
            ">= 99.9 %",
            f"{worst:.3%}",
            ok=worst >= 0.999,
        ),
        information("pixels inside of its masks, smallest and largest frame", f"{min(inside):.0%}, {max(inside):.0%}"),
    ]


def end_to_end(models: Models, data: Path, scale: Scale, people: int) -> list[Figure]:
    """From file to file against the models alone."""
    images = list(clip.images(PICTURES, height=scale.height, width=scale.width))
    boxes = rectangles(people, height=scale.height, width=scale.width)
    loops.bare(models, images, boxes, frames=_WARM)
    alone, whole = [], []
    with Watch(str(models.device.index or 0)) as watch:
        for _ in range(scale.runs):
            whole.append(loops.from_file(models, data, frames=scale.frames))
    for _ in range(scale.runs):
        alone.append(loops.bare(models, images, boxes, frames=scale.frames))
    bare, real = statistics.median(alone), statistics.median(whole)
    figures = [
        Figure(
            f"{people} people: frames/s from file to mask_data.npz over the bare models",
            ">= 0.90 x",
            f"{real / bare:.2f} x ({real:.1f} of {bare:.1f})",
            ok=real >= 0.9 * bare,
        )
    ]
    if watch.busy is not None:
        figures.append(Figure(f"{people} people: GPU busy", ">= 90 %", f"{watch.busy:.0%}", ok=watch.busy >= 0.9))
    return figures


def speed_of_transformers(device: torch.device, scale: Scale, weights: Path) -> list[Figure]:
    """SAM 2 alone, ours against transformers' own loop, in the precision that the stage would choose."""
    dtype = resolve_dtype("auto", device)
    tracker, pictures = _tracker(device, scale, weights, dtype)
    boxes = rectangles(scale.rivals, height=scale.height, width=scale.width)
    given = CertainTracker(tracker, height=scale.height, width=scale.width).outline(pictures[0], boxes)
    frames, warm = _timed_frames(scale)
    mine = statistics.median(
        loops.rate(loops.ours(tracker, pictures, given, frames=frames), device, frames=frames, warm=warm)
        for _ in range(scale.runs)
    )
    other = statistics.median(
        loops.rate(loops.theirs(weights, pictures, given, frames=frames, dtype=dtype), device, frames=frames, warm=warm)
        for _ in range(scale.runs)
    )
    return [
        Figure(
            f"{scale.rivals} people, SAM 2 alone: frames/s over transformers' own loop",
            ">= 1.50 x",
            f"{mine / other:.2f} x ({mine:.1f} of {other:.1f})",
            ok=mine >= 1.5 * other,
        )
    ]


def memory(device: torch.device, scale: Scale, detector: Path, tracker: Path, folder: Path) -> list[Figure]:
    """The most memory of the GPU that a long video takes, against a short one."""
    if device.type != "cuda":
        return []
    peaks = []
    for frames in scale.lengths:
        data = folder / f"data-{frames}"
        clip.write(data, frames, height=scale.height, width=scale.width)
        models = _models(device, scale, detector, tracker, scale.rivals)
        torch.cuda.reset_peak_memory_stats(device)
        loops.from_file(models, data, frames=frames)
        peaks.append(torch.cuda.max_memory_allocated(device))
        del models
    short, long = peaks
    return [
        Figure(
            f"{scale.rivals} people: GPU memory of {scale.lengths[1]:,} frames over {scale.lengths[0]}",
            "<= 1.05 x",
            f"{long / short:.3f} x ({long / 2**30:.2f} GiB)",
            ok=long <= 1.05 * short,
        )
    ]


def compiled(device: torch.device, scale: Scale, weights: Path) -> list[Figure]:
    """Whether compiling the image encoder pays back within a video: seconds with and without, compiling included."""
    dtype = resolve_dtype("auto", device)
    boxes = rectangles(1, height=scale.height, width=scale.width)
    plain_tracker, pictures = _tracker(device, scale, weights, dtype)
    given = CertainTracker(plain_tracker, height=scale.height, width=scale.width).outline(pictures[0], boxes)
    seconds = []
    for compile in (False, True):
        tracker, pictures = _tracker(device, scale, weights, dtype, compile=compile)
        results = loops.ours(tracker, pictures, given, frames=scale.frames)
        seconds.append(scale.frames / loops.rate(results, device, frames=scale.frames, warm=0))
    plain, faster = seconds
    return [
        information(
            f"torch.compile of the image encoder, 1 person, {scale.frames} frames",
            f"{faster:.1f} s with it, compiling included; {plain:.1f} s without",
        )
    ]


def _models(device: torch.device, scale: Scale, detector: Path, tracker: Path, people: int) -> Models:
    dtype = resolve_dtype("auto", device)
    boxes = rectangles(people, height=scale.height, width=scale.width)
    finds = GroundingDinoDetector(
        detector, prompt="person.", box_threshold=0.25, text_threshold=0.25, device=device, dtype=dtype
    )
    follows = Sam2Tracker(tracker, device=device, dtype=dtype)
    return Models(
        CertainDetector(finds, boxes),
        CertainTracker(follows, height=scale.height, width=scale.width),
        device,
        _STEP,
    )


def _tracker(
    device: torch.device, scale: Scale, weights: Path, dtype: torch.dtype, *, compile: bool = False
) -> tuple[Sam2Tracker, list[Picture]]:
    tracker = Sam2Tracker(weights, device=device, dtype=dtype, compile=compile)
    return tracker, [tracker.see(image) for image in clip.images(PICTURES, height=scale.height, width=scale.width)]


def _timed_frames(scale: Scale) -> tuple[int, int]:
    """Frames of a loop that is timed, and how many of them come before the clock starts."""
    frames = min(scale.frames, 300)
    return frames, min(_WARM, frames // 2)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
