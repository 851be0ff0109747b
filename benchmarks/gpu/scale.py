"""How much is measured, and the models and frames that it is measured with."""

from __future__ import annotations

import functools
import gc
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import full_size_models
from benchmarks.gpu import clip, loops
from benchmarks.gpu.loops import PICTURES, Models
from benchmarks.gpu.parts import PARTS, QUICK_PARTS
from benchmarks.gpu.progress import say
from benchmarks.gpu.stand_ins import CertainDetector, CertainTracker, rectangles
from common.models.devices import resolve_dtype
from stages.segment.prompted.grounding_dino import GroundingDinoDetector
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2 import Sam2Tracker
from stages.segment.prompted.sam2_pictures import Picture

WARM = 20
"""Frames before a timed loop: kernels are loaded and memories are full."""

_STEP = 50  # frames between detections: the stage's default


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        frames: of the video that becomes masks, and of what is compiled for.
        timed: frames of the loops without files, those before the clock starts included.
        people: numbers of people to measure with from file to file.
        rivals: the number of people in all other figures.
        runs: of which the median counts; fewer where they would take longer than `seconds`.
        lengths: of the two videos between which memory is compared.
        compared: frames whose masks are compared.
        seconds: after which a part begins no further runs.
        watched: whether the videos are long enough to ask that the GPU's load be measured on a CUDA device.
        height: of the videos, pixels.
        width: likewise.
        detector: saves a Grounding DINO into a folder.
        tracker: saves a SAM 2.1 into a folder.
        parts: which figures; some of PARTS.
    """

    frames: int = 1000
    timed: int = 300
    people: tuple[int, ...] = (1, 2, 4, 8)
    rivals: int = 4
    runs: int = 3
    lengths: tuple[int, int] = (500, 2000)
    compared: int = 60
    seconds: float = 420.0
    watched: bool = True
    height: int = 1080
    width: int = 1920
    detector: Callable[[Path], Path] = field(default=full_size_models.save_grounding_dino)
    tracker: Callable[[Path], Path] = field(default=full_size_models.save_sam2)
    parts: tuple[str, ...] = PARTS


FULL = Scale()
QUICK = Scale(
    frames=80,  # more than the driver holds back
    timed=60,
    people=(1, 4),
    runs=1,
    lengths=(80, 120),
    compared=12,
    watched=False,
    parts=QUICK_PARTS,
)


class Bench:
    """What all figures are measured with: models, loaded once, and videos, written once.

    Attributes:
        device: where the models compute.
        scale: how much is measured.
        folder: for weights, videos and results; kept and emptied by who made it.
    """

    def __init__(self, device: torch.device, scale: Scale, folder: Path) -> None:
        self.device, self.scale, self.folder = device, scale, folder
        self.rival = functools.cache(self._rival)
        self._tracker = functools.cache(self._load_tracker)
        self._detector = functools.cache(self._load_detector)

    @property
    def dtype(self) -> torch.dtype:
        """The precision that the stage would choose."""
        return resolve_dtype("auto", self.device)

    def prepare(self) -> None:
        """Makes the weights, unless they lie in the folder."""
        for name in ("detector", "tracker"):
            say(f"{name}: weights")
            self._weights(name)

    def release(self) -> None:
        """Lets go of all models, so that their memory is not counted."""
        for loaded in (self.rival, self._tracker, self._detector):
            loaded.cache_clear()
        gc.collect()  # what is in cycles of references
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def models(self, people: int) -> Models:
        """Detector and tracker that find so many people, in the precision that the stage would choose."""
        height, width = self.scale.height, self.scale.width
        boxes = rectangles(people, height=height, width=width)
        certain = CertainTracker(self._tracker(self.dtype), height=height, width=width)
        return Models(CertainDetector(self._detector(), boxes), certain, self.device, _STEP, people)

    def sam2(self, dtype: torch.dtype, *, compile: bool = False) -> tuple[Sam2Tracker, list[Picture]]:
        """The tracker, and frames on its device."""
        tracker = self._load_tracker(dtype, compile=True) if compile else self._tracker(dtype)
        images = clip.images(PICTURES, height=self.scale.height, width=self.scale.width)
        return tracker, [tracker.see(image) for image in images]

    def given(self, tracker: Sam2Tracker, picture: Picture, people: int) -> Outlines:
        """Masks of so many people to begin with."""
        height, width = self.scale.height, self.scale.width
        certain = CertainTracker(tracker, height=height, width=width)
        return certain.outline(picture, rectangles(people, height=height, width=width))

    def video(self, frames: int) -> Path:
        """A data root with a video of so many frames."""

        def write(folder: Path) -> Path:
            encoded = self.folder / "encoded"
            encoded.mkdir(exist_ok=True)
            return clip.write(folder, frames, height=self.scale.height, width=self.scale.width, encoded=encoded)

        return self._made(f"video-{frames}", write)

    def _rival(self, dtype: torch.dtype) -> Any:  # noqa: ANN401 - see loops.rival
        return loops.rival(self._weights("tracker"), device=self.device, dtype=dtype)

    def _load_tracker(self, dtype: torch.dtype, *, compile: bool = False) -> Sam2Tracker:
        return Sam2Tracker(self._weights("tracker"), device=self.device, dtype=dtype, compile=compile)

    def _load_detector(self) -> GroundingDinoDetector:
        return GroundingDinoDetector(
            self._weights("detector"),
            prompt="person.",
            box_threshold=0.25,
            text_threshold=0.25,
            device=self.device,
            dtype=self.dtype,
        )

    def _weights(self, name: str) -> Path:
        return self._made(name, self.scale.detector if name == "detector" else self.scale.tracker)

    def _made(self, name: str, make: Callable[[Path], Path]) -> Path:
        """What `make` puts into a folder of this name; what a process that failed has left half done is made anew."""
        target, unfinished = self.folder / name, self.folder / f"{name}.unfinished"
        if not target.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(target)
        return target
