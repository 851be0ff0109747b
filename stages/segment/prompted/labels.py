"""One label image out of soft masks, on the device: who has which pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

MOST = 65535
"""The largest id that a label image can hold."""


@torch.no_grad()
def exclusive_labels(logits: torch.Tensor, ids: Sequence[int], *, height: int, width: int) -> torch.Tensor:
    """Each pixel's person: the one whose mask is surest there, and above 0 at all.

    Masks are enlarged bilinearly, corners not aligned, as SAM 2's own code does. At equal values the lower id has the
    pixel, whatever the order of the masks; NaN means "not here". One mask of the frame's size at a time is held beside
    the result: 14 bytes for each of the frame's pixels, with 20 people as with one.

    Args:
        logits: (n, h, w) floating, on any device; the whole frame at any resolution.
        ids: of the n people, different ones in 1..65535.
        height: of the frame, pixels.
        width: likewise.

    Returns:
        (height, width) uint16 on that device, 0 where nobody is.

    Raises:
        ValueError: ids that are not like that, or not as many as masks.
    """
    if len(ids) != len(logits) or len(set(ids)) < len(ids) or not all(1 <= person <= MOST for person in ids):
        raise ValueError(f"ids: expected {len(logits)} different ones in 1..{MOST}, got {list(ids)}")
    labels = torch.zeros((height, width), dtype=torch.int16, device=logits.device)
    surest = torch.zeros((height, width), dtype=torch.float32, device=logits.device)
    for person, row in sorted(zip(ids, range(len(ids)), strict=True)):
        mask = F.interpolate(
            logits[row][None, None].float(), size=(height, width), mode="bilinear", align_corners=False
        )[0, 0]
        wins = mask > surest
        surest = torch.where(wins, mask, surest)
        labels.masked_fill_(wins, person - 2**16 if person >= 2**15 else person)  # the bits of uint16, see below
    return labels.view(torch.uint16)  # torch computes little in uint16
