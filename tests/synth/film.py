"""What all scenes have in common: who plays, the room, the cameras; and what makes a scene of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.synth.background import Room
from tests.synth.body import Figure, figure
from tests.synth.cameras import three_cameras
from tests.synth.gait import Style, follow
from tests.synth.scene import Event, Person, Thing, TruthScene
from tests.synth.shading import Clothes
from tests.synth.wardrobe import outfits
from tests.synth.ways import Way


@dataclass(frozen=True, eq=False)
class Actor:
    """Somebody without a way."""

    figure: Figure
    clothes: Clothes
    style: Style
    first_phase: float


@dataclass(frozen=True)
class Film:
    """What all scenes have in common."""

    frames: int
    rate: float
    height: int
    width: int
    moving: bool
    room: Room

    def shoot(
        self, actors: Sequence[Actor], ways: Sequence[Way], things: Sequence[Thing], events: Sequence[Event]
    ) -> TruthScene:
        """The scene; absences are added to the events."""
        persons = []
        for actor, way in zip(actors, ways, strict=True):
            track = follow(
                way.stretches,
                way.embraces,
                frames=self.frames,
                rate=self.rate,
                leg=actor.figure.leg,
                first_phase=actor.first_phase,
            )
            persons.append(Person(actor.figure, actor.clothes, actor.style, track))
        found = [event for event in events if event.last < self.frames]
        for number, person in enumerate(persons, start=1):
            out = np.flatnonzero(np.isnan(person.track.yaw))
            found += [
                Event("absent", (number,), int(run[0]), int(run[-1]))
                for run in np.split(out, np.flatnonzero(np.diff(out) > 1) + 1)
                if run.size
            ]
        cameras = three_cameras(height=self.height, width=self.width, rate=self.rate, moving=self.moving)
        ordered = tuple(sorted(found, key=lambda event: (event.first, event.kind, event.people)))
        return TruthScene(cameras, tuple(persons), tuple(things), self.frames, self.rate, ordered, self.room)

    def frame(self, seconds: float) -> int:
        """The frame nearest to a time."""
        return round(seconds * self.rate)


def cast(people: int, generator: np.random.Generator, *, alike: tuple[int, int] | None) -> list[Actor]:
    """Person 1 is tall, with coat and backpack, person 2 is short, and both are calm: one hides behind the other."""
    clothes, found = outfits(people, generator, alike=alike), []
    for number in range(people):
        low, high = {0: (1.84, 1.94), 1: (1.55, 1.66)}.get(number, (1.52, 1.90))
        shape = figure(
            generator.uniform(low, high),
            breadth=1.2 if number == 0 else generator.uniform(0.92, 1.12),
            dressed=number == 0 or number == (alike or (0, 0))[1] - 1,
        )
        found.append(
            Actor(
                shape,
                clothes[number],
                Style.draw(generator, gestures=0.0 if number < 2 else 1.0),
                generator.uniform(0, 2 * np.pi),
            )
        )
    return found
