"""Sizes, boxes and overlaps of soft masks: computed where the masks are, brought to the CPU in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stages.segment.prompted.protocols import Outlines

_BOX = 4


@dataclass(frozen=True, eq=False)
class MaskStatistics:
    """The masks of n instances in one frame, in numbers. A cell is a pixel of the masks' own resolution.

    Attributes:
        areas: (n,) float32, as a fraction of the frame; 0 if the instance is not in view.
        fills: (n,) float32, fraction of its box that a mask fills; 0 if the instance is not in view.
        boxes: (n, 4) float32, xyxy, as fractions of the frame's width and height; NaN if it is not in view.
        overlaps: (n, n) float32, intersection over union of every two masks.
        shared: (n, n) float32, intersection over the smaller of every two masks.
    """

    areas: NDArray[np.float32]
    fills: NDArray[np.float32]
    boxes: NDArray[np.float32]
    overlaps: NDArray[np.float32]
    shared: NDArray[np.float32]


def inside(outlines: Outlines) -> torch.Tensor:
    """(n, h, w) bool on the masks' device: the cells of each instance, none if it is not in view. Never waits."""
    return (outlines.logits > 0) & (outlines.presence > 0)[:, None, None]


def measure(outlines: Outlines) -> torch.Tensor:
    """The numbers behind `MaskStatistics`, still on the masks' device; the device is not waited for.

    Args:
        outlines: n instances, masks of h x w cells.

    Returns:
        (n, 4 + n) float32: first and last column and row of each mask, then the cells that it shares with each.
    """
    cells = inside(outlines)
    columns, rows = cells.any(dim=1).to(torch.uint8), cells.any(dim=2).to(torch.uint8)
    ends = [
        columns.argmax(dim=1),
        rows.argmax(dim=1),
        columns.shape[1] - columns.flip(1).argmax(dim=1),
        rows.shape[1] - rows.flip(1).argmax(dim=1),
    ]
    flat = cells.flatten(1).to(torch.float32)  # zeros and ones: their products are exact in any precision
    return torch.cat([torch.stack(ends, dim=1).to(torch.float32), flat @ flat.T], dim=1)


def fetch(measured: Sequence[torch.Tensor], *, height: int, width: int) -> list[MaskStatistics]:
    """Statistics of several frames, in one transfer. This waits for the device.

    Args:
        measured: as from `measure`, one for each frame.
        height: of the masks, cells.
        width: of the masks, cells.
    """
    if not measured:
        return []
    everything = torch.cat([tensor.flatten() for tensor in measured]).cpu().numpy()
    ends = np.cumsum([tensor.numel() for tensor in measured])[:-1]
    parts = np.split(everything, ends)
    return [
        _statistics(part.reshape(tensor.shape), height, width) for part, tensor in zip(parts, measured, strict=True)
    ]


def _statistics(numbers: NDArray[np.float32], height: int, width: int) -> MaskStatistics:
    boxes, common = numbers[:, :_BOX].copy(), numbers[:, _BOX:]
    cells = np.diagonal(common).copy()
    box_cells = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    overlaps, shared = ratios(common, cells, cells)
    boxes /= np.array([width, height, width, height], np.float32)
    boxes[cells == 0] = np.nan
    areas, fills = cells / np.float32(height * width), cells / np.maximum(box_cells, np.float32(1))
    return MaskStatistics(np.asarray(areas, np.float32), np.asarray(fills, np.float32), boxes, overlaps, shared)


def ratios(
    common: NDArray[np.float32], cells: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Intersection over union and intersection over the smaller; 0 where a mask is empty.

    Args:
        common: (n, m) cells that two masks share.
        cells: (n,) cells of the first.
        others: (m,) cells of the second.
    """
    union = cells[:, None] + others[None, :] - common
    smaller = np.minimum(cells[:, None], others[None, :])
    one = np.float32(1)
    return np.asarray(common / np.maximum(union, one)), np.asarray(common / np.maximum(smaller, one), np.float32)
