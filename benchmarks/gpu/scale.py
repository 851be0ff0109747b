"""How much is measured, and the models and frames that it is measured with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks import full_size_models
from benchmarks.gpu import clip
from benchmarks.gpu.loops import PICTURES, Models
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.stand_ins import CertainDetector, CertainTracker, rectangles
from common.models.devices import resolve_dtype
from stages.segment.prompted.grounding_dino import GroundingDinoDetector
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2 import Sam2Tracker
from stages.segment.prompted.sam2_pictures import Picture

WARM = 20
"""Frames before a timed loop: kernels are chosen and memories are full."""

_STEP = 50  # frames between detections: the stage's default


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        frames: of the videos.
        people: numbers of people to measure with from file to file.
        rivals: the number of people in all other figures.
        runs: of which the median counts.
        lengths: of the two videos between which memory is compared.
        compared: frames whose masks are compared.
        height: of the videos, pixels.
        width: likewise.
        detector: saves a Grounding DINO into a folder.
        tracker: saves a SAM 2.1 into a folder.
        parts: which figures; some of PARTS.
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
    parts: tuple[str, ...] = PARTS


FULL = Scale()
QUICK = Scale(
    frames=200, people=(1, 4), runs=1, lengths=(100, 400), parts=tuple(part for part in PARTS if part != "compile")
)


@dataclass(frozen=True)
class Bench:
    """What all figures are measured with.

    Attributes:
        device: where the models compute.
        scale: how much is measured.
        detector: weights of a Grounding DINO, in the layout of `save_pretrained`.
        tracker: likewise of a SAM 2.1.
        folder: for videos and results; emptied by who made it.
    """

    device: torch.device
    scale: Scale
    detector: Path
    tracker: Path
    folder: Path

    def models(self, people: int) -> Models:
        """Detector and tracker that find so many people, in the precision that the stage would choose."""
        dtype = resolve_dtype("auto", self.device)
        finds = GroundingDinoDetector(
            self.detector, prompt="person.", box_threshold=0.25, text_threshold=0.25, device=self.device, dtype=dtype
        )
        follows = Sam2Tracker(self.tracker, device=self.device, dtype=dtype)
        height, width = self.scale.height, self.scale.width
        boxes = rectangles(people, height=height, width=width)
        certain = CertainTracker(follows, height=height, width=width)
        return Models(CertainDetector(finds, boxes), certain, self.device, _STEP)

    def sam2(self, dtype: torch.dtype, *, compile: bool = False) -> tuple[Sam2Tracker, list[Picture]]:
        """The tracker, and frames on its device."""
        tracker = Sam2Tracker(self.tracker, device=self.device, dtype=dtype, compile=compile)
        images = clip.images(PICTURES, height=self.scale.height, width=self.scale.width)
        return tracker, [tracker.see(image) for image in images]

    def given(self, tracker: Sam2Tracker, picture: Picture, people: int) -> Outlines:
        """Masks of so many people to begin with."""
        height, width = self.scale.height, self.scale.width
        certain = CertainTracker(tracker, height=height, width=width)
        return certain.outline(picture, rectangles(people, height=height, width=width))
