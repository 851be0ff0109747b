"""A world with known truth: who is where in every frame, in metres and in the pictures of every camera.

World axes: x to the left of the first camera's picture, y up, z away from it; metres; the ground is y = 0.
Pixels count from the middle of the top left one. Nothing is stored per frame but the people's ways: pictures are
rendered when asked for, and the last few are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from common.cameras import project
from common.skeletons import MHR70_COUNT
from tests.synth import body
from tests.synth.background import Directions, Room
from tests.synth.body import Figure, Part
from tests.synth.cameras import TruthCamera
from tests.synth.gait import Style, Track, angles_at
from tests.synth.raster import Lens, Solids, View, view
from tests.synth.shading import LIGHT, Clothes, Paint, colour

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_KEPT = 8  # frames of labels and of images that are kept: a few cameras, or a window that goes back and forth


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody.

    Attributes:
        figure: lengths and thicknesses.
        clothes: colours.
        style: of moving.
        track: where they go.
    """

    figure: Figure
    clothes: Clothes
    style: Style
    track: Track


@dataclass(frozen=True, eq=False)
class Thing:
    """A solid without joints.

    Attributes:
        kind: its class, "ball" for example; None: scenery that only hides what is behind.
        parts: in its own axes.
        clothes: colours.
        place: (frames, 3) metres in the world; NaN while it is out of the world.
        turn: (frames,) radians about its x axis.
        yaw: radians about the world's y, before that.
    """

    kind: str | None
    parts: tuple[Part, ...]
    clothes: Clothes
    place: Floats
    turn: Floats
    yaw: float = 0.0


@dataclass(frozen=True)
class Event:
    """Something that happens in the script.

    Attributes:
        kind: "hidden" (nothing of the first person is visible to that camera, behind the second or the pillar),
            "absent" (out of the world), "still", "embrace".
        people: ids.
        first: frame.
        last: frame, inclusive.
        camera: index of the camera that it is about, or None.
    """

    kind: str
    people: tuple[int, ...]
    first: int
    last: int
    camera: int | None = None


