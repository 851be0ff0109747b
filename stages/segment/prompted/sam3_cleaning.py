"""What SAM 3 does to masks outside of its network: no object twice, no holes, no crumbs.

The rules are those of SAM 3's own code (Carion et al. 2025, arXiv 2511.16719; its `perflib`). Everything stays on the
masks' device.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

_FILLED = 0.1
"""The logit of a hole that has been filled, SAM 3's own constant."""

_CLEARED = -0.1
"""The logit of a crumb that has been removed, likewise."""


def overlaps(masks: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of every mask with every other; 0 where both are empty.

    Args:
        masks: (n, h, w) bool.
        others: (m, h, w) bool.

    Returns:
        (n, m) float32. Exact: counts are sums of ones, and h * w is far below 2^24.
    """
    flat, other = masks.flatten(1).to(torch.float32), others.flatten(1).to(torch.float32)
    common = flat @ other.T
    union = flat.sum(dim=1)[:, None] + other.sum(dim=1)[None] - common
    return common / union.clamp(min=1)


def distinct(
    pred_probs: torch.Tensor, pred_masks: torch.Tensor, prob_threshold: float, iou_threshold: float
) -> torch.Tensor:
    """Which detections to keep so that nothing is there twice: greedy non-maximum suppression on masks.

    Args:
        pred_probs: (n,) scores in [0, 1].
        pred_masks: (n, h, w) logits.
        prob_threshold: detections that do not score more are left out.
        iou_threshold: a mask that overlaps a better one by more is the same thing.

    Returns:
        (n,) bool, on the device. At equal scores the first one stays.
    """
    keep = pred_probs > prob_threshold
    rows = torch.nonzero(keep)[:, 0]
    if len(rows) < 2:
        return keep
    inside = pred_masks[rows] > 0
    same = (overlaps(inside, inside) > iou_threshold).cpu().numpy()
    kept: list[int] = []
    for row in torch.argsort(pred_probs[rows].float(), descending=True, stable=True).tolist():
        if not same[row, kept].any():
            kept.append(row)
    chosen = torch.zeros_like(keep)
    chosen[rows[torch.tensor(kept, device=rows.device)]] = True
    return chosen


def component_areas(inside: torch.Tensor, *, most: int) -> torch.Tensor:
    """How large the connected component of each cell is, as far as that matters.

    Cells that touch at a corner are connected, as in SAM 3's own code. Each cell takes the highest number among its
    neighbours `most - 1` times. Two cells of a component of at most `most` cells are at most so many steps apart, so
    all of it has one number then; a component in which numbers still differ is larger.

    Args:
        inside: (n, h, w) bool.
        most: the largest area that is told from larger ones, in cells.

    Returns:
        (n, h, w) int64: 0 outside, else the area of the component, or `most + 1` if it is larger and did not settle.
    """
    count, height, width = inside.shape
    everywhere = torch.arange(1, height * width + 1, dtype=torch.float32, device=inside.device)
    numbers = everywhere.view(1, height, width) * inside  # exact in float32 up to 2^24 cells
    if not count:
        return numbers.long()
    for _ in range(most - 1):
        numbers = F.max_pool2d(numbers, 3, stride=1, padding=1) * inside
    lowest = -F.max_pool2d(torch.where(inside, -numbers, -torch.inf), 3, stride=1, padding=1)
    unsettled = inside & (F.max_pool2d(numbers, 3, stride=1, padding=1) != lowest)
    index = numbers.flatten(1).long()
    by_number = torch.zeros((2, count, height * width + 1), device=inside.device)
    by_number[0].scatter_add_(1, index, inside.flatten(1).float())  # sums of ones, so in any order the same
    by_number[1].scatter_add_(1, index, unsettled.flatten(1).float())
    areas = torch.where(by_number[1] > 0, most + 1, by_number[0]).gather(1, index).view(inside.shape)
    return (areas * inside).long()


def cleaned(mask: torch.Tensor, max_area: int, fill_holes: bool = True, remove_sprinkles: bool = True) -> torch.Tensor:
    """Soft masks without small holes, then without small crumbs.

    A crumb is removed only if it is no more than half of the whole mask, so that small things remain.

    Args:
        mask: (n, 1, h, w) logits.
        max_area: holes and crumbs have at most so many cells; 0 leaves everything as it is.
        fill_holes: whether to fill holes.
        remove_sprinkles: whether to remove crumbs.

    Returns:
        (n, 1, h, w) of the same type; the argument itself is not changed.
    """
    if max_area <= 0 or not len(mask):
        return mask
    if fill_holes:
        background = mask[:, 0] <= 0
        small = background & (component_areas(background, most=max_area) <= max_area)
        mask = torch.where(small[:, None], _FILLED, mask)
    if remove_sprinkles:
        inside = mask[:, 0] > 0
        largest = (inside.sum(dim=(1, 2)) // 2).clamp(max=max_area)
        small = inside & (component_areas(inside, most=max_area) <= largest[:, None, None])
        mask = torch.where(small[:, None], _CLEARED, mask)
    return mask
