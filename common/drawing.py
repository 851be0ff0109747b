"""Drawing people on pictures: tinted masks, outlines, ids, skeletons. Nothing is drawn in place.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), which people with any common kind of
colour blindness tell apart. There are seven; from the eighth person on they repeat, so ids are written too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from common.artifacts.label_geometry import people_in
from common.skeletons import BODY_BONES, HAND_BONES

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermillion
    (240, 228, 66),  # yellow
)
"""RGB; the first ones are the easiest to tell apart on a photograph."""

NOBODY: Colour = (150, 150, 150)
"""RGB of somebody whose identity is not known."""

TINT = 0.4  # chosen by hand: the colour is plain and the person can still be seen
VISIBLE = 0.3  # chosen by hand: joints that a model trusts less are mostly guessed
_LINE = 360.0  # image height, in pixels, at which lines are one unit thick
_LARGE = 0.4  # share of the image height from which on a person is drawn with full lines; chosen by hand
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SUBPIXEL = 4  # fractional bits of cv2's coordinates, 1/16 pixel


@dataclass(frozen=True, eq=False)
class Drawn:
    """How one person is drawn.

    Attributes:
        colour: RGB.
        text: what is written above the person; "" for nothing.
        keypoints: (70, 2) pixels of the upright full-size frame, NaN where not observed; None: no skeleton.
        confidence: (70,) in [0, 1]; None trusts all keypoints.
    """

    colour: Colour
    text: str = ""
    keypoints: npt.NDArray[np.floating] | None = None
    confidence: npt.NDArray[np.floating] | None = None


def person_colour(person: int) -> Colour:
    """RGB of a person by id, from 1; the same id has the same colour everywhere."""
    return PALETTE[(person - 1) % len(PALETTE)]


def hex_colour(colour: Colour) -> str:
    """`#rrggbb`, for CSS and SVG."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def draw_people(
    image: Image,
    people: Mapping[int, Drawn],
    *,
    full_size: tuple[int, int],
    labels: npt.NDArray[np.uint16] | None = None,
) -> Image:
    """The picture with everybody on it: masks below, then skeletons, ids on top.

    Args:
        image: (h, w, 3) uint8 RGB, the frame at any scale.
        people: by local id. Who is in `labels` and not in here is left alone.
        full_size: width and height of the full-size frame, which keypoints are pixels of.
        labels: (H, W) uint16 of the full-size frame; None where there are no masks.

    Returns:
        A new (h, w, 3) uint8 picture.
    """
    drawn = image.copy()
    anchors: dict[int, tuple[float, float]] = {}
    if labels is not None:
        # Shrunk once for everybody, without smoothing: the outline covers the rim.
        fitting = cv2.resize(labels, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST_EXACT)
        for person, box in _boxes(np.asarray(fitting, np.uint16)).items():
            if person in people:
                drawn = draw_mask(drawn, fitting == person, people[person].colour)
                anchors[person] = ((box[0] + box[2] + 1) / 2, box[1])
    for person, how in people.items():
        if how.keypoints is not None:
            points = to_scale(how.keypoints, full=full_size, scaled=(image.shape[1], image.shape[0]))
            drawn = draw_skeleton(drawn, points, how.colour, confidence=how.confidence)
            seen = points[np.isfinite(points).all(axis=1)]
            if len(seen):
                anchors.setdefault(person, (float(seen[:, 0].mean()), float(seen[:, 1].min())))
    for person, how in people.items():
        if how.text and person in anchors:
            drawn = draw_label(drawn, how.text, anchors[person], how.colour)
    return drawn


