"""The segment driver and the original's rule on a rendered view, with models that know the truth and err as told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.identity_scores import Comparison, IdentityScores, Minimum
from common.media.decode import Frame
from stages.segment.prompted.driver import DriverSettings, follow
from stages.segment.prompted.matching import compare
from stages.segment.prompted.protocols import Outlines
from tests.synth.scene import TruthScene
from tests.synth.truth_models import SceneView, TrackerMistakes, TruthDetector, TruthTracker, TruthVideo, View

MINIMUM = Minimum(pixels=100, share=0.1)
"""Who is asked for. Below, masks at half the frame's resolution are nothing but contour."""

_OLD_OVERLAP = 0.8  # of the original: above, a detection is the first old person that fits


@dataclass(frozen=True)
class Errors:
    """What the models do wrong; the defaults are those of the gate.

    Attributes:
        missed: fraction of the visible people that the detector does not see.
        false: boxes around nothing for each person.
        jitter: how far the sides of a box are off, as a fraction of its size.
        drift: probability that a mask slides onto whoever hides a person, each time.
    """

    missed: float = 0.2
    false: float = 0.05
    jitter: float = 0.04
    drift: float = 0.0


@dataclass(frozen=True, eq=False)
class Recorded:
    """A view kept in memory (1.2 MB for a frame), since several methods see it and rendering takes longest."""

    frames: int
    rate: float
    classes: dict[int, str]
    all_labels: NDArray[np.uint16]
    images: NDArray[np.uint8]
    visible: tuple[Mapping[int, float], ...]

    def labels(self, frame: int) -> NDArray[np.uint16]:
        """(H, W) ids."""
        return self.all_labels[frame]

    def image(self, frame: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self.images[frame]


@dataclass(frozen=True, eq=False)
class Run:
    """One method on one camera.

    Attributes:
        comparison: its labels with the true ones.
        delays: frames by which each result came after its frame.
        detections: calls of the detector.
        most: instances that the tracker followed at once.
    """

    comparison: Comparison
    delays: tuple[int, ...]
    detections: int
    most: int


@dataclass(frozen=True)
class Labelled:
    """The outlines of a frame, numbered by person."""

    index: int
    outlines: Outlines


Method = Callable[[Iterable[Frame], TruthDetector, TruthTracker], Iterator[Labelled]]


@dataclass(eq=False)
class Counted:
    """Frames that count how many have been taken."""

    frames: Iterable[Frame]
    taken: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames:
            self.taken += 1
            yield frame


def ours(step: int) -> Method:
    """The driver, with so many frames between two detections."""

    def driver(frames: Iterable[Frame], detector: TruthDetector, tracker: TruthTracker) -> Iterator[Labelled]:
        for found in follow(frames, detector=detector, tracker=tracker, settings=DriverSettings(detection_step=step)):
            yield Labelled(found.index, found.outlines)

    return driver


def originals(step: int) -> Method:
    """The rule of the original ghost, with so many frames between two detections."""

    def rule(frames: Iterable[Frame], detector: TruthDetector, tracker: TruthTracker) -> Iterator[Labelled]:
        memory, people = tracker.memory(), 0
        for frame in frames:
            picture = tracker.see(frame.image)
            followed = memory.follow(picture, frame.index) if memory.numbers else None
            if frame.index % step == 0:
                detections = detector.detect(frame.image)
                found = tracker.outline(picture, detections.boxes)
                numbers = []
                for mask in found.logits > 0:
                    number = _first_that_overlaps(mask, followed)
                    people += number is None
                    numbers.append(people if number is None else number)
                # One-to-one it is not: of two detections with one number the later is drawn over the earlier.
                rows = {number: row for row, number in enumerate(numbers)}
                followed = Outlines(tuple(rows), found.logits[[*rows.values()]], found.presence[[*rows.values()]])
                memory = tracker.memory()
                if rows:
                    memory.remember(picture, frame.index, followed)
            yield Labelled(frame.index, followed or Outlines((), torch.zeros((0, 1, 1)), torch.zeros(0)))

    return rule


def _first_that_overlaps(mask: torch.Tensor, followed: Outlines | None) -> int | None:
    if followed is None or not len(followed):
        return None
    overlaps, _ = compare(mask[None].numpy(), (followed.logits > 0).numpy())
    fits = np.flatnonzero(overlaps[0] > _OLD_OVERLAP)
    return followed.numbers[int(fits[0])] if len(fits) else None


def record(view: View, visible: Callable[[int], Mapping[int, float]]) -> Recorded:
    """A view, rendered once.

    Args:
        view: a camera.
        visible: for a frame, the share of everybody's silhouette that can be seen.
    """
    labels, images, shares = [], [], []
    for frame in range(view.frames):  # one after the other: a scene keeps the last few frames only
        labels.append(view.labels(frame))
        images.append(view.image(frame))
        shares.append(visible(frame))
    return Recorded(view.frames, view.rate, view.classes, np.stack(labels), np.stack(images), tuple(shares))


def record_scene(scene: TruthScene, camera: int) -> Recorded:
    """What a camera sees of a scene."""

    def visible(frame: int) -> dict[int, float]:
        return dict(zip(scene.classes, map(float, scene.visible_fraction(camera, frame)), strict=True))

    return record(SceneView(scene, camera), visible)


def run(method: Method, view: Recorded, *, seed: int, errors: Errors) -> Run:
    """A method on a view, with models that err.

    Args:
        method: ours or the original's.
        view: a camera.
        seed: of the errors.
        errors: what kind.
    """
    video = TruthVideo(view)
    detector = TruthDetector(video, missed=errors.missed, false=errors.false, jitter=errors.jitter, seed=seed)
    tracker = TruthTracker(video, TrackerMistakes(ragged=True, drift=errors.drift, seed=seed))
    comparison, delays, frames = Comparison(MINIMUM), [], Counted(video.stream())
    for result in method(frames, detector, tracker):
        truth = view.labels(result.index)
        comparison.add(truth, labels_of(result.outlines, truth.shape), visible=view.visible[result.index])
        delays.append(frames.taken - 1 - result.index)
    return Run(comparison, tuple(delays), sum(detector.calls.values()), tracker.most)


def labels_of(outlines: Outlines, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """(H, W) uint16: the strongest logit above 0 in each pixel, cells repeated up to the frame's size."""
    labels = np.zeros(shape, np.uint16)
    if len(outlines):
        strongest, row = outlines.logits.max(dim=0)
        small = np.where(strongest.numpy() > 0, np.array(outlines.numbers, np.uint16)[row.numpy()], 0)
        high, wide = -(-shape[0] // small.shape[0]), -(-shape[1] // small.shape[1])
        labels[:] = small.repeat(high, axis=0).repeat(wide, axis=1)[: shape[0], : shape[1]]
    return labels


def in_words(scores: IdentityScores) -> str:
    """All scores in a line."""
    return (
        f"IDF1 {scores.idf1:.4f}, {scores.id_switches} switches, MOTA {scores.mota:.3f}, HOTA {scores.hota:.3f}, "
        f"{scores.misses} missed and {scores.false_masks} false of {scores.true_masks}"
    )
