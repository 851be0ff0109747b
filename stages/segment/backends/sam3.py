"""SAM 3 finds and follows what a prompt names, in one model: what the original's later version uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch

from common.device_names import RanOn
from common.models.devices import announce, deterministic, resolve, resolve_dtype
from common.models.heap import keep_large_blocks_apart
from common.weights import store
from stages.segment.backends import TrackFrame
from stages.segment.prompted.sam3_follower import Sam3
from stages.segment.prompted.sam3_stream import follow
from stages.segment.prompted.track_frames import track_frames

if TYPE_CHECKING:
    from common.media.decode import Frame
    from stages.segment.stage import Options


class ConceptSegmenter:
    """A loaded SAM 3; see `VideoSegmenter`."""

    gives_landmarks = False
    remark = ""

    def __init__(self, sam3: Sam3) -> None:
        """Remembers it.

        Args:
            sam3: the model, with what it looks for.
        """
        self._sam3 = sam3
        self.runs_elsewhere = sam3.device.type != "cpu"
        self.ran_on = RanOn.of(sam3.device, sam3.dtype)
        if not self.runs_elsewhere:
            keep_large_blocks_apart()

    def segment(self, frames: Iterable[Frame]) -> Iterator[TrackFrame]:
        """One result per frame, in order; `sam3_stream.delay` frames after the input, and on a GPU some more.

        Raises:
            ModelUnavailable: the device has too little memory, or the precision is too coarse.
        """
        return track_frames(follow(frames, self._sam3))


class Sam3Segmenter(ConceptSegmenter):
    """SAM 3, loaded from the verified weights."""

    def __init__(self, options: Options) -> None:
        """Loads it.

        Raises:
            UsageError: the prompt names nothing that it can look for.
            ModelUnavailable: weights, packages or the device are not there.
        """
        device = resolve(options.device)
        dtype = resolve_dtype(options.precision, device)
        if options.precision == "auto" and dtype == torch.float16:
            dtype = torch.float32  # its features overflow float16, all that GPUs before Ampere have of half precision
        remark = announce(options.device, device, dtype)
        deterministic()
        super().__init__(Sam3(store.folder("sam3"), prompt=options.prompt, device=device, dtype=dtype))
        self.remark = remark