def to_scale(
    points: npt.NDArray[np.floating], *, full: tuple[int, int], scaled: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Points of the full-size frame in pixels of a scaled one; both count from the top-left pixel's centre.

    Args:
        points: (n, 2) x and y.
        full: width and height of the full-size frame.
        scaled: width and height of the scaled one.
    """
    scale = np.array(scaled, np.float64) / np.array(full, np.float64)
    moved: npt.NDArray[np.float64] = (points + 0.5) * scale - 0.5
    return moved


def draw_mask(image: Image, mask: npt.NDArray[np.bool_], colour: Colour, *, tint: float = TINT) -> Image:
    """The picture with a mask tinted and outlined.

    Args:
        image: (h, w, 3) uint8 RGB.
        mask: (H, W) bool, of the same frame at any scale.
        colour: RGB.
        tint: opacity inside the outline, 0 to 1.
    """
    height, width = image.shape[:2]
    drawn = image.copy()
    cover: npt.NDArray[Any] = mask.astype(np.uint8)
    if cover.shape != (height, width):
        cover = cv2.resize(cover, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    x, y, w, h = cv2.boundingRect(cover)
    if w == 0:
        return drawn
    inside = (slice(y, y + h), slice(x, x + w))
    patch = drawn[inside]
    tinted = cv2.addWeighted(patch, 1 - tint, np.full_like(patch, colour), tint, 0)
    patch[cover[inside] > 0] = tinted[cover[inside] > 0]
    outlines, _ = cv2.findContours(cover[inside], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))
    cv2.drawContours(drawn, outlines, -1, colour, _thickness(image, 1.2), cv2.LINE_AA)
    return drawn


def draw_skeleton(
    image: Image,
    keypoints: npt.NDArray[np.floating],
    colour: Colour,
    *,
    confidence: npt.NDArray[np.floating] | None = None,
) -> Image:
    """The picture with the bones between trusted keypoints, in a light shade that is readable on the tint.

    Args:
        image: (h, w, 3) uint8 RGB.
        keypoints: (70, 2) pixels of this picture; NaN where not observed.
        colour: RGB.
        confidence: (70,) in [0, 1]; what is below VISIBLE is not drawn. None trusts all.
    """
    drawn = image.copy()
    good = np.isfinite(keypoints).all(axis=1)
    if confidence is not None:
        good &= confidence >= VISIBLE
    fixed = np.rint(np.where(good[:, None], keypoints, 0) * 2**_SUBPIXEL).clip(-(2**20), 2**20).astype(int)
    size = float(np.ptp(keypoints[good], axis=0).max()) if good.any() else 0.0
    thickness = _thickness(image, 1.7 * min(1.0, size / (_LARGE * image.shape[0])))
    for a, b in (*BODY_BONES, *HAND_BONES):
        if good[a] and good[b]:
            ends = fixed[a].tolist(), fixed[b].tolist()
            cv2.line(drawn, *ends, lighter(colour), thickness, cv2.LINE_AA, _SUBPIXEL)
    radius = max(1.0, 0.9 * thickness) * 2**_SUBPIXEL
    for index in sorted({index for bone in BODY_BONES for index in bone if good[index]}):
        cv2.circle(drawn, fixed[index].tolist(), round(radius), (255, 255, 255), -1, cv2.LINE_AA, _SUBPIXEL)
    return drawn


def draw_label(image: Image, text: str, anchor: tuple[float, float], colour: Colour) -> Image:
    """The picture with a short text on a coloured plate, above the anchor if there is room, always inside.

    Args:
        image: (h, w, 3) uint8 RGB.
        text: ASCII, what cv2's fonts have.
        anchor: x and y that the plate stands on, pixels.
        colour: RGB of the plate; the text is black or white, whichever is easier to read.
    """
    drawn = image.copy()
    height, width = image.shape[:2]
    scale = max(0.35, 0.42 * height / _LINE)
    thickness = max(1, round(scale * 1.3))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(2, round(text_height * 0.45))
    plate_width, plate_height = text_width + 2 * pad, text_height + 2 * pad
    left = int(np.clip(anchor[0] - plate_width / 2, 0, max(0, width - plate_width)))
    top = int(np.clip(anchor[1] - plate_height - pad, 0, max(0, height - plate_height)))
    cv2.rectangle(drawn, (left, top), (left + plate_width - 1, top + plate_height - 1), colour, -1, cv2.LINE_AA)
    ink = (0, 0, 0) if luminance(colour) > 0.18 else (255, 255, 255)
    cv2.putText(drawn, text, (left + pad, top + pad + text_height), _FONT, scale, ink, thickness, cv2.LINE_AA)
    return drawn


def lighter(colour: Colour) -> Colour:
    """The colour mixed with as much white."""
    red, green, blue = ((c + 255) // 2 for c in colour)
    return red, green, blue


def luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour, 0 to 1 (WCAG 2.2); from 0.18 on black text reads better."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def fitting_size(width: int, height: int, *, max_height: int) -> tuple[int, int]:
    """Width and height of a frame shrunk to a height; a smaller one is not enlarged."""
    shrink = min(1.0, max_height / height)
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _boxes(labels: npt.NDArray[np.uint16]) -> dict[int, Sequence[int]]:
    found = people_in(labels)
    return dict(zip(found.ids.tolist(), found.boxes.tolist(), strict=True))


def _thickness(image: Image, units: float) -> int:
    height, width = image.shape[:2]
    thickness: int = round(units * max(height, width * 9 / 16) / _LINE)
    return max(1, thickness)
