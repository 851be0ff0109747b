"""Scenes with a script: what happens, to whom, in which frames.

Everybody keeps to a depth of their own, so that people hide each other in the pictures without meeting in the world.
Where nobody shall be seen any more, people leave the world: the doors on both sides lie outside of every picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tests.synth.background import Room
from tests.synth.body import Figure, Part, figure
from tests.synth.cameras import three_cameras
from tests.synth.gait import Embrace, Stretch, Style, follow
from tests.synth.scene import Event, Person, Thing, TruthScene
from tests.synth.shading import Cloth, Clothes
from tests.synth.wardrobe import outfits

Floats = NDArray[np.float64]
Points = list[tuple[float, float, float]]

ACT = 22.0  # s after which the script of a crowd begins anew, with other chances
_DOOR = (8.0, -2.4)  # (x, z) metres, on both sides
_NEAR, _FAR = -3.6, 3.0  # m: z of those who cross, 3.4 and 10 m from the first camera
_ALIGNED = (7 + _NEAR) / (7 + _FAR)  # x of what hides against x of what is hidden, seen from the first camera
_PASSING = 1.0  # s before and after crossing in which somebody walks evenly
_CROSSING = 2.5  # s into an act
_PILLAR = (1.5, -0.3)  # (x, z) metres
_TRIES = 12  # speeds that are tried until somebody is hidden for as many frames as asked, per shift
_SHIFTS = (0.0, 0.15, -0.15, 0.3, -0.3, 0.45, -0.45)  # s
_SPEEDS = (0.15, 2.5)  # m/s, the slowest and fastest


@dataclass(frozen=True, eq=False)
class _Actor:
    """Somebody without a way."""

    figure: Figure
    clothes: Clothes
    style: Style
    first_phase: float


@dataclass(frozen=True)
class _Way:
    """Where somebody goes, and whom they hug."""

    stretches: tuple[Stretch, ...]
    embraces: tuple[Embrace, ...] = ()


@dataclass(frozen=True)
class _Pass:
    """When person 1 passes in front of person 2, and how fast (m/s)."""

    seconds: float
    speed: float

    def points(self, x: float, side: float) -> Points:
        """Evenly past a place, from so many seconds before to so many after."""
        reach = _PASSING * side * self.speed
        return [(self.seconds - _PASSING, x - reach, _NEAR), (self.seconds + _PASSING, x + reach, _NEAR)]


@dataclass(frozen=True)
class _Film:
    """What all scenes have in common."""

    frames: int
    rate: float
    height: int
    width: int
    moving: bool
    room: Room

    def shoot(
        self, actors: Sequence[_Actor], ways: Sequence[_Way], things: Sequence[Thing], events: Sequence[Event]
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
    actors = _cast(people, generator, alike=(1, min(4, people)) if alike and people > 1 else None)
    side = float(generator.choice((-1.0, 1.0)))
    stage = [_pillar(side, frames), *_things(things, side, frames, rate, generator)]
    acts = int(np.ceil(frames / rate / ACT))
    passes: list[_Pass] = []
    events: list[Event] = []
    background = [_wanderer(number - 4, frames / rate, generator) for number in range(5, people + 1)]
    chances = generator.uniform(-1, 1, (acts, 8))

    def ways(tried: Sequence[_Pass]) -> list[_Way]:
        main = [_walker(tried, side, people), _leaver(acts, side), _hider(acts, side, chances), _latecomer(acts, side)]
        return [*main[:people], *background]

    def crossing(passing: _Pass) -> TruthScene:
        return film.shoot(actors[:2], ways([*passes, passing])[:2], (), ())

    for act in range(acts):
        seconds = act * ACT + _CROSSING
        passing = _Pass(seconds, 0.5)
        if people > 1 and (seconds + _PASSING) * rate < frames:
            passing, span = _hide(crossing, hidden, seconds)
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
    actors = _cast(2, generator, alike=(1, 2) if alike else None)
    side = float(generator.choice((-1.0, 1.0)))
    end = frames / rate
    middle = end / 2
    x = float(generator.uniform(-0.5, 0.5))
    far = _Way((Stretch(((0, x, _FAR + 0.4 * middle), (end, x, _FAR - 0.4 * middle))),))

    def crossing(passing: _Pass) -> TruthScene:
        (first, left, _), (last, right, _) = points = passing.points(_ALIGNED * x, side)
        before, after = max(first, 0.1), max(end - last, 0.1)
        start, stop = (first - before, left - side * before, _NEAR), (last + after, right + side * after, _NEAR)
        return film.shoot(actors, [_Way((Stretch((start, *points, stop)),)), far], (), ())

    passing, span = _hide(crossing, hidden, middle)
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
    actors = _cast(people, generator, alike=(1, 2) if alike and people > 1 else None)
    end, ways = max(frames / rate, 1.0), []
    for number in range(people):
        side = 1.0 if number % 2 else -1.0
        z = 1.5 - 1.1 * number
        points: Points = [(0.0, 1.2, z)]
        if number:
            start = 0.5 + 1.5 * (number - 1)
            reach = 0.6 * side + 0.2 * number
            points = [(start, side * _DOOR[0], _DOOR[1]), (start + 5.0, reach, z)]
        ways.append(_Way((Stretch(tuple(_strolling(points, end, z, 1.8, generator))),)))
    return film.shoot(actors, ways, (), ())


def _film(
    seed: int, frames: int, rate: float, height: int, width: int, *, moving: bool
) -> tuple[_Film, np.random.Generator]:
    generator = np.random.default_rng(seed)
    room = Room.draw(generator, height=height, width=width, rate=rate)
    return _Film(frames, rate, height, width, moving, room), generator


def _cast(people: int, generator: np.random.Generator, *, alike: tuple[int, int] | None) -> list[_Actor]:
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
            _Actor(
                shape,
                clothes[number],
                Style.draw(generator, gestures=0.0 if number < 2 else 1.0),
                generator.uniform(0, 2 * np.pi),
            )
        )
    return found


def _hide(crossing: Callable[[_Pass], TruthScene], hidden: int, seconds: float) -> tuple[_Pass, tuple[int, int]]:
    """How the first person has to pass the second to hide them from the first camera for so many frames, and which.

    The slower, the longer; where the count jumps over the number asked for, because of a foot that shows, another
    moment is tried, at which the legs stand differently.

    Raises:
        ValueError: nobody who walks does that.
    """
    for shift in _SHIFTS:
        low, high = _SPEEDS
        speed = min(max(8.0 / max(hidden, 1), low), high)
        for _ in range(_TRIES):
            passing = _Pass(seconds + shift, speed)
            scene = crossing(passing)
            span = _hidden_run(scene, round(passing.seconds * scene.rate))
            count = span[1] - span[0] + 1
            if count == hidden:
                return passing, span
            low, high = (speed, high) if count > hidden else (low, speed)
            guess = speed * count / hidden
            speed = guess if low < guess < high else (low + high) / 2
            if high < 1.01 * low:
                break
    raise ValueError(f"hidden: no walk hides somebody for exactly {hidden} frames, try another number or seed")


def _hidden_run(scene: TruthScene, centre: int) -> tuple[int, int]:
    """First and last frame around the centre in which the second person is invisible to the first camera."""

    def invisible(frame: int) -> bool:
        return 0 <= frame < scene.frames and not (scene.labels(0, frame) == 2).any()

    around = [
        frame for frame in sorted(range(centre - 6, centre + 7), key=lambda f: abs(f - centre)) if invisible(frame)
    ]
    if not around:
        return centre, centre - 1
    first = last = around[0]
    while invisible(first - 1):
        first -= 1
    while invisible(last + 1):
        last += 1
    return first, last


def _walker(passes: Sequence[_Pass], side: float, people: int) -> _Way:
    points: Points = []
    embraces = []
    for act, passing in enumerate(passes):
        t = act * ACT
        points += [(t, -1.3 * side, _NEAR), *passing.points(_ALIGNED * 0.6 * side, side)]
        points += [(t + 5.0, 1.4 * side, _NEAR), (t + 7.3, 1.4 * side, _NEAR)]
        points += [(t + 9.2, 0.22 * side, -2.0), (t + 12.0, 0.22 * side, -2.0), (t + 13.2, 0.6 * side, -3.2)]
        points += [(t + 16.5, -3.0 * side, _NEAR), (t + 19.0, -3.0 * side, _NEAR)]
        if people >= 4:
            embraces.append(Embrace(t + 9.6, t + 12.0, (-0.22 * side, -2.0)))
    end = len(passes) * ACT
    return _Way((Stretch((*points, (end, -1.3 * side, _NEAR))),), tuple(embraces))


def _leaver(acts: int, side: float) -> _Way:
    x = 0.6 * side
    stretches, points = [], []
    for act in range(acts):
        t = act * ACT
        points += [(t, x, _FAR + 1.07), (t + 5.0, x, _FAR - 1.07), (t + 10.6, _DOOR[0] * side, _DOOR[1])]
        stretches.append(Stretch(tuple(points)))
        points = [(t + 14.5, -_DOOR[0] * side, _DOOR[1])]
    return _Way((*stretches, Stretch((*points, (acts * ACT, x, _FAR + 1.07)))))


def _hider(acts: int, side: float, chances: Floats) -> _Way:
    behind = _PILLAR[0] * 7.6 / (7 + _PILLAR[1]) * side
    points: Points = []
    for act in range(acts):
        t, chance = act * ACT, chances[act]
        points += [
            (t, -2.5 * side, 0.6),
            (t + 5.4 + 0.2 * chance[0], behind, 0.6),
            (t + 8.2 + 0.2 * chance[1], behind, 0.6),
        ]
        points += [(t + 10.2, (3.1 + 0.3 * chance[2]) * side, 0.6 + 0.2 * chance[3])]
        points += [
            (t + 15.5, -2.2 * side, 0.6),
            (t + 18.7, -2.2 * side, 0.6),
            (t + 20, (-1.0 + 0.4 * chance[4]) * side, 0.6),
        ]
    return _Way((Stretch((*points, (acts * ACT, -2.5 * side, 0.6))),))


def _latecomer(acts: int, side: float) -> _Way:
    stretches, embraces = [], []
    for act in range(acts):
        t = act * ACT
        points: Points = [(t + 3.0, -_DOOR[0] * side, _DOOR[1]), (t + 7.2, -2.2 * side, -1.3)]
        points += [(t + 9.2, -0.22 * side, -2.0), (t + 12.0, -0.22 * side, -2.0), (t + 12.9, -0.5 * side, -1.2)]
        points += [(t + 14.7, 1.6 * side, -1.0), (t + 17.5, 1.6 * side, -1.0), (t + 21.8, _DOOR[0] * side, _DOOR[1])]
        stretches.append(Stretch(tuple(points)))
        embraces.append(Embrace(t + 9.6, t + 12.0, (0.22 * side, -2.0)))
    return _Way(tuple(stretches), tuple(embraces))


def _wanderer(number: int, seconds: float, generator: np.random.Generator) -> _Way:
    z = 4.8 + 0.8 * ((number - 1) % 9)
    points: Points = [(0.0, float(generator.uniform(-3.5, 3.5)), z)]
    return _Way((Stretch(tuple(_strolling(points, seconds, z, 5.0, generator))),))


def _strolling(points: Points, seconds: float, z: float, reach: float, generator: np.random.Generator) -> Points:
    """These points, and from the last one on to and fro, resting now and then."""
    time, x = points[-1][:2]
    while time < seconds + 1:
        rest = float(generator.choice((0.0, 0.0, 1.4)))
        target = float(generator.uniform(-reach, reach))
        walk = max(0.4, abs(target - x) / generator.uniform(0.7, 1.3))
        if rest:
            points.append((time + rest, x, z))
        time, x = time + rest + walk, target
        points.append((time, x, z + float(generator.uniform(-0.15, 0.15))))
    return points


def _happenings(film: _Film, start: float, people: int) -> list[Event]:
    """What the script says about an act that begins at that second."""

    def event(kind: str, persons: tuple[int, ...], first: float, last: float, camera: int | None = None) -> Event:
        return Event(kind, persons, film.frame(start + first), film.frame(start + last), camera)

    found = [event("still", (1,), 5.7, 6.0)]
    if people >= 3:
        found += [event("behind pillar", (3,), 6.2, 7.6, 0), event("still", (3,), 16.2, 17.4)]
    if people >= 4:
        found += [event("embrace", (1, 4), 10.3, 11.3), event("still", (4,), 15.4, 16.2)]
    return found


def _pillar(side: float, frames: int) -> Thing:
    stone = Cloth(((150, 144, 132), (128, 122, 112)), ((0, 16, 0), (0, 0, 0)))
    part = Part(0, np.zeros(3), np.zeros(3), np.array([0.42, 1.4, 0.30]), "surface", box=True)
    place = np.tile((_PILLAR[0] * side, 1.4, _PILLAR[1]), (frames, 1))
    return Thing(None, (part,), {"surface": stone}, place, np.zeros(frames))


def _things(kinds: Sequence[str], side: float, frames: int, rate: float, generator: np.random.Generator) -> list[Thing]:
    times, found = np.arange(frames) / rate, []
    for number, kind in enumerate(kinds):
        if kind == "ball":
            radius = 0.16
            x = 2.6 * np.sin(2 * np.pi * times / generator.uniform(9, 12) + generator.uniform(0, 6)) * side
            place = np.stack([x, np.full(frames, radius), np.full(frames, 0.22 + 1.1 * number)], axis=1)
            part = Part(0, np.zeros(3), np.zeros(3), np.full(3, radius), "surface")
            cloth = Cloth(((240, 140, 30), (250, 240, 230)), ((0, 0, 20), (0, 20, 0)))
            found.append(Thing("ball", (part,), {"surface": cloth}, place, x / radius, yaw=np.pi / 2))
        elif kind == "box":
            halves = np.array([0.24, 0.30, 0.18])
            place = np.tile((-0.9 * side, halves[1], -1.9 - 0.4 * number), (frames, 1))
            part = Part(0, np.zeros(3), np.zeros(3), halves, "surface", box=True)
            cloth = Cloth(((150, 96, 48), (190, 140, 90)), ((30, 0, 0), (0, 0, 0)))
            found.append(Thing("box", (part,), {"surface": cloth}, place, np.zeros(frames), yaw=0.5))
        else:
            raise ValueError(f"things: expected 'ball' or 'box', got {kind!r}")
    return found
