"""Grounding DINO finds what a text names (Liu et al. 2023, arXiv 2303.05499), by transformers' model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

from common.errors import ModelUnavailable, UsageError
from common.models.devices import Batches
from stages.segment.prompted.pretrained import load, require_transformers
from stages.segment.prompted.prompts import as_caption, phrases_of
from stages.segment.prompted.protocols import Detections
from stages.segment.prompted.transfer import upload

SAME = 0.8
"""Two boxes of one class that overlap by more (IoU) are the same thing: the model has no such rule of its own and now
and then answers twice. People who stand one behind the other rarely reach 0.7. Chosen by hand."""

_FULL_STOP = 1012
_ENDS = frozenset((101, 102, _FULL_STOP, 1029))
"""Token ids between phrases: start, end, full stop, question mark. The model's own code knows them by number."""


class GroundingDinoDetector:
    """Finds instances in single frames; a `protocols.InstanceDetector`.

    In half precision weights stay float32 and only matrix products and convolutions are rounded (autocast). The whole
    model in bfloat16 would move boxes by several pixels: coordinates in [0, 1] have steps of 1/256 there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        prompt: str,
        box_threshold: float,
        text_threshold: float,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Loads the model and reads the prompt.

        Args:
            folder: in the layout of `save_pretrained`, such as IDEA-Research/grounding-dino-tiny.
            prompt: see `prompts.phrases_of`.
            box_threshold: the least score of a box, in [0, 1].
            text_threshold: the least probability that it is the thing which it is taken for, in [0, 1].
            device: where it computes.
            dtype: of matrix products and convolutions.

        Raises:
            ModelUnavailable: no such weights, or another version of transformers.
            UsageError: a prompt that names nothing, something that the model has no word for, or too much.
        """
        require_transformers("Grounding DINO")
        self._phrases = phrases_of(prompt)
        self._thresholds = box_threshold, text_threshold
        self._device, self._dtype = device, dtype
        try:
            processor = GroundingDinoProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
            raise ModelUnavailable(
                f"{folder}: the tokenizer or the picture's size is missing ({str(error).splitlines()[0]}). "
                "Fetch the model with `ghost weights fetch`."
            ) from error
        if processor.tokenizer.convert_tokens_to_ids(".") != _FULL_STOP:  # transformers makes up one that is not there
            raise ModelUnavailable(f"{folder}: the tokenizer is missing. Fetch the model with `ghost weights fetch`.")
        self._model = load(GroundingDinoForObjectDetection, folder, device=device)
        size = processor.image_processor.size
        self._edges = int(size["shortest_edge"]), int(size["longest_edge"])
        self._mean = torch.tensor(processor.image_processor.image_mean, device=device)[:, None, None]
        self._deviation = torch.tensor(processor.image_processor.image_std, device=device)[:, None, None]
        text = processor.tokenizer([as_caption(self._phrases)], return_tensors="pt", return_token_type_ids=True)
        self._spans = self._spans_of(text["input_ids"][0].tolist(), processor.tokenizer.unk_token_id)
        self._text = {name: values.to(device) for name, values in text.items()}
        self._pictures = Batches("frames, at the size that Grounding DINO wants")

    @property
    def phrases(self) -> tuple[str, ...]:
        """What it looks for: the class names that detections can have."""
        return self._phrases

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """All instances in an (H, W, 3) uint8 RGB image, best first; boxes from the frame's left and top edge.

        Raises:
            ModelUnavailable: the device has too little memory for one frame, or the precision is too coarse.
        """
        (found,) = self._pictures.run(lambda images: [self._detect(one) for one in images], [image])
        return found

    @torch.no_grad()
    def _detect(self, image: NDArray[np.uint8]) -> Detections:
        height, width = image.shape[:2]
        pixels = self._prepared(image)
        mask = torch.ones((1, *pixels.shape[-2:]), dtype=torch.int64, device=self._device)
        with torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype != torch.float32):
            output = self._model(pixel_values=pixels, pixel_mask=mask, **self._text)
        probabilities = output.logits[0].float().sigmoid().cpu().numpy()
        if self._dtype == torch.float16 and np.isnan(probabilities).any():
            raise ModelUnavailable(  # nobody would ever be found
                "Grounding DINO leaves the range of float16. "
                "Choose --precision bfloat16, if the GPU has it, or float32."
            )
        centres, sizes = np.split(output.pred_boxes[0].float().cpu().numpy(), 2, axis=1)
        frame = np.array([width, height] * 2, np.float32)
        boxes = np.clip(np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1) * frame, 0, frame)
        scores = probabilities.max(axis=1)
        named = np.stack([probabilities[:, span].max(axis=1) for span in self._spans], axis=1)
        classes = named.argmax(axis=1)
        box_threshold, text_threshold = self._thresholds
        whole = (boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)  # less than a pixel is nothing
        chosen = np.flatnonzero((scores > box_threshold) & (named.max(axis=1) > text_threshold) & whole)
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
        chosen = chosen[distinct(boxes[chosen], classes[chosen])]
        return Detections(
            boxes[chosen].astype(np.float32),
            scores[chosen].astype(np.float32),
            tuple(self._phrases[kind] for kind in classes[chosen]),
        )

    def _prepared(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """(1, 3, h, w) float32: what the model's own image processor makes of an image, made on the device."""
        size = fitting(image.shape[0], image.shape[1], *self._edges)
        planes = upload(image, self._device).permute(2, 0, 1)[None].float()
        resized = F.interpolate(planes, size=size, mode="bilinear", align_corners=False, antialias=True)
        normalised: torch.Tensor = (resized.round().clamp(0, 255) / 255 - self._mean) / self._deviation
        return normalised

    def _spans_of(self, tokens: Sequence[int], unknown: int) -> list[list[int]]:
        """Where in the text the tokens of each phrase are."""
        most = int(self._model.config.max_text_len)
        if len(tokens) > most:
            raise UsageError(
                f"--prompt: Grounding DINO reads {most} word pieces, got {len(tokens)}. Name fewer things."
            )
        spans: list[list[int]] = [[]]
        for place, token in enumerate(tokens):
            if token not in _ENDS:
                spans[-1].append(place)
            elif spans[-1]:
                spans.append([])
        spans = [span for span in spans if span]
        for phrase, span in zip(self._phrases, spans, strict=True):
            if all(tokens[place] == unknown for place in span):
                raise UsageError(f"--prompt: Grounding DINO has no word for {phrase!r}. Name it in English.")
        return spans


def fitting(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """The size (height, width) at which Grounding DINO looks at a frame, rounded as its image processor rounds.

    Args:
        height: of the frame, pixels.
        width: likewise.
        shortest: what the shorter side becomes,
        longest: unless the longer one would exceed this.
    """
    small, large = min(height, width), max(height, width)
    exact = min(float(shortest), longest * small / large)
    short, long = round(exact), int(exact * large / small)
    if short == small:
        return height, width
    return (short, long) if height <= width else (long, short)


def distinct(boxes: NDArray[np.floating], classes: NDArray[np.integer], *, threshold: float = SAME) -> list[int]:
    """Which boxes to keep so that nothing is there twice: non-maximum suppression within each class.

    Args:
        boxes: (n, 4) xyxy, best first.
        classes: (n,).
        threshold: the IoU above which two are the same.

    Returns:
        Indices, ascending.
    """
    kept: list[int] = []
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for index, box in enumerate(boxes):
        alike = [other for other in kept if classes[other] == classes[index]]
        overlaps = np.minimum(box[2:], boxes[alike, 2:]) - np.maximum(box[:2], boxes[alike, :2])
        common = np.prod(np.clip(overlaps, 0, None), axis=1)
        if not np.any(common > threshold * (areas[index] + areas[alike] - common)):
            kept.append(index)
    return kept
