"""Frames in SAM 2's form: squeezed to a square on the device, and their features while they are looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from stages.segment.prompted.transfer import upload

Seen = TypeVar("Seen")
"""What an image encoder makes of a picture."""

ENDLESS = sys.maxsize
"""The number of frames of a video whose end is not known, for models that ask for one: they only compare with it."""

MEAN = (0.485, 0.456, 0.406)
"""Of red, green and blue in [0, 1], as SAM 2 was trained (ImageNet's)."""

DEVIATION = (0.229, 0.224, 0.225)
"""Likewise."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame as SAM 2 sees it.

    Attributes:
        pixels: (3, side, side) uint8 RGB on the model's device; 3 MB with the published weights.
        height: of the frame that it was, pixels.
        width: likewise.
    """

    pixels: torch.Tensor
    height: int
    width: int


def squeezed(image: NDArray[np.uint8], side: int, device: torch.device) -> Picture:
    """An (H, W, 3) uint8 RGB image stretched to a square, bilinear with averaging, rounded to whole grey levels.

    A pixel differs by one grey level at most from what SAM 2's own predictor for single images and transformers'
    processor make of it. SAM 2's own loader of videos resizes otherwise: bicubic, by Pillow.
    """
    height, width = image.shape[:2]
    planes = upload(image, device).permute(2, 0, 1)[None].float()
    square = F.interpolate(planes, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return Picture(square[0].round().clamp(0, 255).to(torch.uint8), height, width)


class Normalisation:
    """From pixels to what the image encoder takes."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._mean = torch.tensor(MEAN, device=device)[:, None, None]
        self._deviation = torch.tensor(DEVIATION, device=device)[:, None, None]
        self._dtype = dtype

    def __call__(self, picture: Picture) -> torch.Tensor:
        """(1, 3, side, side) in the model's type."""
        return ((picture.pixels.float() / 255 - self._mean) / self._deviation).to(self._dtype)[None]


class PictureFeatures(Generic[Seen]):
    """What the image encoder sees in the picture that was asked for last, computed once however many ask.

    With the published weights 17 MB in float32.
    """

    def __init__(self, encode: Callable[[torch.Tensor], Seen], *, device: torch.device, dtype: torch.dtype) -> None:
        """Nothing was asked for yet.

        Args:
            encode: the image encoder; takes (1, 3, side, side), normalised.
            device: where it computes.
            dtype: of what it takes.
        """
        self._encode = encode
        self._normalised = Normalisation(device, dtype)
        self._latest: tuple[Picture, Seen] | None = None

    def of(self, picture: Picture) -> Seen:
        """What the image encoder sees in a picture."""
        if self._latest is None or self._latest[0] is not picture:
            self._latest = None  # before the next one is made, or both would be there
            self._latest = picture, self._encode(self._normalised(picture))
        return self._latest[1]
