"""SAM 2 as a mask tracker, by transformers' model and a memory of our own that neither grows nor takes turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import ModelUnavailable
from common.models.devices import Batches
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2_memory import MOST_TOGETHER, Sam2Memory
from stages.segment.prompted.sam2_model import Sam2Model
from stages.segment.prompted.sam2_pictures import Picture, PictureFeatures, squeezed
from stages.segment.prompted.transfer import upload


class Sam2Tracker:
    """Follows masks with SAM 2 or 2.1; a `protocols.MaskTracker`.

    Equal to transformers' own loop where that is given the same masks. Unlike there, people do not change each other: a
    mask that is given for one makes the memory of all others in that frame black and white, too.
    """

    def __init__(
        self, folder: Path, *, device: torch.device, dtype: torch.dtype = torch.float32, compile: bool = False
    ) -> None:
        """Loads the model.

        Args:
            folder: weights in the layout of `save_pretrained`, such as facebook/sam2.1-hiera-large.
            device: where it computes.
            dtype: in what; memories are bfloat16 in any case, as in the original.
            compile: see `Sam2Model`.

        Raises:
            ModelUnavailable: no such weights, or another version of transformers.
        """
        self._model = Sam2Model(folder, device=device, dtype=dtype, compile=compile)
        self._features = PictureFeatures(self._model.features, device=device, dtype=dtype)
        self._people = Batches("people", MOST_TOGETHER)

    def see(self, image: NDArray[np.uint8]) -> Picture:
        """A frame, (H, W, 3) uint8 RGB, on the model's device; see `protocols.MaskTracker.see`."""
        return squeezed(image, self._model.side, self._model.device)

    def outline(self, picture: Picture, boxes: NDArray[np.float32]) -> Outlines:
        """The instances in boxes; see `protocols.MaskTracker.outline`.

        Raises:
            ModelUnavailable: the device has too little memory for a single box, or the precision is too coarse.
        """
        side = self._model.side
        if not len(boxes):
            nothing = torch.empty((0, side // 4, side // 4), device=self._model.device, dtype=self._model.dtype)
            return Outlines((), nothing, nothing.new_empty(0))
        features = self._features.of(picture)
        if self._model.dtype == torch.float16 and not bool(torch.isfinite(features.coarse).all()):
            raise ModelUnavailable(  # all masks would silently be empty
                "SAM 2 leaves the range of float16. Choose --precision bfloat16, if the GPU has it, or float32."
            )
        scale = np.array([side / picture.width, side / picture.height] * 2)
        corners = upload((boxes * scale).astype(np.float32), self._model.device)

        def decoded(rows: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
            found = self._model.from_boxes(features, corners[rows[0] : rows[-1] + 1])
            return list(zip(found.logits[:, 0], found.presence[:, 0, 0], strict=True))

        found = self._people.run(decoded, range(len(boxes)))
        return Outlines(
            tuple(range(len(boxes))),
            torch.stack([logits for logits, _ in found]),
            torch.stack([presence for _, presence in found]),
        )

    def memory(self, *, reverse: bool = False) -> Sam2Memory:
        """An empty memory, for a pass forwards or backwards."""
        return Sam2Memory(self._model, self._features, self._people, reverse=reverse)
