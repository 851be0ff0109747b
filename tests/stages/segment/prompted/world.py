"""A world of coloured boards that move in front of a noisy wall: exact, quick, and easy to reason about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stages.segment.prompted.driver import DriverSettings, FollowedFrame, follow
from tests.synth.truth_models import TrackerMistakes, TruthDetector, TruthTracker, TruthVideo

HEIGHT, WIDTH = 120, 240

RED, BLUE, GREEN, WHITE = ((200, 30, 30), (20, 20, 80)), ((30, 40, 200), (150, 150, 150)), (
    (30, 160, 40), (220, 220, 60)), ((235, 235, 235), (90, 40, 20))  # fmt: skip
"""Clothes: colours above and below."""

Path = Mapping[int, tuple[float, float]]


def walk(start: int, end: int, x0: float, x1: float, *, y: float = 60.0) -> dict[int, tuple[float, float]]:
    """Where the middle of somebody is, from a frame to another, evenly."""
    return {frame: (x, y) for frame, x in zip(range(start, end), np.linspace(x0, x1, end - start), strict=True)}


@dataclass(frozen=True)
class Board:
    """Somebody, or something.

    Attributes:
        path: the middle by frame; elsewhere it is not in the world.
        clothes: two colours.
        size: width and height, pixels.
        kind: its class.
        front: what has more of it hides what has less.
    """

    path: Path
    clothes: tuple[tuple[int, int, int], tuple[int, int, int]]
    size: tuple[int, int] = (20, 56)
    kind: str = "person"
    front: int = 0


@dataclass(frozen=True, eq=False)
class World:
    """Boards with the numbers 1, 2, ... in the order of the list; 200 is a wall that is nobody.

    Attributes:
        boards: all of them.
        frames: how many.
        walls: (x0, x1) in pixels, in front of all.
    """

    boards: list[Board]
    frames: int
    walls: tuple[tuple[int, int], ...] = ()
    rate: float = 30.0
    _labels: dict[int, NDArray[np.uint16]] = field(default_factory=dict)

    @property
    def classes(self) -> dict[int, str]:
        return {number: board.kind for number, board in enumerate(self.boards, start=1)}

    def labels(self, frame: int) -> NDArray[np.uint16]:
        if frame not in self._labels:
            drawn = np.zeros((HEIGHT, WIDTH), np.uint16)
            for number, board in sorted(enumerate(self.boards, start=1), key=lambda one: one[1].front):
                if frame in board.path:
                    drawn[self._window(board, frame)] = number
            for start, end in self.walls:
                drawn[:, start:end] = 0
            self._labels[frame] = drawn
        return self._labels[frame]

    def image(self, frame: int) -> NDArray[np.uint8]:
        drawn = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        for _, board in sorted(enumerate(self.boards), key=lambda one: one[1].front):
            if frame in board.path:
                rows, columns = self._window(board, frame)
                middle = (rows.start + rows.stop) // 2
                drawn[rows.start : middle, columns], drawn[middle : rows.stop, columns] = board.clothes
        for start, end in self.walls:
            drawn[:, start:end] = 100
        noise = np.random.default_rng(frame).integers(-6, 7, drawn.shape)
        return np.clip(drawn + noise, 0, 255).astype(np.uint8)

    @staticmethod
    def _window(board: Board, frame: int) -> tuple[slice, slice]:
        (x, y), (width, height) = board.path[frame], board.size
        left, top = round(x - width / 2), round(y - height / 2)
        return slice(max(top, 0), max(top + height, 0)), slice(max(left, 0), max(left + width, 0))


@dataclass(eq=False)
class Filmed:
    """A world, seen by models that know the truth, and what the driver makes of it."""

    world: World
    detector: TruthDetector
    tracker: TruthTracker
    results: list[FollowedFrame]

    def ids(self, number: int) -> dict[int, int | None]:
        """By frame the id under which somebody visible was published; None if under none."""
        found: dict[int, int | None] = {}
        for result in self.results:
            mine = self.world.labels(result.index) == number
            if mine.sum() < 40:
                continue
            found[result.index] = None
            for published, logits in zip(result.outlines.numbers, result.outlines.logits, strict=True):
                mask = (logits > 0).numpy()
                if (mask & mine).sum() / (mask | mine).sum() >= 0.5:
                    found[result.index] = published
        return found

    def false_masks(self) -> list[tuple[int, int]]:
        """(frame, id) of masks that lie mostly on nobody."""
        return [
            (result.index, published)
            for result in self.results
            for published, logits in zip(result.outlines.numbers, result.outlines.logits, strict=True)
            if ((logits > 0).numpy() & (self.world.labels(result.index) > 0)).sum() < 0.5 * (logits > 0).sum()
        ]

    @property
    def all_ids(self) -> set[int]:
        return {number for result in self.results for number in result.outlines.numbers}


def film(world: World, *, step: int = 50, mistakes: TrackerMistakes | None = None, **detector: object) -> Filmed:
    """Runs the driver on a world."""
    video = TruthVideo(world)
    finds = TruthDetector(video, **detector)  # type: ignore[arg-type]
    follows = TruthTracker(video, mistakes or TrackerMistakes(), cell=1)
    settings = DriverSettings(detection_step=step)
    results = list(follow(video.stream(), detector=finds, tracker=follows, settings=settings))
    return Filmed(world, finds, follows, results)
