"""A look at a frame: what the detector sees, outlined, and what is under the masks of all who are followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.held_masks import HeldFrame, Seen, stacked
from stages.segment.prompted.instances import Instance, longer_side
from stages.segment.prompted.mask_colours import mask_colours, small_lab
from stages.segment.prompted.mask_statistics import fetch, inside, measure
from stages.segment.prompted.matching import Sightings, distinct
from stages.segment.prompted.protocols import Detections, InstanceDetector, MaskTracker, Outlines, Picture


@dataclass(frozen=True, eq=False)
class Look:
    """A frame in which somebody looked.

    Attributes:
        masks: of those who were found in it, (h, w) bool on the CPU.
        colours: what is under these masks.
        sightings: what the detector saw; None if it was not asked.
    """

    masks: dict[Seen, NDArray[np.bool_]]
    colours: dict[Seen, NDArray[np.float32]]
    sightings: Sightings | None


def look(
    image: NDArray[np.uint8],
    frame: HeldFrame[Picture],
    *,
    detector: InstanceDetector | None,
    tracker: MaskTracker[Picture],
    plausible: Plausible,
) -> Look:
    """Looks at a frame; this waits for the device.

    Args:
        image: (H, W, 3) uint8 RGB: the frame.
        frame: the same with the masks that are known in it.
        detector: asked if it is given.
        tracker: outlines what the detector sees.
        plausible: what masks must be like.
    """
    detections = None if detector is None else detector.detect(image)
    outlines = None
    if detections is not None and len(detections):
        outlines = tracker.outline(frame.picture, detections.boxes)
    together = [stacked(frame.found, range(len(frame.found)))] if frame.found else []
    together += [outlines] if outlines is not None else []
    if not together:
        return Look({}, {}, None if detections is None else _nothing())
    cells = torch.cat([inside(some) for some in together]).to(torch.uint8).cpu().numpy().astype(bool)
    lab = small_lab(image, height=cells.shape[1], width=cells.shape[2])
    count = len(frame.found)
    masks = dict(zip(frame.found.values(), cells[:count], strict=True))
    colours = {seen: mask_colours(lab, mask) for seen, mask in masks.items()}
    if detections is None or outlines is None:
        return Look(masks, colours, None if detections is None else _nothing())
    return Look(masks, colours, _sightings(detections, outlines, cells[count:], lab, frame, plausible))


def _sightings(
    detections: Detections,
    outlines: Outlines,
    masks: NDArray[np.bool_],
    lab: NDArray[np.uint8],
    frame: HeldFrame[Picture],
    plausible: Plausible,
) -> Sightings:
    height, width = masks.shape[1:]
    statistics = fetch([measure(outlines)], height=height, width=width)[0]
    possible = np.flatnonzero(plausible.masks(statistics.areas, statistics.fills))
    names = [detections.class_names[n] for n in possible]
    rows = [int(possible[n]) for n in distinct(masks[possible], detections.scores[possible], names)]
    return Sightings(
        Outlines(tuple(range(len(rows))), outlines.logits[rows], outlines.presence[rows]),
        masks[rows],
        statistics.areas[rows],
        statistics.boxes[rows] * frame.size,
        detections.scores[rows],
        tuple(detections.class_names[row] for row in rows),
        tuple(mask_colours(lab, masks[row]) for row in rows),
    )


def _nothing() -> Sightings:
    none = np.zeros(0, np.float32)
    outlines = Outlines((), torch.zeros((0, 1, 1)), torch.zeros(0))
    return Sightings(outlines, np.zeros((0, 1, 1), bool), none, np.zeros((0, 4), np.float32), none, (), ())


def seen_in(sightings: Sightings, row: int) -> Seen:
    """A sighting as what is known of an instance in a frame."""
    return Seen(
        sightings.outlines.logits[row],
        sightings.outlines.presence[row],
        float(sightings.areas[row]),
        sightings.boxes[row],
    )


def newcomer(sightings: Sightings, row: int, *, key: int, stream: int, frame: int, whole: bool) -> Instance:
    """Somebody new, as the detector saw them.

    Args:
        sightings: of a frame.
        row: which of them.
        key: theirs.
        stream: by which number the tracker will know them.
        frame: which.
        whole: whether they are away from its edges.
    """
    area, box = float(sightings.areas[row]), sightings.boxes[row]
    score = float(sightings.scores[row])
    return Instance(
        key, sightings.class_names[row], frame, score, sightings.colours[row], stream, scores=score, seen=1,
        first=frame, last=frame, box=box, first_box=box, area=area, size=longer_side(box), samples=1, whole=whole,
        supported=frame,
    )  # fmt: skip
