"""Scenes with a script: what happens, to whom, in which frames.

Everybody keeps to a depth of their own, so that people hide each other in the pictures without meeting in the world.
Where nobody shall be seen any more, people leave the world: the doors on both sides lie outside of every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.synth.background import Room
from tests.synth.film import Film, cast
from tests.synth.gait import Stretch
from tests.synth.hiding import hide
from tests.synth.scene import Event, TruthScene
from tests.synth.things import pillar, things_of
from tests.synth.ways import (
    ACT,
    ALIGNED,
    DOOR,
    FAR,
    NEAR,
    PASSING,
    Pass,
    Points,
    Way,
    hider,
    latecomer,
    leaver,
    strolling,
    walker,
    wanderer,
)

_CROSSING = 2.5  # s into an act


def crowd_scene(
    seed: int,
    *,
    people: int = 4,
    frames: int = 600,
    rate: float = 30.0,
    height: int = 360,
    width: int = 640,
    hidden: int = 10,
    alike: bool = False,
    things: Sequence[str] = (),
    moving: bool = True,
) -> TruthScene:
    """People who cross, hide behind a pillar, leave for long, come late, stand still and hug; every 22 s anew.

    Person 1 walks in front and, 2.5 s into every act, hides person 2 from the first camera; hugs person 4 and leaves
    the picture later. Person 2 goes out of the world from about 10 to 14.5 s. Person 3 stands behind the pillar from 6
    to 7.8 s. Person 4 comes after 3 s, hugs, stands still and leaves. Whoever is more wanders in the background.

    Args:
        seed: of everything.
        people: number of them.
        frames: number of them.
        rate: frames per second.
        height: of the pictures, pixels.
        width: likewise.
        hidden: frames for which person 2 is hidden by person 1.
        alike: persons 1 and 4 (1 and 2, if there are fewer) wear nearly the same.
        things: classes of objects that are there as well, of "ball" (rolls) and "box" (stands).
        moving: the second camera sways and turns.
    """
    film, generator = _film(seed, frames, rate, height, width, moving=moving)
    actors = cast(people, generator, alike=(1, min(4, people)) if alike and people > 1 else None)
    side = float(generator.choice((-1.0, 1.0)))
    stage = [pillar(side, frames), *things_of(things, side, frames, rate, generator)]
    acts = int(np.ceil(frames / rate / ACT))
    passes: list[Pass] = []
    events: list[Event] = []
    background = [wanderer(number - 4, frames / rate, generator) for number in range(5, people + 1)]
    chances = generator.uniform(-1, 1, (acts, 8))

    def ways(tried: Sequence[Pass]) -> list[Way]:
        main = [walker(tried, side, people), leaver(acts, side), hider(acts, side, chances), latecomer(acts, side)]
        return [*main[:people], *background]

    def crossing(passing: Pass) -> TruthScene:
        return film.shoot(actors[:2], ways([*passes, passing])[:2], (), ())

    for act in range(acts):
        seconds = act * ACT + _CROSSING
        passing = Pass(seconds, 0.5)
        if people > 1 and (seconds + PASSING) * rate < frames:
            passing, span = hide(crossing, hidden, seconds)
            events.append(Event("hidden", (2, 1), *span, camera=0))
        passes.append(passing)
        events += _happenings(film, act * ACT, people)
    return film.shoot(actors, ways(passes), stage, events)


def two_cross(
    seed: int,
    *,
    hidden: int = 10,
    frames: int = 150,
    rate: float = 30.0,
    height: int = 360,
    width: int = 640,
    alike: bool = False,
    moving: bool = True,
) -> TruthScene:
    """Person 1 walks past in front of person 2, who is invisible to the first camera for exactly `hidden` frames.

    The event "hidden" says which: in the middle of the scene. The other arguments are those of `crowd_scene`.
    """
    film, generator = _film(seed, frames, rate, height, width, moving=moving)
    actors = cast(2, generator, alike=(1, 2) if alike else None)
    side = float(generator.choice((-1.0, 1.0)))
    end = frames / rate
    middle = end / 2
    x = float(generator.uniform(-0.5, 0.5))
    far = Way((Stretch(((0, x, FAR + 0.4 * middle), (end, x, FAR - 0.4 * middle))),))

    def crossing(passing: Pass) -> TruthScene:
        (first, left, _), (last, right, _) = points = passing.points(ALIGNED * x, side)
        before, after = max(first, 0.1), max(end - last, 0.1)
        start, stop = (first - before, left - side * before, NEAR), (last + after, right + side * after, NEAR)
        return film.shoot(actors, [Way((Stretch((start, *points, stop)),)), far], (), ())

    passing, span = hide(crossing, hidden, middle)
    return replace(crossing(passing), events=(Event("hidden", (2, 1), *span, camera=0),))


def late_arrivals(
    seed: int,
    *,
    people: int = 3,
    frames: int = 300,
    rate: float = 30.0,
    height: int = 360,
    width: int = 640,
    alike: bool = False,
    moving: bool = True,
) -> TruthScene:
    """Person 1 is there from the start; the others come through the doors, 1.5 s after each other, and stay.

    The events "absent" say until when. The arguments are those of `crowd_scene`.
    """
    film, generator = _film(seed, frames, rate, height, width, moving=moving)
    actors = cast(people, generator, alike=(1, 2) if alike and people > 1 else None)
    end, ways = max(frames / rate, 1.0), []
    for number in range(people):
        side = 1.0 if number % 2 else -1.0
        z = 1.5 - 1.1 * number
        points: Points = [(0.0, 1.2, z)]
        if number:
            start = 0.5 + 1.5 * (number - 1)
            reach = 0.6 * side + 0.2 * number
            points = [(start, side * DOOR[0], DOOR[1]), (start + 5.0, reach, z)]
        ways.append(Way((Stretch(tuple(strolling(points, end, z, 1.8, generator))),)))
    return film.shoot(actors, ways, (), ())


def _film(
    seed: int, frames: int, rate: float, height: int, width: int, *, moving: bool
) -> tuple[Film, np.random.Generator]:
    generator = np.random.default_rng(seed)
    room = Room.draw(generator, height=height, width=width, rate=rate)
    return Film(frames, rate, height, width, moving, room), generator


def _happenings(film: Film, start: float, people: int) -> list[Event]:
    """What the script says about an act that begins at that second."""

    def event(kind: str, persons: tuple[int, ...], first: float, last: float, camera: int | None = None) -> Event:
        return Event(kind, persons, film.frame(start + first), film.frame(start + last), camera)

    found = [event("still", (1,), 5.7, 6.0)]
    if people >= 3:
        found += [event("behind pillar", (3,), 6.2, 7.6, 0), event("still", (3,), 16.2, 17.4)]
    if people >= 4:
        found += [event("embrace", (1, 4), 10.3, 11.3), event("still", (4,), 15.4, 16.2)]
    return found
