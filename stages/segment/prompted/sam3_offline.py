"""Keeps transformers' SAM 3 from downloading code, by doing here what that code would do.

transformers takes non-maximum suppression and connected components from the package `kernels`, which fetches compiled
code from a model hub while it runs, and leaves both out, with one line in the log, where it cannot. Results would
depend on whether a package is installed and the network can be reached.
"""

from __future__ import annotations

from transformers.models.sam3_video import modeling_sam3_video

from stages.segment.prompted.pretrained import require_transformers
from stages.segment.prompted.sam3_cleaning import cleaned, distinct, overlaps


def _load_nothing() -> None:
    """Stands for the function that would download."""


_OURS = {
    "_load_cv_utils_kernel_once": _load_nothing,
    "cv_utils_kernel": False,  # transformers' word for "could not be loaded"
    "nms_masks": distinct,
    "fill_holes_in_mask_scores": cleaned,
    "mask_iou": overlaps,  # theirs holds all pairs of masks at once: 3 GB with 200 detections
}


def stay_offline() -> None:
    """Replaces the functions of transformers' module that download or need what is downloaded, in this process.

    Raises:
        ModelUnavailable: another version of transformers, in which they may be called otherwise.
    """
    require_transformers("SAM 3")
    for name, ours in _OURS.items():
        setattr(modeling_sam3_video, name, ours)
