"""A made-up world with perfect models: people are coloured shapes whose places are known for every frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from common.media.decode import Frame
from common.models.blazepose_landmarks import Landmarks33
from common.models.regions import move_to_region, region_from_points
from stages.segment.candidates import Candidate

HEIGHT, WIDTH = 240, 480

# 33 landmarks of somebody who stands, in body heights from the hips; x to the right, y down.
BODY = np.zeros((33, 2))
BODY[:11] = (0, -0.45)
BODY[:11, 0] = np.linspace(-0.03, 0.03, 11)
for left, right, x, y in (
    (11, 12, 0.11, -0.3), (13, 14, 0.14, -0.12), (15, 16, 0.15, 0.02), (17, 18, 0.15, 0.05), (19, 20, 0.16, 0.05),
    (21, 22, 0.14, 0.04), (23, 24, 0.07, 0.0), (25, 26, 0.08, 0.24), (27, 28, 0.08, 0.46), (29, 30, 0.08, 0.48),
    (31, 32, 0.1, 0.5),
):  # fmt: skip
    BODY[left], BODY[right] = (x, y), (-x, y)


@dataclass
class Person:
    """Somebody: where their hips are in every frame (NaN: not there), how tall, of which colour."""

    path: np.ndarray
    colour: tuple[int, int, int]
    height: float = 100.0


@dataclass
class World:
    """People, the later ones in front; `undetected` are frames in which the detector sees nobody.

    There are 60 frames per second, unless `times` says otherwise.
    """

    people: list[Person]
    frames: int
    undetected: set[int] = field(default_factory=set)
    looks: int = 0
    detections: list[int] = field(default_factory=list)
    ghosts: dict[int, tuple[float, float]] = field(default_factory=dict)  # frame -> place of a false detection
    times: np.ndarray | None = None

    def points(self, number, frame):
        person = self.people[number]
        return BODY * person.height + person.path[frame]

    def image(self, frame):
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for number, person in enumerate(self.people):
            if not np.isnan(person.path[frame]).any():
                hull = cv2.convexHull(self.points(number, frame).round().astype(np.int32))
                cv2.fillConvexPoly(image, hull, person.colour)
        image[0, 0] = frame // 256, frame % 256, 0  # the models read the frame's number from here
        return image

    def stream(self, start=0):
        for frame in range(start, self.frames):
            seconds = frame / 60 if self.times is None else float(self.times[frame])
            yield Frame(frame, seconds, self.image(frame), corrupt=False)

    def visible(self, frame):
        return [n for n, p in enumerate(self.people) if not np.isnan(p.path[frame]).any()]

    def hidden(self, number, frame):
        """Whether somebody in front stands within 0.2 heights."""
        here = self.people[number].path[frame]
        return any(
            np.hypot(*(self.people[n].path[frame] - here)) < 0.2 * self.people[n].height
            for n in self.visible(frame)
            if n > number
        )

    def look(self, image, region, *, suppress=None):
        """The person nearest to the region's centre; whoever is hidden only shows if somebody is suppressed."""
        self.looks += 1
        frame = int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])
        near = []
        for number in self.visible(frame):
            distance = np.hypot(*(self.people[number].path[frame] - (region.x, region.y)))
            hidden = self.hidden(number, frame)
            if distance < 0.35 * region.side and hidden == (suppress is not None):
                near.append((distance, number))
        if near:
            number = min(near)[1]
            found = landmarks(self.points(number, frame))
            for other in self.visible(frame):
                if other > number:  # in front: those pixels are not this person's
                    front = landmarks(self.points(other, frame))
                    found.mask[move_to_region(front.mask, front.region, found.region) > 0.25] = 0
            return found
        place = self.ghosts.get(frame)
        if place is not None and np.hypot(place[0] - region.x, place[1] - region.y) < 0.35 * region.side:
            return landmarks(BODY * 100 + place)
        return landmarks(BODY * 100 + (region.x, region.y), score=0.1)

    def detect(self, image):
        frame = int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])
        self.detections.append(frame)
        if frame in self.undetected:
            return []
        bodies = [self.points(n, frame) for n in self.visible(frame) if not self.hidden(n, frame)]
        if frame in self.ghosts:
            bodies.append(BODY * 100 + self.ghosts[frame])
        return [Candidate(landmarks(points).region, points, np.eye(33)) for points in bodies]


def landmarks(points, *, score=0.9):
    """What a landmark model returns for a body at these pixels."""
    hips = points[[23, 24]].mean(axis=0)
    region = region_from_points(hips, hips - (0, 0.55 * np.ptp(points[:, 1])))
    to_image = region.to_image(256)
    in_crop = np.linalg.solve(to_image[:, :2], (points - to_image[:, 2]).T).T
    mask = np.zeros((256, 256), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(in_crop.round().astype(np.int32)), 1)
    ones = np.ones(33)
    return Landmarks33(
        image=points, world=np.zeros((33, 3)), depth=0 * ones, visibility=ones, presence=ones, score=score,
        mask=mask.astype(np.float32), region=region, next_region=region,
    )  # fmt: skip


def walk(frames, start, end, y=120.0):
    """(frames, 2): a straight line."""
    return np.column_stack([np.linspace(start, end, frames), np.full(frames, y)])
