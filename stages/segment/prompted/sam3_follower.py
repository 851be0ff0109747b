"""SAM 3 through one video, frame by frame: everybody whom it sees, by its own numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from common.models.devices import memory_explained
from stages.segment.prompted.prompts import phrases_of
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2_pictures import squeezed
from stages.segment.prompted.sam3_model import CorrectedSam3
from stages.segment.prompted.sam3_session import Reach, StreamSession
from stages.segment.prompted.sam3_words import read

SEEN = 0.3
"""The least score of a detection; the setting of the original's later version. SAM 3's own is 0.5."""

NEW = 0.4
"""The least score of a detection that nobody is known for, to be somebody new; likewise, 0.7."""


_MIDDLE = 127.5  # SAM 3 was trained on pixels in [-1, 1]


@dataclass(frozen=True)
class Thresholds:
    """How sure SAM 3 must be, each in [0, 1].

    Attributes:
        seen: of a detection, to count at all.
        new: of a detection that fits nobody, to begin a track.
    """

    seen: float = SEEN
    new: float = NEW


@dataclass(frozen=True, eq=False)
class Found:
    """What SAM 3 says about one frame.

    Attributes:
        outlines: masks of those who are there; numbers as SAM 3 counts them, ascending from 0.
        scores: of the detection that each began with, in [0, 1].
        class_names: the phrase that found each.
        taken_back: numbers that were mistakes, or others again, in this frame and all before.
    """

    outlines: Outlines
    scores: dict[int, float]
    class_names: dict[int, str]
    taken_back: frozenset[int]


class Sam3:
    """The loaded model and what it shall look for.

    Attributes:
        device: where it computes.
        dtype: in what.
        side: of the square pictures that it works on, pixels.
    """

    def __init__(
        self,
        folder: Path,
        *,
        prompt: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Loads it.

        Args:
            folder: in the layout of `save_pretrained`, such as facebook/sam3, with the tokenizer.
            prompt: see `prompts.phrases_of`; each phrase is looked for by itself.
            device: where it computes.
            dtype: in what.
            thresholds: how sure it must be.

        Raises:
            ModelUnavailable: no such weights, or another version of transformers.
            UsageError: a prompt that names nothing, or a phrase that is too long.
        """
        chosen = thresholds or Thresholds()
        phrases = phrases_of(prompt)
        self.model = CorrectedSam3.load(folder, device=device, dtype=dtype)
        self.model.score_threshold_detection = chosen.seen
        self.model.new_det_thresh = chosen.new
        self.phrases = read(folder, phrases, device=device)
        self.device, self.dtype = device, dtype
        self.side = int(self.model.config.image_size)

    @property
    def doubt(self) -> int:
        """Frames, its first among them, after which an object is not taken back any more; 0 if none ever is."""
        return int(self.model.hotstart_delay)

    def follower(self) -> Sam3Follower:
        """For one video."""
        return Sam3Follower(self)


class Sam3Follower:
    """One video's memory of who is who. It grows with the number of objects, not with the video."""

    def __init__(self, sam3: Sam3) -> None:
        """Nothing has been seen.

        Args:
            sam3: the model.
        """
        self._sam3 = sam3
        self.session = StreamSession(device=sam3.device, dtype=sam3.dtype)
        for phrase in sam3.phrases:
            key = self.session.add_prompt(phrase.text)
            self.session.prompt_input_ids[key] = phrase.pieces
            self.session.prompt_attention_masks[key] = phrase.mask
        self._reach = Reach.of(sam3.model)
        self._index = 0

    @property
    def followed(self) -> tuple[int, ...]:
        """Numbers of all whom it looks for in the next frame, seen or not."""
        return tuple(self.session.obj_ids)

    def follow(self, image: NDArray[np.uint8]) -> Found:
        """The next frame, (H, W, 3) uint8 RGB.

        Raises:
            ModelUnavailable: the device has too little memory, or the precision is too coarse.
        """
        # Everyone that was ever seen takes memory and time, so how many they are says what may help.
        where = f"in SAM 3's frame {self._index} with {len(self.followed)} people or things"
        with memory_explained(where, "a prompt that names fewer things", "--backend gdino-sam2"):
            return self._follow(image)

    def forget(self, numbers: Collection[int]) -> None:
        """Looks for these no longer: should they come back, they are new."""
        self.session.forget(numbers)

    def _follow(self, image: NDArray[np.uint8]) -> Found:
        sam3, session = self._sam3, self.session
        pixels = squeezed(image, sam3.side, sam3.device).pixels
        session.add_new_frame(((pixels.float() - _MIDDLE) / _MIDDLE).to(sam3.dtype), self._index)
        # With the frame as an argument transformers would take nobody back, since it publishes at once.
        output = sam3.model(inference_session=session, frame_idx=self._index)
        taken_back = frozenset(output.removed_obj_ids)
        hidden = taken_back | output.suppressed_obj_ids
        numbers = tuple(sorted(number for number in output.obj_id_to_mask if number not in hidden))
        found = Found(
            self._outlines(numbers, output.obj_id_to_mask),
            {number: float(output.obj_id_to_score[number]) for number in numbers},
            {number: session.prompts[session.obj_id_to_prompt_id[number]] for number in numbers},
            taken_back,
        )
        session.let_go(self._index, self._reach)
        self._index += 1
        return found

    def _outlines(self, numbers: tuple[int, ...], masks: dict[int, torch.Tensor]) -> Outlines:
        if numbers:
            logits = torch.cat([masks[number] for number in numbers])
        else:
            size = self._sam3.model.low_res_mask_size
            logits = torch.zeros((0, size, size), device=self._sam3.device, dtype=self._sam3.dtype)
        return Outlines(numbers, logits, torch.ones(len(numbers), device=self._sam3.device))