@dataclass(frozen=True, eq=False)
class _Sight:
    """What a camera sees in a frame: who owns each pixel (1 + index, 0: nobody), and everybody as if alone."""

    owner: Bytes
    views: tuple[View, ...]
    position: tuple[Floats, ...]
    rotation: tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class TruthScene:
    """People and things before cameras. Ids are 1 for the first person and go on with the things that have a class.

    Attributes:
        cameras: who looks.
        persons: ids 1 to P, the same for all cameras.
        things: ids P + 1 and so on for those with a class, in order.
        frames: number of them.
        rate: frames per second.
        events: what happens, as far as the script knows.
        room: background.
    """

    cameras: tuple[TruthCamera, ...]
    persons: tuple[Person, ...]
    things: tuple[Thing, ...]
    frames: int
    rate: float
    events: tuple[Event, ...]
    room: Room
    _lenses: tuple[Lens, ...] = field(init=False, repr=False)
    _solids: tuple[Solids, ...] = field(init=False, repr=False)
    _paints: tuple[Paint, ...] = field(init=False, repr=False)
    _ids: NDArray[np.uint16] = field(init=False, repr=False)
    _bodies: Callable[[int], tuple[Floats, Floats]] = field(init=False, repr=False)
    _sight: Callable[[int, int], _Sight] = field(init=False, repr=False)
    _shot: Callable[[int, int], Bytes] = field(init=False, repr=False)
    _empty: Callable[[int, int], tuple[Directions, Bytes]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        named = iter(range(len(self.persons) + 1, 1 + len(self.persons) + len(self.things)))
        ids = [0, *range(1, len(self.persons) + 1), *(next(named) if t.kind is not None else 0 for t in self.things)]
        own: dict[str, object] = {
            "_lenses": tuple(Lens.of(c.intrinsics, height=c.height, width=c.width) for c in self.cameras),
            "_solids": (
                *(Solids.of(person.figure.parts) for person in self.persons),
                *(Solids.of(thing.parts) for thing in self.things),
            ),
            "_paints": (
                *(Paint.of(person.figure.parts, person.clothes) for person in self.persons),
                *(Paint.of(thing.parts, thing.clothes) for thing in self.things),
            ),
            "_ids": np.array(ids, np.uint16),
            "_bodies": lru_cache(_KEPT)(self._pose),
            "_sight": lru_cache(_KEPT)(self._look),
            "_shot": lru_cache(_KEPT)(self._photograph),
            "_empty": lru_cache(len(self.cameras))(self._clear),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def people(self) -> tuple[int, ...]:
        """Ids of the people."""
        return tuple(range(1, len(self.persons) + 1))

    @property
    def classes(self) -> dict[int, str]:
        """Class of every id: "person", and what the things are."""
        found = dict.fromkeys(self.people, "person")
        kinds = [thing.kind for thing in self.things if thing.kind is not None]
        return found | {len(self.persons) + 1 + index: kind for index, kind in enumerate(kinds)}

    def joints(self, frame: int) -> Floats:
        """(P, 70, 3) metres in the world, the order of `common.skeletons.MHR70`; NaN while out of the world."""
        if not self.persons:
            return np.zeros((0, MHR70_COUNT, 3))
        return body.keypoints(tuple(person.figure for person in self.persons), *self._bodies(frame))

    def keypoints(self, camera: int, frame: int) -> tuple[Floats, Floats]:
        """Pixels (P, 70, 2), also outside of the picture, and metres (P, 70) along the camera's z.

        NaN while out of the world; pixels also where a point is not in front of the camera.
        """
        seen, joints = self.cameras[camera].at(frame), self.joints(frame)
        depth = joints @ seen.camera_T_world[2, :3] + seen.camera_T_world[2, 3]
        return project(seen, joints), depth

    def labels(self, camera: int, frame: int) -> NDArray[np.uint16]:
        """(height, width): who is visible in each pixel, 0 for nobody. A copy."""
        return np.asarray(self._ids[self._sight(camera, frame).owner])

    def silhouette(self, camera: int, frame: int, person: int) -> NDArray[np.bool_]:
        """(height, width): where the person (or thing) of this id would be seen if nothing else were there."""
        sight = self._sight(camera, frame)
        found = np.zeros(sight.owner.shape, bool)
        seen = sight.views[self._index(person)]
        found[seen.window] = np.isfinite(seen.depth)
        return found

    def visible_fraction(self, camera: int, frame: int) -> Floats:
        """(P + things with a class,) share of each silhouette within the picture that nothing hides.

        0 also where somebody is not in the picture: then `silhouette` is empty.
        """
        sight = self._sight(camera, frame)
        owned = np.bincount(sight.owner.ravel(), minlength=len(sight.views) + 1)
        areas = [int(np.isfinite(seen.depth).sum()) for seen in sight.views]
        share = [owned[1 + self._index(i)] / max(1, areas[self._index(i)]) for i in self.classes]
        return np.array(share, np.float64)

    def image(self, camera: int, frame: int) -> Bytes:
        """(height, width, 3) RGB. A copy."""
        return self._shot(camera, frame).copy()

    def _index(self, instance: int) -> int:
        """Position of an id among the views."""
        if instance not in self.classes:
            raise ValueError(f"id: expected one of {sorted(self.classes)}, got {instance}")
        return int(np.flatnonzero(self._ids == instance)[0]) - 1

    def _pose(self, frame: int) -> tuple[Floats, Floats]:
        """Positions (P, joints, 3) and rotations (P, joints, 3, 3) in the world."""
        if not 0 <= frame < self.frames:
            raise ValueError(f"frame: expected 0 to {self.frames - 1}, got {frame}")
        tracks = [person.track for person in self.persons]
        angles = angles_at(frame / self.rate, tracks, frame, [person.style for person in self.persons])
        ground = np.array([(track.place[frame, 0], 0.0, track.place[frame, 1]) for track in tracks])
        yaw = np.array([track.yaw[frame] for track in tracks])
        return body.forward_kinematics(tuple(person.figure for person in self.persons), angles, yaw, ground)

    def _look(self, camera: int, frame: int) -> _Sight:
        positions, rotations = [], []
        if self.persons:
            for place, turn in zip(*self._bodies(frame), strict=True):
                positions.append(place)
                rotations.append(turn)
        for thing in self.things:
            positions.append(thing.place[frame][None])
            rotations.append(_turned(thing.yaw, float(thing.turn[frame]))[None])
        camera_T_world = self.cameras[camera].at(frame).camera_T_world
        into = camera_T_world[:3, :3]
        positions = [place @ into.T + camera_T_world[:3, 3] for place in positions]
        rotations = [into @ turn for turn in rotations]
        lens = self._lenses[camera]
        everybody = zip(self._solids, positions, rotations, strict=True)
        views = tuple(view(lens, solids, place, turn) for solids, place, turn in everybody)
        depth = np.full(lens.norms.shape, np.inf, np.float32)
        owner = np.zeros(lens.norms.shape, np.uint8)
        for index, seen in enumerate(views):
            nearer = seen.depth < depth[seen.window]
            np.copyto(depth[seen.window], seen.depth, where=nearer)
            np.copyto(owner[seen.window], np.uint8(index + 1), where=nearer)
        return _Sight(owner, views, tuple(positions), tuple(rotations))

    def _clear(self, camera: int, frame: int) -> tuple[Directions, Bytes]:
        """Where a camera looks, and the floor that it sees."""
        seen = self.cameras[camera]
        directions = Directions.of(self._lenses[camera], seen.world_T_camera(frame), coarse=seen.moves)
        return directions, self.room.floor_seen(directions)

    def _photograph(self, camera: int, frame: int) -> Bytes:
        sight, lens = self._sight(camera, frame), self._lenses[camera]
        picture = self.room.paint(*self._empty(camera, frame if self.cameras[camera].moves else 0), frame)
        self._shadows(picture, camera, frame)
        light = self.cameras[camera].at(frame).camera_T_world[:3, :3] @ LIGHT
        everybody = zip(sight.views, self._paints, sight.position, sight.rotation, strict=True)
        for index, (seen, paint, place, turn) in enumerate(everybody):
            colour(picture, seen, sight.owner[seen.window] == index + 1, lens, paint, place, turn, light)
        return self.room.expose(picture, frame)

    def _shadows(self, picture: Bytes, camera: int, frame: int) -> None:
        """Darkens the floor below everybody."""
        ring = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        circle = 0.33 * np.stack([np.cos(ring), 0 * ring, np.sin(ring)], axis=1)
        seen = self.cameras[camera].at(frame)
        height, width = picture.shape[:2]
        for person in self.persons:
            x, z = person.track.place[frame]
            pixels = project(seen, circle + np.array([x, 0.0, z]))
            if not np.isfinite(pixels).all() or np.abs(pixels).max() > 8 * width:
                continue
            low = np.maximum(np.floor(pixels.min(0)).astype(int), 0)
            high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1, (width, height))
            if (low >= high).any():
                continue
            mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
            cv2.fillConvexPoly(mask, (pixels - low).round().astype(np.int32), 1)
            below = picture[low[1] : high[1], low[0] : high[0]]
            below[mask > 0] = below[mask > 0] // 8 * 5


def _turned(yaw: float, turn: float) -> Floats:
    """(3, 3) a turn about x, then one about the world's y."""
    cos, sin, a, p = np.cos(yaw), np.sin(yaw), np.cos(turn), np.sin(turn)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) @ np.array([[1, 0, 0], [0, a, -p], [0, p, a]])
