"""Masks that exclude each other as one image of labels, and back: the same in a small part of the memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def labels_of(masks: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """(H, W) 1 + the number of the mask that a pixel belongs to, 0 for none.

    Args:
        masks: (n, H, W) that exclude each other.
    """
    labels = np.zeros(masks.shape[1:], np.uint16)
    for number, mask in enumerate(masks, 1):
        labels[mask] = number
    return labels


def masks_of(labels: NDArray[np.uint16], count: int) -> NDArray[np.bool_]:
    """(count, H, W) the masks of such labels."""
    numbers = np.arange(1, count + 1, dtype=np.uint16)
    return np.asarray(labels == numbers[:, None, None])


def renumbered(labels: NDArray[np.uint16], people: NDArray[np.int64]) -> NDArray[np.uint16]:
    """(H, W) labels that count the given people from 1, in this order; whoever else there is becomes nobody.

    Args:
        labels: (H, W) local ids.
        people: (n,) local ids.
    """
    table = np.zeros(int(max(labels.max(initial=0), people.max(initial=0))) + 1, np.uint16)
    table[people] = np.arange(1, len(people) + 1)
    return table[labels]
