"""Grounding DINO finds people on key frames, SAM 2 follows them through the frames between: the original's models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from common.device_names import RanOn
from common.models.devices import announce, deterministic, resolve, resolve_dtype
from common.models.heap import keep_large_blocks_apart
from common.weights import store
from stages.segment.backends import TrackFrame
from stages.segment.prompted.driver import DriverSettings, follow
from stages.segment.prompted.grounding_dino import GroundingDinoDetector
from stages.segment.prompted.protocols import InstanceDetector, MaskTracker
from stages.segment.prompted.sam2 import Sam2Tracker
from stages.segment.prompted.sam2_package import Sam2PackageTracker
from stages.segment.prompted.track_frames import track_frames

if TYPE_CHECKING:
    from common.media.decode import Frame
    from stages.segment.stage import Options


class PromptedSegmenter:
    """Any detector and any mask tracker, through the driver; see `VideoSegmenter`."""

    gives_landmarks = False
    remark = ""

    def __init__(
        self, detector: InstanceDetector, tracker: MaskTracker[Any], *, settings: DriverSettings, device: torch.device
    ) -> None:
        """Remembers them.

        Args:
            detector: finds.
            tracker: follows.
            settings: of the driver.
            device: where both compute.
        """
        self._detector, self._tracker, self._settings = detector, tracker, settings
        self.runs_elsewhere = device.type != "cpu"
        self.ran_on = RanOn.of(device)
        if not self.runs_elsewhere:
            keep_large_blocks_apart()

    def segment(self, frames: Iterable[Frame]) -> Iterator[TrackFrame]:
        """One result per frame, in order; `held_masks.MOST_HELD` frames after the input, and on a GPU some more."""
        followed = follow(frames, detector=self._detector, tracker=self._tracker, settings=self._settings)
        return track_frames(followed)


class GdinoSam2Segmenter(PromptedSegmenter):
    """The two models, loaded from the verified weights."""

    def __init__(self, options: Options) -> None:
        """Loads them.

        Raises:
            UsageError: the prompt names nothing that the detector can look for.
            ModelUnavailable: weights, packages or the device are not there.
        """
        device = resolve(options.device)
        dtype = resolve_dtype(options.precision, device)
        remark = announce(options.device, device, dtype)
        deterministic()
        detector = GroundingDinoDetector(
            store.folder(options.detector),
            prompt=options.prompt,
            box_threshold=options.box_threshold,
            text_threshold=options.text_threshold,
            device=device,
            dtype=dtype,
        )
        tracker = _tracker(options, device, dtype)
        super().__init__(detector, tracker, settings=DriverSettings(options.detection_step), device=device)
        self.remark = remark
        self.ran_on = RanOn.of(device, dtype)


def _tracker(options: Options, device: torch.device, dtype: torch.dtype) -> MaskTracker[Any]:
    if options.sam2_implementation == "sam2":
        return Sam2PackageTracker(
            options.tracker, store.path(f"{options.tracker}-original"), device=device, dtype=dtype
        )
    return Sam2Tracker(store.folder(options.tracker), device=device, dtype=dtype)
